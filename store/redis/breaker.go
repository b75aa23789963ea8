package redisstore

import (
	"context"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
	"github.com/holdfast-go/holdfast/domain/port"
)

// breakerStore implements port.BreakerStore and port.Sharder.
type breakerStore struct{ *Store }

// Shard returns the part of a cluster that a breaker lives on.
func (s breakerStore) Shard(id port.ID) uint32 { return s.shard(kindBreaker, id) }

// A step is one call of breaker_step.lua and what it answered.
type step struct {
	op      string
	breaker port.ID
	rules   breaker.Rules
	replica string
	known   uint64
	token   uint64
	outcome domain.Outcome
	extra   [9]int64 // a report's; the seventh is a probe's result's, too

	view    port.View
	granted bool
	lease   time.Duration
}

// Report takes evidence.
func (s breakerStore) Report(ctx context.Context, in []port.Report, out []port.View) {
	steps := make([]step, len(in))
	for i, r := range in {
		steps[i] = step{
			op: "report", breaker: r.Breaker, rules: r.Rules, replica: r.Replica, known: r.Known, token: r.Seq,
			extra: [9]int64{
				int64(bit(r.Bad)), r.Weight, r.ForMicro, int64(bit(r.Leaving)), r.Calls, r.Failures, r.AloneMicro,
				int64(bit(r.Open)), int64(min(r.Last, breaker.TroubleOwn)),
			},
		}
	}
	s.run(ctx, steps)
	for i := range steps {
		out[i] = steps[i].view
	}
}

// Probe grants and settles leases.
func (s breakerStore) Probe(ctx context.Context, in []port.ProbeRequest, out []port.ProbeReply) {
	steps := make([]step, len(in))
	for i, r := range in {
		steps[i] = step{op: "ask", breaker: r.Breaker, rules: r.Rules, replica: r.Replica, known: r.Known, token: r.Token}
		if r.Settle {
			steps[i].op, steps[i].outcome, steps[i].extra[6] = "settle", r.Outcome, r.AloneMicro
		}
	}
	s.run(ctx, steps)
	for i := range steps {
		out[i] = port.ProbeReply{Granted: steps[i].granted, For: steps[i].lease, View: steps[i].view}
	}
}

// run executes steps in one pipeline, and those that were too late once more.
func (s breakerStore) run(ctx context.Context, steps []step) {
	again := make([]*step, 0, len(steps))
	for i := range steps {
		steps[i].view.Err = s.check(steps[i])
		if steps[i].view.Err == nil {
			again = append(again, &steps[i])
		}
	}
	if stale := s.attempt(ctx, again); len(stale) > 0 && ctx.Err() == nil {
		s.attempt(ctx, stale)
	}
}

// check refuses what cannot be written safely.
func (s breakerStore) check(st step) error {
	if s.broken != nil {
		return s.broken
	}
	if err := domain.ValidateName("breaker", st.replica); err != nil {
		return wrong(s.step.op, st.breaker.Name, fmt.Errorf("replica: %w", err))
	}
	return nil
}

func (s breakerStore) attempt(ctx context.Context, steps []*step) (stale []*step) {
	if len(steps) == 0 {
		return nil
	}
	calls := make([]call, len(steps))
	notAfter := s.clock.notAfter(ctx)
	for i, st := range steps {
		calls[i] = s.stepCall(notAfter, st)
	}
	sent := now()
	err := s.link.run(ctx, calls)
	for i, st := range steps {
		callErr := err
		if callErr == nil {
			callErr = s.readStep(&calls[i], st, sent)
		}
		if callErr == ErrStale { //nolint:errorlint // as readStep returns it
			stale = append(stale, st)
		}
		if callErr != nil {
			st.view = port.View{Err: s.failed(ctx, st, callErr)}
		}
	}
	return stale
}

func (s breakerStore) failed(ctx context.Context, st *step, err error) error {
	return failedStep(s.step.op, st.breaker.Name, err, s.link.explained(ctx, timely(ctx, err)))
}

// stepCall is the call for st, as breaker_step.lua wants it.
func (s breakerStore) stepCall(notAfter int64, st *step) call {
	key := s.key(kindBreaker, st.breaker)
	c := newCall(s.step, 2, 18)
	c.words = append(c.words, key, records(key), s.nowArg(), notAfter, bit(s.heals.take(key)),
		st.op, st.replica, st.known, st.token, uint8(st.outcome), s.rules.of(st.rules))
	for _, n := range st.extra {
		c.words = append(c.words, n)
	}
	return c
}

// readStep reads the reply to st.
func (s breakerStore) readStep(c *call, st *step, sent time.Time) error {
	n, err := c.numbers()
	if err != nil {
		return err
	}
	s.clock.hear(n[1], sent)
	if err := s.troubleOf(n[2], s.key(kindBreaker, st.breaker)); err != nil {
		return err
	}
	if !st.possible(n) {
		return ErrReply
	}
	st.view = port.View{
		Epoch: uint64(n[3]), State: domain.State(n[4]), For: micros(n[5]), Fresh: n[6] != 0, Foreign: n[7] != 0,
		Order: breaker.Order{Serial: uint64(n[10])}, Base: n[11],
	}
	st.granted, st.lease = n[8] != 0, micros(n[9])
	return nil
}

// possible reports whether the script can have answered n to st. A lease is
// given only to who asks for one, and only while half-open.
func (st *step) possible(n []int64) bool {
	for i, high := range [...]int64{3: exact, int64(domain.StateOpen), exact, 1, 1, 1, exact, exact, exact} {
		if len(n) != 12 || i >= 3 && !within(n[i], high) {
			return false
		}
	}
	return n[8] == 0 || st.op == "ask" && n[4] == int64(domain.StateHalfOpen)
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

func micros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }
