package fleet

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
	"github.com/holdfast-go/holdfast/domain/port"
)

// A Breaker decides whether calls to one dependency may proceed, from what this
// replica saw and from what the whole fleet did.
//
// Acquire reads this replica's copy of the fleet's view: it calls the store
// only while half-open, for a probe, and on the first call after a minute of
// idleness. Outcomes are counted here; opinions are reported in the background.
//
// Most callers should use a guard. Use Acquire and Report when a call's end is
// not a function's return, as in streaming.
//
// It is safe for concurrent use.
type Breaker struct {
	replica *Replica
	id      port.ID
	shard   *shard
	pulse   *pulse // nil: nothing is shared
	seat    *seat  // nil: it has no key

	// gate is the closed epoch of the local layer while both layers are closed
	// and the copy is fresh; else 0. It lets Acquire pass without a lock.
	gate atomic.Uint64
	used atomic.Bool // since the pulse last looked

	mu     sync.Mutex
	policy domain.CircuitBreaker
	rules  breaker.Rules
	local  breaker.Local
	fleet  fleetView
	report reporting
	probe  probing
	check  *checker // nil: none was given

	slowAfter atomic.Int64 // the policy's, in ns, to be looked at without a lock; 0 = no call is slow

	rise *Limiter // of a ramp that a call has met, else nil; under mu, and behind what each call needs
}

func newBreaker(r *Replica, p domain.CircuitBreaker) (*Breaker, error) {
	if err := domain.ValidateName("circuit_breaker", p.Name); err != nil {
		return nil, err
	}
	if p.Keyed {
		return nil, &domain.PolicyError{Policy: "circuit_breaker", Field: "Keyed", Reason: "needs KeyedBreaker, whose calls bring the key"}
	}
	if _, taken := r.keyed[p.Name]; taken {
		return nil, &conflictError{p.Name}
	}
	p = r.resolveBreaker(p)
	rules, err := breaker.Compile(p)
	if err != nil {
		return nil, err
	}
	if err := r.canShare(p); err != nil {
		return nil, err
	}
	return r.breakerLocked(port.ID{Name: p.Name}, p, rules), nil
}

// canShare refuses to share, or to have a ramp, where the store cannot.
func (r *Replica) canShare(p domain.CircuitBreaker) error {
	if p.Sharing != domain.ShareLocal && (r.stores.Breakers == nil || r.stores.Views == nil) {
		return &domain.PolicyError{
			Policy: "circuit_breaker", Field: "Sharing", Reason: "needs a store with breakers, or ShareLocal",
		}
	}
	if p.Ramp > 0 && r.stores.Buckets == nil {
		return &domain.PolicyError{Policy: "circuit_breaker", Field: "Ramp", Reason: "needs a store with buckets"}
	}
	return nil
}

// breakerLocked makes a breaker of a policy that was resolved and compiled. It requires
// that r.mu is held.
func (r *Replica) breakerLocked(id port.ID, p domain.CircuitBreaker, rules breaker.Rules) *Breaker {
	b := &Breaker{replica: r, id: id}
	b.shard = r.shardLocked(shardNumber(r.bare.Breakers, b.id))
	if p.Sharing != domain.ShareLocal {
		b.pulse = r.pulseLocked(b.shard)
	}
	b.fleet.usedAt = -idleAfter
	b.policy, b.rules, b.local = p, rules, breaker.NewLocal(p)
	b.slowAfter.Store(int64(b.local.SlowAfter()))
	b.stagger()
	b.regate()
	return b
}

// resolveBreaker fills in a policy's defaults.
func (r *Replica) resolveBreaker(p domain.CircuitBreaker) domain.CircuitBreaker {
	if p.Version == 0 {
		p.Version = r.config.Build
	}
	return p.WithDefaults()
}

// Policy returns the policy in force here, with its defaults filled in.
func (b *Breaker) Policy() domain.CircuitBreaker {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.policy
}

