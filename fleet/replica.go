package fleet

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
)

// A Replica is this process's membership in a fleet: it owns every goroutine,
// flight and timer of its parts, and what is known of the store's health. One is
// enough for a process. It is safe for concurrent use.
type Replica struct {
	stores      port.Stores // what is called
	bare        port.Stores // the same, to be asked what they can do
	config      Config
	clock       clock
	random      *rand.Rand // safe for concurrent use, as its source is
	incarnation string
	events      eventQueue // to the listener
	lines       eventQueue // to the log, which a slow listener must not hold up

	ctx    context.Context //nolint:containedctx // the life of the goroutines that this owns
	cancel context.CancelCauseFunc
	begun  sync.Once
	life   sync.Mutex // of closed and wait: no goroutine starts once it is closed
	closed atomic.Bool
	wait   sync.WaitGroup

	members atomic.Int64 // last seen; 0 = never

	mu        sync.Mutex
	limiters  map[string]*Limiter
	breakers  map[string]*Breaker
	keyed     map[string]*KeyedBreaker
	budgets   map[string]*RetryBudget
	bulkheads map[string]*Bulkhead
	locks     map[string]*Exclusive
	shards    map[uint32]*shard
	pulses    map[*shard]*pulse // of shared breakers
	watching  sync.Once
}

