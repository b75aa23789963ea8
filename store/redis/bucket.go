package redisstore

import (
	"context"
	"strconv"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/bucket"
	"github.com/holdfast-go/holdfast/domain/port"
)

// bucketsPerScript bounds the buckets that one script carries, so that it does
// not keep the server from others for long.
const bucketsPerScript = 64

// bucketStore implements port.BucketStore and port.Sharder.
type bucketStore struct{ *Store }

// Shard returns the part of a cluster that a bucket lives on.
func (s bucketStore) Shard(id port.ID) uint32 { return s.shard(kindBucket, id) }

// Lends says that buckets heed asks for leases.
func (bucketStore) Lends() {}

// Obeys says that buckets heed an operator's orders.
func (bucketStore) Obeys() {}

// Queues says that buckets have queues, and heed returns.
func (bucketStore) Queues() {}

// answerNumbers is how many numbers the script answers to an ask.
const answerNumbers = 4

// A group is the requests of one bucket that stand together in a batch: they
// share a turn, and in a script a key.
type group struct {
	key        string
	begin, end int
}

// Take decides requests on the server. On a single server one script carries
// many buckets; on a cluster each has its own, in one pipeline.
func (s bucketStore) Take(ctx context.Context, in []port.TakeRequest, out []port.TakeReply) {
	if s.broken != nil {
		failAll(out, s.broken)
		return
	}
	if len(in) == 0 {
		return
	}
	groups := s.groups(in)
	if stale := s.attempt(ctx, groups, in, out); len(stale) > 0 && ctx.Err() == nil {
		s.attempt(ctx, stale, in, out) // it was not executed, and the server's clock is known now
	}
}

func failAll(out []port.TakeReply, err error) {
	for i := range out {
		out[i] = port.TakeReply{Err: err}
	}
}

func (s bucketStore) groups(in []port.TakeRequest) []group {
	groups := make([]group, 0, 1)
	for i := range in {
		if i > 0 && in[i].Bucket == in[i-1].Bucket && in[i].Rule == in[i-1].Rule && in[i].Manner == in[i-1].Manner {
			groups[len(groups)-1].end++
			continue
		}
		groups = append(groups, group{s.key(kindBucket, in[i].Bucket), i, i + 1})
	}
	return groups
}

// attempt executes groups once, and returns those that were too late.
func (s bucketStore) attempt(ctx context.Context, groups []group, in []port.TakeRequest, out []port.TakeReply) (stale []group) {
	parts := [][]group{groups}
	if len(groups) > 1 {
		parts = s.split(groups)
	}
	calls := make([]call, len(parts), max(len(parts), 1))
	notAfter := s.clock.notAfter(ctx)
	for i, part := range parts {
		calls[i] = s.takeCall(notAfter, part, in)
	}
	sent := now()
	err := s.link.run(ctx, calls)
	for i, part := range parts {
		callErr := err
		if callErr == nil {
			callErr = s.read(&calls[i], sent, part, in, out)
		}
		if callErr == ErrStale { //nolint:errorlint // as read returns it
			stale = append(stale, part...)
		}
		if callErr != nil {
			s.fail(ctx, part, in, out, callErr)
		}
	}
	return stale
}

// split says which groups share a script. A bucket stands in one only once: it
// could not see what the script did to it before.
func (s bucketStore) split(groups []group) [][]group {
	most := bucketsPerScript
	if !s.link.single() {
		most = 1
	}
	parts := make([][]group, 0, (len(groups)+most-1)/most)
	seen := make(map[string]struct{}, min(len(groups), most))
	begin := 0
	for i, g := range groups {
		if _, again := seen[g.key]; again || i-begin == most {
			parts = append(parts, groups[begin:i])
			begin = i
			clear(seen)
		}
		seen[g.key] = struct{}{}
	}
	return append(parts, groups[begin:])
}

