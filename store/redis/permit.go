package redisstore

import (
	"context"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/bulkhead"
	"github.com/holdfast-go/holdfast/domain/port"
)

// permitStore implements port.PermitStore and port.Sharder.
type permitStore struct{ *Store }

// Shard returns the part of a cluster that a bulkhead lives on.
func (s permitStore) Shard(id port.ID) uint32 { return s.shard(kindPermits, id) }

// Hold does what replicas say, each in a script of its own, in one pipeline.
func (s permitStore) Hold(ctx context.Context, in []port.HoldRequest, out []port.HoldReply) {
	if s.broken != nil {
		for i := range out {
			out[i] = port.HoldReply{Err: s.broken}
		}
		return
	}
	twice(ctx, len(in), func(which []int) (late []int) { return s.attempt(ctx, which, in, out) })
}

// attempt executes the requests of those numbers once, and returns which were too late.
func (s permitStore) attempt(ctx context.Context, which []int, in []port.HoldRequest, out []port.HoldReply) (late []int) {
	notAfter, calls := s.clock.notAfter(ctx), make([]call, len(which))
	for n, i := range which {
		ask := in[i].Ask
		c := newCall(s.hold, 1, 8)
		c.words = append(c.words, s.key(kindPermits, in[i].Bulkhead), s.nowArg(), notAfter,
			ask.Holder, ask.Seq, ask.Room, ask.Keep, ask.Want, ask.Lasting)
		calls[n] = c
	}
	sent := now()
	err := s.link.run(ctx, calls)
	for n, i := range which {
		answer, callErr := bulkhead.Answer{}, err
		if callErr == nil {
			var heard int64
			if answer, heard, callErr = readHold(&calls[n]); heard > 0 {
				s.clock.hear(heard, sent)
			}
		}
		if callErr == ErrStale { //nolint:errorlint // as readHold returns it
			late = append(late, i)
		}
		if out[i] = (port.HoldReply{Answer: answer}); callErr != nil {
			out[i].Err = wrong(s.hold.op, in[i].Bulkhead.Name, s.link.explained(ctx, timely(ctx, callErr)))
		}
	}
	return late
}

// readHold reads the reply to one request, and the server's time in it.
func readHold(c *call) (a bulkhead.Answer, heard int64, err error) {
	n, err := c.numbers()
	switch {
	case err != nil:
		return a, 0, err
	case n[2] == 1 && len(n) == 3:
		return a, n[1], ErrStale
	case n[2] != 0 || len(n) != 5 || !within(n[3], domain.MaxConcurrentCalls) || !within(n[4], n[3]):
		return a, 0, ErrReply
	}
	return bulkhead.Answer{Held: n[3], Room: n[4]}, n[1], nil
}
