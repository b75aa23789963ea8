package fleet

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/holdfast-go/holdfast/domain"
)

// A RetryBudget says whether a retry may be made, so that those of the whole fleet
// stay below a share of its calls: see [domain.RetryBudget]. It is safe for concurrent
// use.
type RetryBudget struct {
	replica *Replica
	policy  atomic.Pointer[domain.RetryBudget]
	floor   atomic.Pointer[Limiter] // what the fleet shares; nil: nothing
	empty   atomic.Int64            // when it was last found so; 0 = never

	mu    sync.Mutex
	share account // what this replica's calls earned
}

// retryFloors is the name of the limit whose buckets are the floors of retry budgets.
// No limit of a user's can have it.
const retryFloors = reserved + "retry"

// RetryBudget makes the budget of p's name, or finds it. A name that stands for other
// numbers already is [domain.ErrConflict]; a budget that is invalid, unbounded or
// without a name, and one with a PerSecond on a store without buckets, a
// [*domain.PolicyError].
func (r *Replica) RetryBudget(p domain.RetryBudget) (*RetryBudget, error) {
	if err := validBudget(p); err != nil {
		return nil, err
	}
	return part(r, r.budgets, p.Name, func() (*RetryBudget, error) { return newRetryBudget(r, p) }, func(b *RetryBudget) bool {
		return b.Policy() == p
	})
}

func validBudget(p domain.RetryBudget) error {
	if err := (domain.Retry{Budget: p}).Validate(); err != nil {
		return err
	}
	if p.Unlimited() {
		return &domain.PolicyError{Policy: "retry_budget", Field: "Ratio", Reason: "or PerSecond is needed: else it bounds nothing"}
	}
	return domain.ValidateName("retry_budget", p.Name)
}

// newRetryBudget requires that r.mu is held.
func newRetryBudget(r *Replica, p domain.RetryBudget) (*RetryBudget, error) {
	b := &RetryBudget{replica: r}
	if err := b.adopt(p); err != nil {
		return nil, err
	}
	return b, nil
}

// adopt goes on by other numbers. It requires that the replica's lock is held.
func (b *RetryBudget) adopt(p domain.RetryBudget) error {
	var floor *Limiter
	if p.PerSecond > 0 {
		var err error
		if floor, err = b.floorOf(p); err != nil {
			return err
		}
	}
	b.floor.Store(floor)
	b.policy.Store(&p)
	return nil
}

// floorOf makes or changes the limit of p's PerSecond. It is one of the replica's, which
// closes it. It requires that the replica's lock is held.
func (b *RetryBudget) floorOf(p domain.RetryBudget) (*Limiter, error) {
	limit := domain.RateLimit{Name: retryFloors, Keyed: true, Limit: domain.PerSecond(p.PerSecond)}
	as := retryFloors + "=" + p.Name // no name that anybody can look for
	if floor, made := b.replica.limiters[as]; made {
		return floor, floor.Update(limit)
	}
	floor, err := makeLimiter(b.replica, limit)
	if err != nil {
		return nil, err
	}
	floor.own = true
	b.replica.limiters[as] = floor
	return floor, nil
}

// Policy returns the budget's numbers.
func (b *RetryBudget) Policy() domain.RetryBudget { return *b.policy.Load() }

// Update changes the budget's numbers from the next call on; what was earned stays. A
// budget that is invalid, or of another name, is refused and changes nothing.
func (b *RetryBudget) Update(p domain.RetryBudget) error {
	if err := validBudget(p); err != nil {
		return err
	}
	if p.Name != b.Policy().Name {
		return &domain.PolicyError{Policy: "retry_budget", Field: "Name", Reason: "cannot change: it says which budget it is"}
	}
	b.replica.mu.Lock()
	defer b.replica.mu.Unlock()
	return b.adopt(p)
}

// Earn notes a call: its first try, whatever comes of it.
func (b *RetryBudget) Earn() {
	parts := b.policy.Load().Earned()
	if parts == 0 {
		return
	}
	now := b.replica.clock.now()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.share.earn(now, parts)
}

// Spend takes one retry out of the budget, and reports whether it was there: first of
// what this replica's calls earned, then of what the fleet has each second. For that it
// asks the store, within what is left of the time for stores, which may be nil; in an
// outage this replica has its share of it. An empty budget is an event, once until
// there was enough for a minute.
func (b *RetryBudget) Spend(ctx context.Context, left *Budget) bool {
	now := b.replica.clock.now()
	b.mu.Lock()
	own := b.share.spend(now)
	b.mu.Unlock()
	if own || b.spendFloor(ctx, left) {
		return true
	}
	if ctx.Err() == nil && b.replica.firstSeen(&b.empty) {
		b.replica.emit(domain.Event{
			Kind: domain.EventBudgetEmpty, Name: b.Policy().Name,
			Reason: "calls fail faster than they may be repeated: retries stop, first tries go on",
		})
	}
	return false
}

func (b *RetryBudget) spendFloor(ctx context.Context, left *Budget) bool {
	floor := b.floor.Load()
	if floor == nil {
		return false
	}
	d, err := floor.AllowWithin(ctx, b.policy.Load().Name, 1, left)
	return err == nil && d.Allowed
}