// takeCall is the call for groups, as bucket_take.lua wants it.
func (s bucketStore) takeCall(notAfter int64, groups []group, in []port.TakeRequest) call {
	c := newCall(s.take, len(groups), 8)
	for _, g := range groups {
		c.words = append(c.words, g.key)
	}
	c.words = append(c.words, s.nowArg(), notAfter)
	var run group    // the first of keys that are asked the same
	keys, at := 0, 0 // how many these are, and where the command says so
	for _, g := range groups {
		marks := s.marks(g.key, in[g.begin].Manner)
		if keys > 0 && marks == "" && g.asksTheSame(run, in) {
			keys++
			c.words[at] = keys
			continue
		}
		claim := s.claims.of(in[g.begin].Rule)
		if marks != "" {
			claim = marks + claim.(string) //nolint:forcetypeassert // claims are strings
		}
		run, keys, at = g, 1, len(c.words)+1
		c.words = append(c.words, claim, keys, g.end-g.begin)
		for i := range in[g.begin:g.end] {
			c.words = appendAsk(c.words, &in[g.begin+i].Ask)
		}
		if marks != "" {
			keys = 0 // what is said of this key is of no other
		}
	}
	return c
}

// asksTheSame reports whether a group asks its bucket what another one asks its own, which
// is one thing.
func (g group) asksTheSame(other group, in []port.TakeRequest) bool {
	one, another := &in[g.begin], &in[other.begin]
	return g.end-g.begin == 1 && other.end-other.begin == 1 && one.Ask == another.Ask && one.Rule == another.Rule
}

// marks stand before a claim: what is there is to be healed, how tokens are carried
// over, and with how many a bucket begins.
func (s bucketStore) marks(key string, how bucket.Manner) string {
	marks := ""
	if s.heals.take(key) {
		marks = "!"
	}
	switch how.Carry {
	case domain.CarryTokens:
		marks += "t"
	case domain.CarryReset:
		marks += "r"
	default:
	}
	if how.First != 0 {
		marks += "f" + strconv.FormatInt(max(how.First, 0), 10) + ";"
	}
	return marks
}

// appendAsk writes an ask as the script reads it.
func appendAsk(args []any, ask *bucket.Ask) []any {
	switch {
	case ask.Bill != 0:
		return append(args, ask.Cost, 0, ask.Bill)
	case ask.Lease != nil:
		return appendLease(args, ask)
	case ask.Order != nil:
		return append(args, 0, "o", ask.Order.Tokens, ask.Order.BlockMilli)
	case ask.Return != nil:
		r := ask.Return
		return append(args, r.Tokens, "r", startText(r.ID), r.ID.Seq, r.DueMicro, r.StepMicro)
	case ask.Count < 1:
		return append(args, -1, 1) // nonsense, and refused as such
	case ask.WaitMicro > 0:
		return append(args, ask.Cost, "w", ask.WaitMicro)
	case ask.Turn:
		return append(args, ask.Cost, -ask.Count)
	default:
		return append(args, ask.Cost, ask.Count)
	}
}

// appendLease writes an ask for a lease.
func appendLease(args []any, ask *bucket.Ask) []any {
	l, cost, most, sealed := ask.Lease, ask.Cost, max(ask.Count, 0), 0
	if ask.Count < 0 || ask.Cost < 0 {
		cost = 0 // nonsense, and refused as such
	}
	if ask.Turn {
		most = -most
	}
	if l.Sealed {
		sealed = 1
	}
	return append(args, cost, "l", most, startText(l.ID), l.ID.Seq, l.Milli, l.Spent, l.Left, sealed)
}

// startText is how a holder is written.
func startText(id bucket.LeaseID) string { return strconv.FormatUint(id.Start, 36) }

// read reads the reply to the call for groups.
func (s bucketStore) read(c *call, sent time.Time, groups []group, in []port.TakeRequest, out []port.TakeReply) error {
	n, err := c.numbers()
	if err != nil {
		return err
	}
	s.clock.hear(n[1], sent)
	switch n[2] {
	case 0:
		return s.readTake(n[1], n[3:], groups, in, out)
	case 1:
		return ErrStale
	default:
		return ErrReply
	}
}