// Join makes this process a replica of the fleet that shares stores. It makes
// no store call and starts no goroutine: the first use does, so it works while
// the store is down. Close ends the membership.
func Join(stores port.Stores, c Config) (*Replica, error) {
	if c.ExpectedReplicas < 0 {
		return nil, &domain.PolicyError{Policy: "config", Field: "ExpectedReplicas", Reason: "is negative"}
	}
	if c.Build < 0 {
		return nil, &domain.PolicyError{Policy: "config", Field: "Build", Reason: "is negative"}
	}
	if c.StoreTimeout < 0 {
		return nil, &domain.PolicyError{Policy: "config", Field: "StoreTimeout", Reason: "is negative"}
	}
	if c.MaxStaleness < 0 {
		return nil, &domain.PolicyError{Policy: "config", Field: "MaxStaleness", Reason: "is negative"}
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	config := c.withDefaults()
	r := &Replica{
		bare:        stores,
		config:      config,
		random:      rand.New(config.random),
		clock:       newClock(),
		incarnation: incarnationOf(c.ID),
		ctx:         ctx,
		cancel:      cancel,
		limiters:    make(map[string]*Limiter),
		breakers:    make(map[string]*Breaker),
		keyed:       make(map[string]*KeyedBreaker),
		budgets:     make(map[string]*RetryBudget),
		bulkheads:   make(map[string]*Bulkhead),
		locks:       make(map[string]*Exclusive),
		shards:      make(map[uint32]*shard),
		pulses:      make(map[*shard]*pulse),
	}
	r.stores = r.observed(stores)
	r.events = eventQueue{listen: c.OnEvent, log: r.config.Logger, spawn: r.spawn}
	r.lines = eventQueue{log: r.config.Logger, spawn: r.spawn}
	if c.Logger != nil {
		r.lines.listen = func(e domain.Event) { logEvent(c.Logger, e) }
	}
	if adviser, ok := stores.Buckets.(port.Adviser); ok {
		for _, warning := range adviser.Warnings() {
			r.config.Logger.Warn("holdfast: the store's client is not set up well", "why", warning)
		}
	}
	return r, nil
}

// Config returns the configuration with its defaults filled in.
func (r *Replica) Config() Config { return r.config }

// Limiter makes the limit of p's name, or finds it. A name that stands for
// other settings already is [domain.ErrConflict]; an invalid policy, or one
// without a name, a [*domain.PolicyError]; a store without buckets,
// [domain.ErrInvalidPolicy].
func (r *Replica) Limiter(p domain.RateLimit) (*Limiter, error) {
	return part(r, r.limiters, p.Name, func() (*Limiter, error) { return newLimiter(r, p) }, func(l *Limiter) bool {
		return l.Policy() == l.resolve(p)
	})
}

// Breaker makes the breaker of p's name, or finds it, with errors as Limiter's.
func (r *Replica) Breaker(p domain.CircuitBreaker) (*Breaker, error) {
	return part(r, r.breakers, p.Name, func() (*Breaker, error) { return newBreaker(r, p) }, func(b *Breaker) bool {
		return b.Policy() == r.resolveBreaker(p)
	})
}

// KeyedBreaker makes the breaker of p's name that is Keyed, or finds it, with errors as
// Limiter's. The name stands for no other breaker then.
func (r *Replica) KeyedBreaker(p domain.CircuitBreaker) (*KeyedBreaker, error) {
	return part(r, r.keyed, p.Name, func() (*KeyedBreaker, error) { return newKeyedBreaker(r, p) }, func(k *KeyedBreaker) bool {
		return k.Policy() == r.resolveBreaker(p)
	})
}

// part makes or finds the part of a name.
func part[P any](r *Replica, parts map[string]*P, name string, create func() (*P, error), same func(*P) bool) (*P, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if found, ok := parts[name]; ok {
		if !same(found) {
			return nil, &conflictError{name}
		}
		return found, nil
	}
	made, err := create()
	if err != nil {
		return nil, err
	}
	parts[name] = made
	return made, nil
}

// conflictError matches domain.ErrConflict.
type conflictError struct{ name string }

func (e *conflictError) Error() string {
	return domain.ErrConflict.Error() + ": " + `"` + e.name + `" stands for other settings already`
}

func (e *conflictError) Unwrap() error { return domain.ErrConflict }

// FindLimiter finds a limit that was made.
func (r *Replica) FindLimiter(name string) (*Limiter, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l, ok := r.limiters[name]
	return l, ok
}

// FindBreaker finds a breaker that was made.
func (r *Replica) FindBreaker(name string) (*Breaker, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b, ok := r.breakers[name]
	return b, ok
}

// FindKeyedBreaker finds a keyed breaker that was made.
func (r *Replica) FindKeyedBreaker(name string) (*KeyedBreaker, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k, ok := r.keyed[name]
	return k, ok
}

// FindRetryBudget finds a retry budget that was made.
func (r *Replica) FindRetryBudget(name string) (*RetryBudget, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b, ok := r.budgets[name]
	return b, ok
}

// Health is what a replica knows of its store.
type Health struct {
	StoreDown bool          // some part of the store does not answer
	Since     time.Duration // for how long, at the most
	Replicas  int           // members last seen; 0 = not known
}

// Health reads what is known. It makes no store call.
func (r *Replica) Health() Health {
	h := Health{Replicas: int(r.members.Load())}
	now := r.clock.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.shards {
		if since, down := s.health.DownSince(); down {
			h.StoreDown = true
			h.Since = max(h.Since, now-since)
		}
	}
	return h
}

// begin starts the replica's standing work at its first use.
func (r *Replica) begin() {
	r.begun.Do(func() {
		if r.stores.Members != nil {
			r.spawn(r.beat)
		}
	})
}

// spawn runs f on a goroutine that Close waits for. It reports false once the
// replica is closed. It may be called under any lock of this package.
func (r *Replica) spawn(f func(context.Context)) bool {
	r.life.Lock()
	defer r.life.Unlock()
	if r.closed.Load() {
		return false
	}
	r.wait.Go(func() { f(r.ctx) })
	return true
}

// Close ends the membership: calls get [domain.ErrClosed] from now on, this
// replica's votes are withdrawn, and every goroutine ends. It waits for that
// until ctx ends, and then returns its cause; the goroutines end all the same.
// Closing twice is as closing once.
func (r *Replica) Close(ctx context.Context) error {
	r.life.Lock()
	first := !r.closed.Swap(true)
	r.life.Unlock()
	if first {
		r.shutGates()
		r.leave(ctx)
		r.cancel(domain.ErrClosed)
	}
	ended := make(chan struct{})
	go func() {
		r.wait.Wait()
		r.forget()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// forget lets go of what was kept for calls to come: who holds on to a limit of a
// closed replica does not hold on to its buckets. The parts themselves stay, to be
// looked at.
func (r *Replica) forget() {
	limiters := r.everyLimiter()
	r.mu.Lock()
	shards := slices.Collect(maps.Values(r.shards))
	r.mu.Unlock()
	for _, l := range limiters {
		l.lanes.drop()
	}
	for _, s := range shards {
		s.forgive()
	}
	for _, b := range r.everyBreaker() {
		b.mu.Lock()
		b.probe.held = nil
		b.dropRamp()
		b.mu.Unlock()
	}
	for _, k := range r.everyKeyed() {
		k.drop()
	}
}

// everyLimiter is all limits that were made.
func (r *Replica) everyLimiter() []*Limiter {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Values(r.limiters))
}

// shutGates sends every Acquire the way on which it is refused.
func (r *Replica) shutGates() {
	for _, b := range r.everyBreaker() {
		b.mu.Lock()
		b.regate()
		b.mu.Unlock()
	}
}

// leave withdraws what this replica told the fleet, within one StoreTimeout.
func (r *Replica) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, r.config.StoreTimeout)
	defer cancel()
	r.returnLeases(ctx)
	r.returnPlaces(ctx)
	r.returnPermits(ctx)
	r.withdraw(ctx)
	if r.stores.Members != nil && r.members.Load() > 0 {
		_, _ = r.stores.Members.Beat(ctx, r.incarnation, 0) // it expires by itself otherwise
	}
}

// sleep waits, and reports false when ctx, or the replica, ended first.
func (r *Replica) sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-r.ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// emit tells an edge: to the log, and to the listener. It may be called under
// any lock: both hear of it on goroutines of their own.
func (r *Replica) emit(e domain.Event) {
	e.Replica = r.config.ID
	r.lines.add(e)
	r.events.add(e)
}