// Update changes the breaker's numbers and keeps its state and counts; a Window
// of another length starts empty. An invalid policy, or one of another name or
// sharing, or with keys, is refused and changes nothing.
func (b *Breaker) Update(p domain.CircuitBreaker) error {
	p = b.replica.resolveBreaker(p)
	rules, err := breaker.Compile(p)
	if err != nil {
		return err
	}
	if err := b.replica.canShare(p); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.Name != b.policy.Name || p.Sharing != b.policy.Sharing || p.Keyed != b.policy.Keyed {
		return &domain.PolicyError{
			Policy: "circuit_breaker", Field: "Name", Reason: "and Sharing and Keyed cannot change: they say which breaker it is",
		}
	}
	b.policy, b.rules = p, rules
	b.local.Configure(p)
	b.slowAfter.Store(int64(b.local.SlowAfter()))
	return nil
}

// Acquire asks for one call. Its error matches exactly one of
// [domain.ErrCircuitOpen] (a [*domain.CircuitOpenError] says whose layer refused
// and for how long, or that an operator did), [domain.ErrClosed], or the cause of
// ctx. The Permit must be reported once the call has ended, whatever came of it.
func (b *Breaker) Acquire(ctx context.Context) (Permit, error) {
	return b.AcquireWithin(ctx, nil)
}

// AcquireWithin is Acquire within what is left of budget, which may be nil for
// all of StoreTimeout; what it spends waiting for the store is taken from it.
func (b *Breaker) AcquireWithin(ctx context.Context, budget *Budget) (Permit, error) {
	if ctx.Err() != nil {
		return Permit{}, context.Cause(ctx)
	}
	if epoch := b.gate.Load(); epoch != 0 {
		return newPermit(b, breaker.ClosedTicket(epoch)), nil
	}
	return b.acquire(ctx, budget, false)
}

// acquire is the way with a lock: some layer is not closed, or the copy of the
// fleet's view is not fresh. It says whether it is a health check that asks.
func (b *Breaker) acquire(ctx context.Context, budget *Budget, checks bool) (Permit, error) {
	if b.replica.closed.Load() {
		return Permit{}, domain.ErrClosed
	}
	b.used.Store(true)
	if budget == nil {
		budget = &Budget{} // reading the view and asking for a probe are one wait
	}
	if b.pulse != nil {
		b.replica.begin()
		b.pulse.begin()
		b.warm(ctx, budget)
		if err := b.ended(ctx); err != nil {
			return Permit{}, err
		}
	}
	p, ask, err := b.admit(budget, checks)
	if ask != nil {
		p, err = b.askProbe(ctx, budget, ask)
	}
	if err == nil {
		p, err = b.climb(ctx, budget, p)
	}
	return b.lenient(p, err)
}

// ended says why a call that waited must not go on: its caller left, or the
// replica closed.
func (b *Breaker) ended(ctx context.Context) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case b.replica.closed.Load():
		return domain.ErrClosed
	}
	return nil
}

// admit asks this replica's memory: both layers must let the call pass. While
// the fleet is half-open a lease has to be asked for.
func (b *Breaker) admit(budget *Budget, checks bool) (Permit, *question, error) {
	now := b.replica.clock.now()
	b.mu.Lock()
	defer b.unlock(now)
	if p, obeyed, err := b.obey(now); obeyed {
		return p, nil, err
	}
	if !b.fleet.closed() && !b.shard.health.Up() && now >= b.fleet.until {
		b.detach(now)
	}
	ticket, ok, retryAfter := b.local.Admit(now)
	if !ok {
		return Permit{}, nil, b.refusal(domain.ScopeReplica, retryAfter)
	}
	if b.fleet.closed() {
		return newPermit(b, ticket), nil, nil
	}
	ask, retryAfter := b.question(now, ticket)
	if !checks && b.check.covers(now) {
		ask = nil // the probes are the health check's
	}
	if ask == nil || budget.left(b.replica.config.StoreTimeout) <= 0 {
		b.local.Settle(now, ticket, domain.Ignored, 0)
		return Permit{}, nil, b.refusal(domain.ScopeFleet, retryAfter)
	}
	b.probe.asking = true
	return Permit{}, ask, nil
}

