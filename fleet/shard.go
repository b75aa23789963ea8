package fleet

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
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
	flights *flight.Shard[*lane, demand, port.TakeReply]
	trouble atomic.Pointer[downError] // the last failure
	sample  atomic.Pointer[trial]     // of any bucket or bulkhead of this part, to try it with; nil = none is used
	unwell  atomic.Bool               // the last call that was to write failed

	edges sync.Mutex    // keeps changes of health and what is told of them in one order
	loud  time.Duration // when the store was last found misconfigured; 0 = never

	mu      sync.Mutex
	debtors map[*lane]struct{} // admitted calls while the store was out of reach; nil: the replica is closed
}

// A downError says why the store is not even asked.
type downError struct {
	config bool
	err    error
}

func (e *downError) Error() string { return "it did not answer lately: " + e.err.Error() }

func (e *downError) Unwrap() error { return e.err }

// shardOf returns the shard of an entity, by the sharding of the port that keeps it
// where that has one.
func (r *Replica) shardOf(keeper any, id port.ID) *shard {
	number := shardNumber(keeper, id)
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.shardLocked(number)
}

func shardNumber(keeper any, id port.ID) uint32 {
	if s, ok := keeper.(port.Sharder); ok {
		return s.Shard(id)
	}
	return 0
}

// shardLocked makes or finds a shard. It requires that r.mu is held.
func (r *Replica) shardLocked(number uint32) *shard {
	s := r.shards[number]
	if s == nil {
		s = &shard{replica: r, debtors: make(map[*lane]struct{})}
		s.flights = flight.NewShard(flight.Config[*lane, demand, port.TakeReply]{
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

// record keeps the health of the store after a call that was to write.
func (s *shard) record(err error) {
	s.unwell.Store(err != nil && !isOfEntity(err))
	s.note(err)
}

// isOfEntity reports whether err is trouble with one entity, which says that the
// store answered.
func isOfEntity(err error) bool {
	trouble, ok := errors.AsType[*domain.StoreError](err)
	return ok && trouble.Entity
}

// recordRead is record for a call that changes nothing. It can fail as any other,
// but its success says little: a store that is full, or a read replica, answers
// reads, and is not well.
func (s *shard) recordRead(err error) {
	if err != nil || (s.health.Up() && !s.unwell.Load()) {
		s.note(err)
	}
}

// recordBeat is record for a beat, which may pass where other calls do not: it
// has rights of its own, and its first command frees memory. If the store is not
// well it lets it be tried, also when nobody calls: bills wait for that. Who uses
// neither a bucket nor a bulkhead has nothing better than the beat.
func (s *shard) recordBeat(err error) {
	up := s.health.Up()
	sample := s.sample.Load()
	switch {
	case err != nil || (up && !s.unwell.Load()):
		s.note(err)
	case up && sample != nil:
		s.ask(*sample)
	case up:
	case sample != nil:
		s.try(nil)
	case !s.trouble.Load().config:
		s.note(nil)
	}
}

// note keeps the health of the store after a call that failed, or did not.
func (s *shard) note(err error) {
	if err == nil || isOfEntity(err) {
		s.answered()
		return
	}
	if s.replica.ctx.Err() != nil {
		return // the replica is closing: that is no fault of the store
	}
	down := &downError{err: err}
	if trouble, ok := errors.AsType[*domain.StoreError](err); ok {
		down.config, down.err = trouble.Config, trouble.Err
	}
	s.trouble.Store(down)
	now := s.replica.clock.now()
	s.edges.Lock()
	defer s.edges.Unlock()
	if down.config {
		s.misconfigured(now, err)
	}
	if s.health.Failed(now, s.replica.random.Float64()) {
		s.replica.emit(domain.Event{Kind: domain.EventStoreDown, Reason: err.Error()})
	}
}

func (s *shard) answered() {
	s.edges.Lock()
	cameUp := s.health.Answered()
	if cameUp {
		s.replica.emit(domain.Event{Kind: domain.EventStoreUp})
	}
	s.edges.Unlock()
	s.collect(cameUp)
}

// quietFor is for how long something must not have been seen before it is told
// again.
const quietFor = time.Minute

// misconfigured is loud, once: it does not mend itself, and a store on which
// only some rights are missing goes up and down. It requires that s.edges is
// held.
func (s *shard) misconfigured(now time.Duration, err error) {
	if s.loud == 0 || now-s.loud > quietFor {
		s.replica.emit(domain.Event{Kind: domain.EventStoreConfig, Reason: err.Error()})
	}
	s.loud = max(now, 1)
}

// collectMost is how many lanes are asked to pay after one answer: about those
// that can fly before the next.
const collectMost = 256

// collect lets lanes that owe fly, to pay: also those whose bill rests, if the
// store just came back. Each answer of the store collects some more, until
// nobody owes.
func (s *shard) collect(cameUp bool) {
	s.mu.Lock()
	if len(s.debtors) == 0 {
		s.mu.Unlock()
		return
	}
	owing := make([]*lane, 0, min(len(s.debtors), collectMost))
	for l := range s.debtors {
		if owing = append(owing, l); len(owing) == collectMost {
			break
		}
	}
	s.mu.Unlock()
	now := s.replica.clock.now()
	due := make([]*laneFlights, 0, len(owing))
	for _, l := range owing {
		if cameUp || l.local.due(l, now) {
			due = append(due, &l.flight)
		}
	}
	s.flights.Kick(due...)
}

func (s *shard) owes(l *lane, owing bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !owing:
		delete(s.debtors, l)
	case s.debtors != nil:
		s.debtors[l] = struct{}{}
	}
}

// forgive forgets all that is owed, for good.
func (s *shard) forgive() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.debtors = nil
}

// A trial is a call that writes, and changes nothing.
type trial func(context.Context) error

// tryWith notes what the store can be tried with.
func (s *shard) tryWith(q trial) { s.sample.CompareAndSwap(nil, &q) }

// try makes one trial, if the store is down and one is due: with what there is to try it
// with or, where that is nothing, otherwise. No caller waits for it.
func (s *shard) try(otherwise trial) {
	with := otherwise
	if sample := s.sample.Load(); sample != nil {
		with = *sample
	}
	if s.health.Trial(s.replica.clock.now(), s.replica.config.StoreTimeout) {
		s.ask(with)
	}
}

// ask lets the answer to a trial say how the store is.
func (s *shard) ask(with trial) {
	s.replica.spawn(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, s.replica.config.StoreTimeout)
		defer cancel()
		s.record(with(ctx))
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