// readTake reads what was decided of groups at that time of the server's.
func (s bucketStore) readTake(at int64, n []int64, groups []group, in []port.TakeRequest, out []port.TakeReply) error {
	for _, g := range groups {
		if len(n) > 0 && n[0] < 0 {
			if !in[g.begin].IsPlain() || g.end-g.begin != 1 || !within(-1-n[0], domain.MaxCredits) {
				return ErrReply
			}
			out[g.begin] = port.TakeReply{Granted: in[g.begin].Count, Remaining: -1 - n[0]}
			n = n[1:]
			continue
		}
		if len(n) < 2+answerNumbers*(g.end-g.begin) || !within(n[0], answerNewer) || !within(n[1], 1) {
			return ErrReply
		}
		trouble, foreign := s.troubleOf(n[0], g.key), n[1] != 0
		n = n[2:]
		for i := g.begin; i < g.end; i++ {
			switch {
			case trouble != nil:
				out[i] = port.TakeReply{Err: wrong(s.take.op, in[i].Bucket.Name, trouble)}
			case !possible(n, &in[i].Ask):
				return ErrReply
			default:
				out[i] = takeReply(at, n, &in[i].Ask, foreign)
			}
			n = n[answerNumbers:]
		}
	}
	if len(n) > 0 {
		return ErrReply
	}
	return nil
}

// possible reports whether the script can have answered n to ask: more than was
// asked for must never be admitted, and a denial says when to come again.
func possible(n []int64, ask *bucket.Ask) bool {
	most := max(ask.Count, 0)
	switch {
	case ask.Bill != 0, ask.Order != nil:
		most = 1
	case ask.Return != nil:
		return within(n[0], max(ask.Return.Tokens, -ask.Return.Tokens)) && within(n[1], domain.MaxCredits) && n[2] == 0 && n[3] == 0
	}
	if !within(n[0], most) || !within(n[1], domain.MaxCredits) {
		return false
	}
	if ask.HasPlace(n[0], n[2]) {
		return within(n[2], min(ask.WaitMicro, bucket.MaxWaitMicro)) && within(n[3], bucket.MaxWaitMicro)
	}
	if !within(n[3], domain.MaxBands-1) {
		return false
	}
	if n[2] == bucket.Never {
		return n[0] == 0
	}
	if ask.Lease != nil {
		return within(n[2], exact)
	}
	return within(n[2], exact) && (n[0] == most || n[2] > 0)
}

func takeReply(at int64, n []int64, ask *bucket.Ask, foreign bool) port.TakeReply {
	r := port.TakeReply{Granted: n[0], Remaining: n[1], Band: int(n[3]), Foreign: foreign}
	switch {
	case n[2] == bucket.Never:
		r.TooHigh = true
	case ask.HasPlace(n[0], n[2]):
		r.Wait, r.DueMicro, r.StepMicro, r.Band = micros(n[2]), at+n[2], n[3], 0
	default:
		r.RetryAfter = micros(n[2])
	}
	return r
}

// troubleOf is the error that the state of an answer means; what cannot be read
// is healed by the next call.
func (s *Store) troubleOf(state int64, key string) error {
	switch state {
	case answerDecided:
		return nil
	case answerUnreadable:
		s.heals.note(key)
		return ErrUnreadable
	case answerNewer:
		return ErrNewer
	case answerStale:
		return ErrStale
	case answerAhead:
		return port.ErrAhead
	default:
		return ErrReply
	}
}

func (s bucketStore) fail(ctx context.Context, groups []group, in []port.TakeRequest, out []port.TakeReply, err error) {
	err = s.link.explained(ctx, timely(ctx, err))
	for _, g := range groups {
		for i := g.begin; i < g.end; i++ {
			out[i] = port.TakeReply{Err: wrong(s.take.op, in[i].Bucket.Name, err)}
		}
	}
}