// unlock publishes what changed and lets b.mu go.
func (b *Breaker) unlock(now time.Duration) {
	b.settled(now)
	b.mu.Unlock()
}

func (b *Breaker) refusal(scope domain.Scope, retryAfter time.Duration) error {
	return &domain.CircuitOpenError{Name: b.id.Name, Key: b.id.Key, Scope: scope, RetryAfter: retryAfter}
}

// settled follows a change of either layer: the gate, its event, the opinion that
// the fleet should have, and the health check. It requires that b.mu is held.
func (b *Breaker) settled(now time.Duration) {
	b.regate()
	b.tellState(now)
	b.tellOpinion(now)
	if b.seat != nil {
		b.seat.turned(now)
	}
	b.check.follow()
}

// tellState emits the event of a local transition. It requires that b.mu is held.
func (b *Breaker) tellState(now time.Duration) {
	if state := b.local.State(); state != b.report.state {
		b.replica.emit(domain.Event{
			Kind: domain.EventBreaker, Name: b.id.Name, Key: b.id.Key, From: b.report.state, To: state,
			Scope: domain.ScopeReplica, Epoch: b.local.Epoch(), RetryAfter: b.local.RetryAfter(now),
		})
		b.report.state = state
		if state == domain.StateOpen {
			b.stagger()
		}
	}
}

// stagger draws by how much the next trip of the local layer is longer: where nothing is
// shared, replicas that tripped together would all probe at once. It requires that
// b.mu is held.
func (b *Breaker) stagger() {
	if b.pulse == nil {
		b.local.Stagger(int64(b.replica.jitter(staggerMille)))
	}
}

// staggerMille bounds it: a tenth.
const staggerMille = 101

// regate opens or shuts the way without a lock. It requires that b.mu is held.
func (b *Breaker) regate() {
	var epoch uint64
	fresh := b.pulse == nil || b.fleet.fresh
	itself := b.fleet.order.force == domain.ForceNone
	if fresh && itself && b.fleet.ramp.base == 0 && b.local.State() == domain.StateClosed && b.fleet.closed() && !b.replica.closed.Load() {
		epoch = b.local.Epoch()
	}
	if b.gate.Load() != epoch {
		b.gate.Store(epoch)
	}
}

// Status is a look at a breaker.
type Status struct {
	Name, Key    string       // a key only of a keyed breaker
	State        domain.State // what a call would meet: the stricter layer
	Scope        domain.Scope // whose layer that is
	Local, Fleet domain.State
	Epoch        uint64        // of the fleet's layer; 0 = never seen
	RetryAfter   time.Duration // how long it stays open, as far as known
	Calls        int64         // in this replica's window, that the dependency answered for
	Failures     int64         // of those
	Slow         int64         // of those calls, too
	Override     domain.Override
	Ramp         time.Duration // how long the ramp after closing still lasts
}

// Status reads the breaker and changes nothing.
func (b *Breaker) Status() Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.replica.clock.now()
	e := b.local.Evidence(now)
	s := Status{
		Name: b.id.Name, Key: b.id.Key, Local: b.local.State(), Fleet: b.fleet.state, Epoch: b.fleet.epoch,
		Calls: e.Calls, Failures: e.Failures, Slow: b.local.Slow(),
	}
	s.State, s.RetryAfter = s.Local, b.local.RetryAfter(now)
	if s.Fleet > s.Local && !b.fleet.closed() {
		s.State, s.Scope, s.RetryAfter = s.Fleet, domain.ScopeFleet, max(b.mayAskAt()-now, 0)
	}
	if b.fleet.ramp.base > 0 {
		s.Ramp = max(b.fleet.ramp.until-now, 0)
	}
	switch s.Override = b.override(now); s.Override.Force {
	case domain.ForceNone:
	case domain.ForceOpen:
		s.State, s.Scope, s.RetryAfter = domain.StateOpen, domain.ScopeOperator, s.Override.For
	default:
		s.State, s.Scope, s.RetryAfter = domain.StateClosed, domain.ScopeOperator, 0
	}
	return s
}
