package fleet

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet/internal/flight"
	"github.com/holdfast-go/holdfast/fleet/internal/outage"
)

// A shard is a part of the store that fails as one, as this replica sees it.
type shard struct {
	replica *Replica
	health  outage.Health
	flights *flight.Shard[*lane, int64, answer]

	mu      sync.Mutex
	debtors map[*lane]struct{} // admitted calls while the store was out of reach
	loud    bool               // a misconfiguration was told, and holds on
}

// shardOf returns the shard of an entity, by the store's own sharding where it
// has one.
func (r *Replica) shardOf(id port.ID) *shard {
	number := r.shardNumber(id)
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.shardLocked(number)
}

func (r *Replica) shardNumber(id port.ID) uint32 {
	if s, ok := r.stores.Buckets.(port.Sharder); ok {
		return s.Shard(id)
	}
	return 0
}

// shardLocked makes or finds a shard. It requires that r.mu is held.
func (r *Replica) shardLocked(number uint32) *shard {
	s := r.shards[number]
	if s == nil {
		s = &shard{replica: r, debtors: make(map[*lane]struct{})}
		s.flights = flight.NewShard(flight.Config[*lane, int64, answer]{
			Timeout:  r.config.StoreTimeout,
			Now:      r.clock.time,
			Fly:      s.fly,
			HandOver: handOver,
			Life:     r.ctx,
			Go:       r.spawn,
		})
		r.shards[number] = s
	}
	return s
}

// record keeps the health of the store after a call that failed, or did not.
// Trouble with one entity says that the store answered.
func (s *shard) record(err error) {
	trouble, ok := errors.AsType[*domain.StoreError](err)
	if err == nil || (ok && trouble.Entity) {
		s.answered()
		return
	}
	if s.replica.ctx.Err() != nil {
		return // the replica is closing: that is no fault of the store
	}
	if ok && trouble.Config {
		s.misconfigured(trouble)
	}
	if s.health.Failed(s.replica.clock.now(), rand.Float64()) {
		s.replica.config.Logger.Warn("holdfast: store down", "error", err)
		s.replica.emit(domain.Event{Kind: domain.EventStoreDown, Reason: err.Error()})
	}
}

func (s *shard) answered() {
	s.mu.Lock()
	s.loud = false
	s.mu.Unlock()
	if !s.health.Answered() {
		return
	}
	s.replica.emit(domain.Event{Kind: domain.EventStoreUp})
	s.collect()
}

// misconfigured is loud, once: it does not mend itself.
func (s *shard) misconfigured(err *domain.StoreError) {
	s.mu.Lock()
	first := !s.loud
	s.loud = true
	s.mu.Unlock()
	if first {
		s.replica.config.Logger.Error("holdfast: the store is misconfigured", "error", err)
		s.replica.emit(domain.Event{Kind: domain.EventStoreConfig, Reason: err.Error()})
	}
}

// collect lets every lane that owes fly once, to pay.
func (s *shard) collect() {
	s.mu.Lock()
	owing := make([]*lane, 0, len(s.debtors))
	for l := range s.debtors {
		owing = append(owing, l)
	}
	s.mu.Unlock()
	for _, l := range owing {
		l.flight.Kick()
	}
}

func (s *shard) owes(l *lane, owing bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if owing {
		s.debtors[l] = struct{}{}
	} else {
		delete(s.debtors, l)
	}
}

// try asks the store one question that changes nothing, if it is down and a
// trial is due. No caller waits for it.
func (s *shard) try(question func(context.Context) error) {
	timeout := s.replica.config.StoreTimeout
	if !s.health.Trial(s.replica.clock.now(), timeout) {
		return
	}
	s.replica.spawn(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		s.record(question(ctx))
	})
}

// downFor is how much of the time since the given instant the store was down.
func (s *shard) downFor(now, since time.Duration) time.Duration {
	down, ok := s.health.DownSince()
	if !ok {
		return 0
	}
	return max(now-max(since, down), 0)
}
