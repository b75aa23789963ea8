package fleet

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
	"github.com/holdfast-go/holdfast/domain/port"
)

// A KeyedBreaker has a breaker for each key (shard, cell, zone, host): what fails for
// one key stops no other. The key comes with the call.
//
// Keys are bounded in number by the policy's MaxKeys. A key that was not called for a
// minute, or Window if that is longer, and is closed, loses its breaker; where room is
// needed, the one that was called longest ago does so after Window. One that is open
// keeps it to its end and for MaxRecoveryTimeout more. If there is no room, calls of
// further keys run without a breaker: none is refused, and an event tells.
//
// More open keys than MaxOpenShare mean that the trouble is a common one. Then, as long
// as that is so, an open breaker lets up to Probes calls at a time through, the first
// one a tenth of RecoveryTimeout after it opened and one more so long after each that
// failed. One that succeeds makes it half-open before its time. The share is that of
// the keys that were called, or changed state, in the last minute (or Window), as this
// replica sees it; half-open ones count as open. Where the fleet's layer is open, each
// replica lets that many calls through, and its time stays as it is. What an operator
// opened stays shut.
//
// With a Sharing other than ShareLocal each key's breaker is the fleet's of that name
// and key.
//
// Most callers should use a guard. It is safe for concurrent use.
type KeyedBreaker struct {
	replica  *Replica
	settings atomic.Pointer[keyedSettings]
	updating sync.Mutex // keeps updates in one order
	seats    seats

	exceeded    atomic.Bool  // too many keys are open: changed under seats.mu
	unprotected atomic.Int64 // calls of keys for which there was no room
	crowdedAt   atomic.Int64 // when that was last told; 0 = never
	toldOf      atomic.Int64 // unprotected calls then
}

// keyedSettings are what a policy comes to. They are replaced as a whole.
type keyedSettings struct {
	policy domain.CircuitBreaker
	rules  breaker.Rules
	most   breaker.Cap
	lately time.Duration // a key that was called within it is one of those that count
	tick   time.Duration // to which it is known when a key was called
}

// idle is after how long without a call a closed breaker has nothing in its window.
func (s *keyedSettings) idle() time.Duration { return s.policy.Window + s.tick }

func newKeyedBreaker(r *Replica, p domain.CircuitBreaker) (*KeyedBreaker, error) {
	if err := domain.ValidateName("circuit_breaker", p.Name); err != nil {
		return nil, err
	}
	if !p.Keyed {
		return nil, &domain.PolicyError{Policy: "circuit_breaker", Field: "Keyed", Reason: "is not set: the breaker has no keys"}
	}
	if _, taken := r.breakers[p.Name]; taken {
		return nil, &conflictError{p.Name}
	}
	k := &KeyedBreaker{replica: r}
	set, err := k.compile(p)
	if err != nil {
		return nil, err
	}
	if err := r.canShare(set.policy); err != nil {
		return nil, err
	}
	k.settings.Store(set)
	return k, nil
}

func (k *KeyedBreaker) compile(p domain.CircuitBreaker) (*keyedSettings, error) {
	p = k.replica.resolveBreaker(p)
	rules, err := breaker.Compile(p)
	if err != nil {
		return nil, err
	}
	return &keyedSettings{
		policy: p, rules: rules, most: breaker.NewCap(p), lately: max(idleAfter, p.Window), tick: p.Window / 8,
	}, nil
}

// Policy returns the policy in force here, with its defaults filled in.
func (k *KeyedBreaker) Policy() domain.CircuitBreaker { return k.settings.Load().policy }

// shared reports whether the fleet has a layer of each key's breaker.
func (s *keyedSettings) shared() bool { return s.policy.Sharing != domain.ShareLocal }

// Update changes the numbers of all keys, as [Breaker.Update] does. A lower MaxKeys
// takes no breaker away: until so many are gone by themselves, further keys have none.
// An invalid policy, or one of another name, sharing or kind of key, is refused and
// changes nothing.
func (k *KeyedBreaker) Update(p domain.CircuitBreaker) error {
	set, err := k.compile(p)
	if err != nil {
		return err
	}
	if err := k.replica.canShare(set.policy); err != nil {
		return err
	}
	k.updating.Lock()
	defer k.updating.Unlock()
	if old := k.Policy(); p.Name != old.Name || set.policy.Sharing != old.Sharing || !p.Keyed {
		return &domain.PolicyError{
			Policy: "circuit_breaker", Field: "Name", Reason: "and Sharing and Keyed cannot change: they say which breakers there are",
		}
	}
	k.seats.mu.Lock()
	k.settings.Store(set) // breakers that are made from now on have it
	k.judge(set)
	k.seats.mu.Unlock()
	for _, b := range k.breakers() {
		if err := b.Update(set.policy); err != nil {
			return err // cannot be: it was compiled, and the store can
		}
	}
	return nil
}

