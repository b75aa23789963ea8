package fleet

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/domain"
)

// A Reservation is tokens that were taken for one call: they may be used from its
// due instant on. It is settled or cancelled once, by whichever comes first. It is
// safe for concurrent use.
type Reservation struct {
	lane     *lane
	cost     int64
	decision domain.Decision
	ended    atomic.Bool

	// Of one with a place in the queue, under the lane's lock.
	spot      *spot         // nil: it has none, or left it
	moved     chan struct{} // told when the spot changes
	cancelled bool
}

// Decision is how the tokens were granted.
func (r *Reservation) Decision() domain.Decision { return r.decision }

// Delay is how long it is until the tokens may be used. It becomes shorter when
// somebody of this replica leaves the queue before it.
func (r *Reservation) Delay() time.Duration {
	r.lane.mu.Lock()
	defer r.lane.mu.Unlock()
	if r.spot == nil {
		return 0
	}
	return max(r.spot.due-r.lane.limiter.replica.clock.now(), 0)
}

// Wait waits until the tokens may be used. When ctx ends, or the replica is closed,
// before, it cancels the reservation and returns why; one that was cancelled has no tokens.
func (r *Reservation) Wait(ctx context.Context) error {
	for {
		left := r.Delay()
		if left == 0 {
			return r.lane.queue.arrive(r.lane, r)
		}
		timer := time.NewTimer(left)
		select {
		case <-timer.C:
		case <-r.moved:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			r.Cancel()
			return context.Cause(ctx)
		case <-r.lane.limiter.replica.ctx.Done():
			timer.Stop()
			return domain.ErrClosed
		}
	}
}

// lost reports whether the replica gave r's place back when it closed.
func (r *Reservation) lost() bool {
	r.lane.mu.Lock()
	defer r.lane.mu.Unlock()
	return r.lostLocked()
}

// lostLocked requires that the lane's lock is held.
func (r *Reservation) lostLocked() bool { return r.spot != nil && r.spot.asked }

// tell lets r look at its place again.
func (r *Reservation) tell() {
	select {
	case r.moved <- struct{}{}:
	default: // it has been told, and not looked yet
	}
}

// Settle says what the call cost in the end: less is given back, as far as the
// bucket has room, and more is charged, into debt where the tokens are not there, up
// to ten bursts of it; the rest is forgiven. It waits until the store has answered,
// within StoreTimeout and ctx, and returns an error if it did not; the difference
// may have been settled then. Settle of 0 is Cancel. After the first Settle or Cancel
// it does nothing.
func (r *Reservation) Settle(ctx context.Context, actual int64) error {
	if actual < 0 {
		return fmt.Errorf("limit %q: %w: %d", r.lane.id.Name, errNegativeCost, actual)
	}
	if r.ended.Swap(true) {
		return nil
	}
	if r.lost() {
		return domain.ErrClosed
	}
	switch back := r.cost - actual; {
	case back == 0 || r.decision.Shadowed:
		return nil
	case r.decision.Degraded:
		r.lane.settleLocal(back)
		return nil
	case actual == 0:
		r.lane.queue.leave(r.lane, r)
		return nil
	default:
		return r.lane.settle(ctx, giving{tokens: back, early: r.Delay() > 0})
	}
}

// Cancel gives the tokens back: the call was not made. A place in the queue is
// offered to those of this replica who wait behind it or come after it, and goes
// back to the fleet if none is there and nobody else waits behind. It does not wait
// for the store. After the first Settle or Cancel it does nothing.
func (r *Reservation) Cancel() {
	if r.ended.Swap(true) || r.decision.Shadowed {
		return
	}
	if r.decision.Degraded {
		r.lane.settleLocal(r.cost)
		r.lane.mu.Lock()
		r.cancelled = true
		r.lane.mu.Unlock()
		return
	}
	r.lane.queue.leave(r.lane, r)
}
