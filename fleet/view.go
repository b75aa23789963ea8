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
	until    time.Duration // open: its end
	fresh    bool          // kept up by the pulse
	reading  chan struct{} // closed when the first read has ended; nil = none in the air
	usedAt   time.Duration // as far as the pulse saw
	detached bool          // open ran out while the store was out of reach: the local layer decides
	foreign  bool
	order    heldOrder // an operator's
	ramp     ramp      // after closing
}

func (v *fleetView) closed() bool { return v.state == domain.StateClosed || v.detached }

// warm waits for one read when the copy was not kept up, within the budget. If
// the store does not answer, the local layer decides alone; a store that is down
// is tried, for later calls.
func (b *Breaker) warm(ctx context.Context, budget *Budget) {
	left := budget.left(b.replica.config.StoreTimeout)
	b.mu.Lock()
	// Asked under the lock: a read whose failure brings the store down has told
	// that before it lets the next one begin.
	if !b.shard.health.Up() {
		b.mu.Unlock()
		b.shard.try(b.look)
		return
	}
	if b.fleet.fresh || left <= 0 {
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
	b.shard.recordRead(b.look(ctx))
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fleet.reading = nil
	close(done)
}

// look brings the copy up to the view in the store.
func (b *Breaker) look(ctx context.Context) error {
	in, out := [1]port.ID{b.id}, [1]port.View{}
	b.replica.stores.Views.Read(ctx, in[:], out[:])
	b.take(out[0])
	return out[0].Err
}

// take brings the copy up to a view that was read.
func (b *Breaker) take(v port.View) {
	now := b.replica.clock.now()
	b.mu.Lock()
	defer b.unlock(now)
	known := b.fleet.epoch
	b.takeLocked(now, v)
	if v.Err == nil {
		b.learn(now, v.Order)
	}
	b.leaseFree(now, v, known)
}

// pushed brings the copy up to a view that was published. At the beginning of
// half-open each replica asks once: the fleet waits for those with traffic.
func (b *Breaker) pushed(v port.View) {
	now := b.replica.clock.now()
	b.mu.Lock()
	defer b.unlock(now)
	b.hear(v.Order.Serial)
	if v.Epoch == 0 {
		return // it was about an order alone
	}
	known := b.fleet.epoch
	b.takeLocked(now, v)
	if known < v.Epoch && v.State == domain.StateHalfOpen {
		b.probe.again = now + b.replica.jitter(b.manners().spread)
	}
	b.leaseFree(now, v, known)
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
	if errors.Is(v.Err, port.ErrAhead) {
		b.lost(now, port.View{Fresh: true}) // what we know cannot be: we forget it
		return
	}
	if v.Err != nil {
		return
	}
	if v.Foreign && !b.fleet.foreign {
		b.replica.emit(domain.Event{
			Kind: domain.EventSettings, Name: b.id.Name, Key: b.id.Key, Scope: domain.ScopeFleet,
			Reason: "another replica's numbers for this breaker are in force",
		})
	}
	b.fleet.foreign = v.Foreign
	b.hear(v.Order.Serial)
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

// adopt makes v the copy. It requires that b.mu is held.
func (b *Breaker) adopt(now time.Duration, v port.View) {
	old, known, was := b.fleet.state, b.fleet.epoch, b.fleet.detached
	b.fleet.epoch, b.fleet.state, b.fleet.detached = v.Epoch, v.State, false
	until := now
	if v.State == domain.StateOpen {
		until += v.For
	}
	// An end that is known never moves on: a store whose clock stepped back says
	// each time that all is still to come, until a probe is asked for.
	if v.Epoch != known || until < b.fleet.until {
		b.fleet.until = until
	}
	if v.Epoch != known {
		b.probe.turn()
		b.fleet.ramp = ramp{}
	}
	b.fleet.ramp.adopt(now, v, b.policy.Ramp)
	b.handOver(now, v, old, known, was)
	if v.State != old {
		b.replica.emit(domain.Event{
			Kind: domain.EventBreaker, Name: b.id.Name, Key: b.id.Key, From: old, To: v.State,
			Scope: domain.ScopeFleet, Epoch: v.Epoch, RetryAfter: v.For,
		})
	}
}

// handOver settles what becomes of the local layer and of what it told. The fleet
// takes over when it leaves closed, comes back to it or is heard of again; also
// when all that we missed lies between two closed views. When its state was lost
// while the local layer decided, that goes on, and votes anew. It requires that
// b.mu is held.
func (b *Breaker) handOver(now time.Duration, v port.View, old domain.State, known uint64, detached bool) {
	decided := old == domain.StateClosed || detached // by the local layer
	moved := v.Epoch != known && known != 0
	switch {
	case moved && v.Fresh && decided:
		b.forgetReport()
	case detached, moved && v.State == domain.StateClosed, (old == domain.StateClosed) != (v.State == domain.StateClosed):
		b.local.Absorb()
		b.report.sent, b.report.opinion = b.local.Evidence(now), wellMeant
		b.report.sent.Open = false // nor was that told: own trouble stays
	}
}

// lost follows the loss of the fleet's state. Where it was not closed, this
// replica's own layer stays open up to the end that was known and a little
// more, and then probes alone, so that a flush is not a stampede. It requires
// that b.mu is held.
func (b *Breaker) lost(now time.Duration, v port.View) {
	b.replica.emit(domain.Event{Kind: domain.EventLost, Name: b.id.Name, Key: b.id.Key, Scope: domain.ScopeFleet, Epoch: v.Epoch})
	held, end := !b.fleet.closed(), max(b.fleet.until, now)
	b.adopt(now, v)
	if held && v.State == domain.StateClosed && end >= now+b.local.RetryAfter(now) {
		b.local.HoldOpen(end + b.replica.jitter(b.policy.RecoveryTimeout/10))
	}
}
