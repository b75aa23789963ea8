package fleet

import (
	"context"
	"errors"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
)

// idleAfter is how long a breaker's copy is kept fresh after its last use.
const idleAfter = time.Minute

// A fleetView is this replica's copy of the fleet's layer. It is under the
// breaker's lock.
type fleetView struct {
	epoch    uint64
	state    domain.State
	until    time.Duration // open: its end; half-open: when a lease may be free
	fresh    bool          // kept up by the pulse
	reading  chan struct{} // closed when the first read has ended; nil = none in the air
	usedAt   time.Duration // as far as the pulse saw
	detached bool          // open ran out while the store was out of reach: the local layer decides
	foreign  bool
}

func (v *fleetView) closed() bool { return v.state == domain.StateClosed || v.detached }

// warm waits for one read when the copy was not kept up, within the budget. If
// the store does not answer, the local layer decides alone.
func (b *Breaker) warm(ctx context.Context, budget *Budget) {
	left := budget.left(b.replica.config.StoreTimeout)
	b.mu.Lock()
	if b.fleet.fresh || left <= 0 || !b.shard.health.Up() {
		b.mu.Unlock()
		return
	}
	reading := b.fleet.reading
	if reading == nil {
		reading = make(chan struct{})
		b.fleet.reading = reading
		if !b.replica.spawn(func(ctx context.Context) { b.read(ctx, reading) }) {
			b.fleet.reading = nil
			b.mu.Unlock()
			return
		}
	}
	b.mu.Unlock()
	start := b.replica.clock.now()
	patience := time.NewTimer(left)
	defer patience.Stop()
	select {
	case <-reading:
	case <-ctx.Done():
	case <-patience.C:
	}
	budget.spend(b.replica.clock.now() - start)
}

// read fetches the view once, for all who wait.
func (b *Breaker) read(ctx context.Context, done chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, b.replica.config.StoreTimeout)
	defer cancel()
	in, out := [1]port.ID{b.id}, [1]port.View{}
	b.replica.stores.Views.Read(ctx, in[:], out[:])
	b.shard.record(out[0].Err)
	b.take(out[0])
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fleet.reading = nil
	close(done)
}

// take brings the copy up to a view that was read or pushed.
func (b *Breaker) take(v port.View) {
	now := b.replica.clock.now()
	b.mu.Lock()
	defer b.unlock(now)
	b.takeLocked(now, v)
}

// reply brings the copy up to a view that answered what this replica said.
func (b *Breaker) reply(v port.View) {
	now := b.replica.clock.now()
	b.mu.Lock()
	defer b.unlock(now)
	b.replyLocked(now, v)
}

// replyLocked requires that b.mu is held.
func (b *Breaker) replyLocked(now time.Duration, v port.View) {
	switch {
	case errors.Is(v.Err, port.ErrAhead):
		b.lost(now, port.View{})
		return
	case v.Err == nil && v.Foreign && !b.fleet.foreign:
		b.replica.emit(domain.Event{
			Kind: domain.EventSettings, Name: b.id.Name, Scope: domain.ScopeFleet,
			Reason: "another replica's numbers for this breaker are in force",
		})
	}
	b.fleet.foreign = v.Foreign
	b.takeLocked(now, v)
}

// takeLocked requires that b.mu is held. A view of an earlier epoch is old news.
func (b *Breaker) takeLocked(now time.Duration, v port.View) {
	known := b.fleet.epoch
	switch {
	case v.Err != nil:
		return
	case v.Epoch == 0 && known != 0:
		// The key is gone. A report says what we knew, and begins it afresh.
		b.report.urgent = true
		b.pulse.nudge()
	case v.Fresh && known != 0 && v.Epoch > known:
		b.lost(now, v)
	case v.Epoch >= known:
		b.adopt(now, v)
	}
	b.fleet.fresh = true
}

// adopt makes v the copy. When the fleet leaves closed, or comes back to it, it
// takes over from the local layer.
func (b *Breaker) adopt(now time.Duration, v port.View) {
	old := b.fleet.state
	if v.Epoch != b.fleet.epoch {
		b.probe.turn()
	}
	b.fleet.epoch, b.fleet.state = v.Epoch, v.State
	b.fleet.until = now + v.For
	b.fleet.detached = false
	if v.State == old {
		return
	}
	if old == domain.StateClosed || v.State == domain.StateClosed {
		b.local.Absorb()
		b.report.sent, b.report.bad = b.local.Evidence(now), false
	}
	b.replica.emit(domain.Event{
		Kind: domain.EventBreaker, Name: b.id.Name, From: old, To: v.State,
		Scope: domain.ScopeFleet, Epoch: v.Epoch, RetryAfter: v.For,
	})
}

// lost follows the loss of the fleet's state. Where it was open, this replica's
// own layer stays so up to the end that was known and a little more, so that a
// flush is not a stampede.
func (b *Breaker) lost(now time.Duration, v port.View) {
	b.replica.emit(domain.Event{Kind: domain.EventLost, Name: b.id.Name, Scope: domain.ScopeFleet, Epoch: v.Epoch})
	wasOpen, end := b.fleet.state == domain.StateOpen && !b.fleet.detached, max(b.fleet.until, now)
	b.adopt(now, v)
	if wasOpen && v.State == domain.StateClosed {
		b.local.HoldOpen(end + jitter(b.policy.RecoveryTimeout/10))
	}
}