// Acquire asks for one call of a key. Its error matches exactly one of
// [domain.ErrKeyMissing] for an empty key, [domain.ErrCircuitOpen] (a
// [*domain.CircuitOpenError] says which key's breaker, and whose layer, refused, and
// for how long), [domain.ErrClosed], or the cause of ctx. The Permit must be reported
// once the call has ended, whatever came of it. While it is not, and for an hour, its
// key keeps its breaker.
func (k *KeyedBreaker) Acquire(ctx context.Context, key string) (Permit, error) {
	return k.AcquireWithin(ctx, key, nil)
}

// AcquireWithin is Acquire within what is left of budget, which may be nil for
// all of StoreTimeout; what it spends waiting for the store is taken from it.
func (k *KeyedBreaker) AcquireWithin(ctx context.Context, key string, budget *Budget) (Permit, error) {
	if ctx.Err() != nil {
		return Permit{}, context.Cause(ctx)
	}
	s := k.seated(key)
	if s == nil {
		return Permit{}, k.unseated(key)
	}
	p, err := s.breaker.AcquireWithin(ctx, budget)
	switch {
	case err != nil:
		return k.refused(s, err)
	case p.pass == nil: // nobody will report it: an operator lets all calls pass
		s.leave(k.replica.clock.now())
	}
	return p, nil
}

// seated finds the seat of a key and enters it, without a lock where it is there
// already; nil if it has none.
func (k *KeyedBreaker) seated(key string) *seat {
	if s := k.seats.find(key); s != nil && s.enter() {
		return s
	}
	if key == "" || k.replica.closed.Load() {
		return nil
	}
	return k.sit(key)
}

// unseated is the error of a call whose key has no breaker; nil where that is for want
// of room.
func (k *KeyedBreaker) unseated(key string) error {
	switch {
	case key == "":
		return fmt.Errorf("%w: breaker %q", domain.ErrKeyMissing, k.Policy().Name)
	case k.replica.closed.Load():
		return domain.ErrClosed
	default:
		k.crowded()
		return nil
	}
}

// crowded notes a call without a breaker, and tells so once a minute.
func (k *KeyedBreaker) crowded() {
	calls := k.unprotected.Add(1)
	now := max(int64(k.replica.clock.now()), 1)
	before := k.crowdedAt.Load()
	if (before != 0 && now-before < int64(quietFor)) || !k.crowdedAt.CompareAndSwap(before, now) {
		return
	}
	p := k.Policy()
	k.replica.emit(domain.Event{
		Kind: domain.EventKeysFull, Name: p.Name, Scope: domain.ScopeReplica,
		Reason: fmt.Sprintf("%d keys are in use: %d more calls went without a breaker", p.MaxKeys, calls-k.toldOf.Swap(calls)),
	})
}

// refused ends a call that its key's breaker did not let through, unless too many keys
// are open to believe that.
func (k *KeyedBreaker) refused(s *seat, err error) (Permit, error) {
	now := k.replica.clock.now()
	s.used(now)
	if open, is := errors.AsType[*domain.CircuitOpenError](err); is && open.Scope != domain.ScopeOperator && k.exceeded.Load() {
		p, ok, retryAfter := s.breaker.admitEarly(now)
		if ok {
			return p, nil
		}
		if retryAfter > 0 {
			open.RetryAfter = min(open.RetryAfter, retryAfter)
		}
	}
	s.out.Add(-1)
	return Permit{}, err
}

// admitEarly lets a call through that a layer refused since it is open.
func (b *Breaker) admitEarly(now time.Duration) (p Permit, ok bool, retryAfter time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fleet.closed() && b.local.State() == domain.StateClosed {
		return Permit{}, false, 0 // it is the ramp that refused
	}
	if !b.fleet.closed() && (b.fleet.state != domain.StateOpen || now >= b.fleet.until) {
		return Permit{}, false, 0 // half-open: its probes are leases
	}
	ticket, ok, retryAfter := b.local.AdmitEarly(now)
	if !ok {
		return Permit{}, false, retryAfter
	}
	return newPermit(b, ticket), true, 0
}

// make makes the breaker of a key.
func (k *KeyedBreaker) make(key string, now time.Duration) *Breaker {
	set := k.settings.Load()
	k.replica.mu.Lock()
	defer k.replica.mu.Unlock()
	b := k.replica.breakerLocked(port.ID{Name: set.policy.Name, Key: key}, set.policy, set.rules)
	// This replica may have told the fleet of this key before, and forgotten that: what
	// it says from now on is newer. It never said more than one thing in a microsecond.
	b.report.seqFrom = uint64(now.Microseconds())
	b.report.seq = b.report.seqFrom
	return b
}
