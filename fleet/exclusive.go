package fleet

import (
	"context"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
)

// How a replica asks for a lock that another one has: at first often, then less so.
const (
	lockAgain   = 50 * time.Millisecond
	lockRarely  = 500 * time.Millisecond
	extendParts = 3  // of a lease: after each of these a lock is extended
	extendWait  = 10 // of a lease: for how long an answer to that is waited for, at most
)

// An Exclusive lets one call in the fleet run at a time (see [domain.Exclusive]). It is
// safe for concurrent use.
//
// Calls of this replica go one after another, those who came first before the others:
// one of them at a time asks the store, and while one runs the others ask nothing.
type Exclusive struct {
	lockWay

	turn chan struct{} // holds one while a call has the lock, or asks for it

	mu     sync.Mutex
	policy domain.Exclusive
}

// Exclusive makes the exclusive of p's name, or finds it. A name that stands for other
// settings already is [domain.ErrConflict]; a policy that is invalid or has no name, or a
// store without locks, a [*domain.PolicyError].
func (r *Replica) Exclusive(p domain.Exclusive) (*Exclusive, error) {
	return part(r, r.locks, p.Name, func() (*Exclusive, error) { return newExclusive(r, p) }, func(e *Exclusive) bool {
		return e.Policy() == p.WithDefaults()
	})
}

// newExclusive requires that r.mu is held.
func newExclusive(r *Replica, p domain.Exclusive) (*Exclusive, error) {
	if err := domain.ValidateName("exclusive", p.Name); err != nil {
		return nil, err
	}
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if r.stores.Locks == nil {
		return nil, &domain.PolicyError{Policy: "exclusive", Field: "Name", Reason: "needs a store with locks, and Stores.Locks is nil"}
	}
	return &Exclusive{lockWay: r.lockWayLocked(port.ID{Name: p.Name}), turn: make(chan struct{}, 1), policy: p.WithDefaults()}, nil
}

// FindExclusive finds an exclusive that was made.
func (r *Replica) FindExclusive(name string) (*Exclusive, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.locks[name]
	return e, ok
}

// Policy returns the policy in force here, with its defaults filled in.
func (e *Exclusive) Policy() domain.Exclusive {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.policy
}

// Update changes the numbers for calls to come; a call that runs keeps those with which
// it began. An invalid policy, or one of another name, is refused and changes nothing.
func (e *Exclusive) Update(p domain.Exclusive) error {
	if err := p.Validate(); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if p.Name != e.policy.Name {
		return &domain.PolicyError{Policy: "exclusive", Field: "Name", Reason: "cannot change: it says which lock it is"}
	}
	e.policy = p.WithDefaults()
	return nil
}

// Enter takes the lock for one call, which is to run in the context of the [Hold] and to
// end with [Hold.Leave]. It waits for the lock for the policy's MaxWait at most, and until
// ctx ends.
//
// # Errors
//
//   - the cause of ctx, if it ends before;
//   - a [*domain.ExclusiveError] when another call has the lock;
//   - a [*domain.StoreError] when the store does not answer: then nobody may run;
//   - [domain.ErrClosed] after the replica was closed.
func (e *Exclusive) Enter(ctx context.Context) (*Hold, error) { return e.EnterWithin(ctx, nil) }

// EnterWithin is Enter within what is left of the time for stores, which may be nil for
// all of StoreTimeout; what is spent on asking one is taken from it. To wait for the lock
// is not.
func (e *Exclusive) EnterWithin(ctx context.Context, left *Budget) (*Hold, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if e.replica.closed.Load() {
		return nil, domain.ErrClosed
	}
	e.replica.begin()
	policy := e.Policy()
	until := e.replica.clock.now() + policy.MaxWait
	if err := e.line(ctx, policy.MaxWait); err != nil {
		return nil, err
	}
	g, err := e.obtain(ctx, policy, until, left)
	if err == nil {
		var h *Hold
		if h, err = newHold(ctx, e, policy, g); err == nil {
			return h, nil
		}
	}
	e.free(ctx, g.lock)
	<-e.turn
	return nil, err
}

// line waits until it is this call's turn among those of this replica.
func (e *Exclusive) line(ctx context.Context, wait time.Duration) error {
	select {
	case e.turn <- struct{}{}:
		return nil
	default:
	}
	if wait <= 0 {
		return e.refusal(true)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case e.turn <- struct{}{}:
		return nil
	case <-timer.C:
		return e.refusal(true)
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-e.replica.ctx.Done():
		return domain.ErrClosed
	}
}

// obtain asks for the lock, again and again until it is free or the time is over. A lock
// that is held tells nobody when it comes free.
func (e *Exclusive) obtain(ctx context.Context, p domain.Exclusive, until time.Duration, left *Budget) (grasp, error) {
	for pause := lockAgain; ; pause = min(2*pause, lockRarely) {
		begun := e.replica.clock.now()
		g, answered := e.take(ctx, p.Lease, left.left(e.replica.config.StoreTimeout))
		now := e.replica.clock.now()
		if !answered || p.MaxWait == 0 {
			left.spend(now - begun)
		}
		switch {
		case ctx.Err() != nil:
			return g, context.Cause(ctx)
		case e.replica.closed.Load():
			return g, domain.ErrClosed
		case g.err != nil || g.lock != nil:
			return g, g.err
		case now >= until:
			return g, e.refusal(false)
		}
		if !e.replica.sleep(ctx, min(pause/2+e.replica.jitter(pause/2), until-now)) {
			if ctx.Err() == nil {
				return g, domain.ErrClosed
			}
			return g, context.Cause(ctx)
		}
	}
}

func (e *Exclusive) refusal(here bool) error {
	return &domain.ExclusiveError{Name: e.id.Name, Here: here}
}
