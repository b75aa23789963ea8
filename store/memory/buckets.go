package memory

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/bucket"
	"github.com/holdfast-go/holdfast/domain/port"
)

// shardCount spreads the lock of the map of buckets; each bucket has its own.
const shardCount = 64

// sweepMin is the smallest part of a shard that is worth sweeping.
const sweepMin = 64

var errFull = errors.New("the store has as many live keys as it may")

// buckets implements port.BucketStore and port.Binder.
type buckets struct {
	now    func() int64
	seed   maphash.Seed
	shards [shardCount]shard
}

type shard struct {
	mu      sync.Mutex
	entries map[port.ID]*entry
	limit   int
	sweepAt int // the size at which it is next worth looking for dead entries
}

// An entry is one bucket. gone is set when it was dropped from its shard: one
// who still holds it has to look it up again.
type entry struct {
	mu    sync.Mutex
	state bucket.State
	gone  bool
}

func (b *buckets) init(now func() int64, maxKeys int) {
	b.now, b.seed = now, maphash.MakeSeed()
	for i := range b.shards {
		b.shards[i] = shard{
			entries: make(map[port.ID]*entry),
			limit:   (maxKeys + shardCount - 1) / shardCount,
			sweepAt: sweepMin,
		}
	}
}

// Take decides requests one after the other. It never fails but for a store
// that is full, or a ctx that is done.
func (b *buckets) Take(ctx context.Context, in []port.TakeRequest, out []port.TakeReply) {
	for i := 0; i < len(in); {
		n := i + 1
		for n < len(in) && in[n].Bucket == in[i].Bucket && in[n].Rule == in[i].Rule && in[n].Manner == in[i].Manner {
			n++
		}
		b.takeOne(ctx, in[i:n], out[i:n])
		i = n
	}
}

// takeOne answers requests to one bucket under one rule, which share a turn.
func (b *buckets) takeOne(ctx context.Context, in []port.TakeRequest, out []port.TakeReply) {
	e, err := b.lock(in[0].Bucket)
	if err == nil {
		defer e.mu.Unlock()
		err = context.Cause(ctx)
	}
	if err != nil {
		for i := range out {
			out[i] = port.TakeReply{Err: failed(in[i].Bucket, err)}
		}
		return
	}
	asks := make([]bucket.Ask, len(in))
	answers := make([]bucket.Answer, len(in))
	for i := range in {
		asks[i] = in[i].Ask
	}
	now := b.now()
	foreign := e.state.Decide(now, &in[0].Rule, in[0].Manner, asks, answers)
	for i := range answers {
		out[i] = port.TakeReply{}
		tell(&out[i], now, &asks[i], &answers[i], foreign)
	}
}

// failed is the error of a bucket that could not be decided. That there is no
// room for it is its own trouble: the others are decided.
func failed(id port.ID, err error) error {
	return &domain.StoreError{Op: "bucket take", Name: id.Name, Entity: err == errFull, Err: err} //nolint:errorlint // as lock returns it
}

// tell fills in a reply, in place: copying one takes as long as deciding it.
func tell(r *port.TakeReply, nowMicro int64, ask *bucket.Ask, a *bucket.Answer, foreign bool) {
	r.Granted, r.Remaining, r.Band, r.Foreign = a.Granted, a.Remaining, a.Band, foreign
	switch after := time.Duration(a.RetryMicro) * time.Microsecond; {
	case a.RetryMicro == bucket.Never:
		r.TooHigh = true
	case ask.HasPlace(a.Granted, a.RetryMicro):
		r.Wait, r.DueMicro, r.StepMicro = after, nowMicro+a.RetryMicro, a.StepMicro
	default:
		r.RetryAfter = after
	}
}

// lock returns the entry of id, locked.
func (b *buckets) lock(id port.ID) (*entry, error) {
	s := &b.shards[maphash.Comparable(b.seed, id)%shardCount]
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[id]
	if e == nil {
		if len(s.entries) >= min(s.sweepAt, s.limit) {
			s.sweep(b.now())
		}
		if len(s.entries) >= s.limit {
			return nil, errFull
		}
		e = &entry{}
		s.entries[id] = e
	}
	e.mu.Lock()
	return e, nil
}

// sweep drops the buckets that are full again: they are as good as none. It
// requires that s.mu is held.
func (s *shard) sweep(nowMicro int64) {
	for id, e := range s.entries {
		if !e.mu.TryLock() {
			continue // in use, so not worth dropping
		}
		if nowMicro-e.state.AtMicro >= e.state.FullMicro() {
			e.gone = true
			delete(s.entries, id)
		}
		e.mu.Unlock()
	}
	s.sweepAt = max(2*len(s.entries), sweepMin)
}

// Lends says that buckets heed asks for leases.
func (b *buckets) Lends() {}

// Obeys says that buckets heed an operator's orders.
func (b *buckets) Obeys() {}

// Queues says that buckets have queues, and heed returns.
func (b *buckets) Queues() {}

// Bind returns the bucket of id under r, in that manner.
func (b *buckets) Bind(id port.ID, r bucket.Rule, how bucket.Manner) port.BoundBucket {
	return &bound{store: b, id: id, rule: r, how: how}
}

type bound struct {
	store *buckets
	id    port.ID
	rule  bucket.Rule
	how   bucket.Manner

	entry atomic.Pointer[entry] // the one it used last
}

// Take decides at once.
func (b *bound) Take(ask bucket.Ask) (r port.TakeReply) {
	now := b.store.now() // before the lock, which others wait for: who comes a little late comes as if at once
	e, err := b.lock()
	if err != nil {
		r.Err = failed(b.id, err)
		return r
	}
	var answer bucket.Answer
	foreign := e.state.DecideOne(now, &b.rule, b.how, &ask, &answer)
	e.mu.Unlock()
	tell(&r, now, &ask, &answer, foreign)
	return r
}

// lock returns the bucket's entry, locked: the one it used last, unless the
// store dropped it meanwhile.
func (b *bound) lock() (*entry, error) {
	if e := b.entry.Load(); e != nil {
		e.mu.Lock()
		if !e.gone {
			return e, nil
		}
		e.mu.Unlock()
	}
	e, err := b.store.lock(b.id)
	if err == nil {
		b.entry.Store(e)
	}
	return e, err
}
