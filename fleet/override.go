package fleet

import (
	"context"
	"errors"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
	"github.com/holdfast-go/holdfast/domain/port"
)

// A heldOrder is an operator's last order, as far as this replica knows. Its time
// runs on this replica's clock, whatever becomes of the store. It is under the
// breaker's lock.
type heldOrder struct {
	serial uint64 // 0 = none is known
	force  domain.Force
	until  time.Duration
	by     string
	reason string
	bring  bool   // the store has an older one, or lost it: this one is to be brought again
	heard  uint64 // the highest serial that the store was heard to have
	asked  uint64 // what that was when the last read was sent
}

// behind reports whether the store has a newer one, which is to be read.
func (h *heldOrder) behind() bool { return h.heard > h.serial }

// hear takes the serial of the order that the store has. It requires that b.mu is held.
func (b *Breaker) hear(serial uint64) {
	held := &b.fleet.order
	switch {
	case serial > max(held.serial, held.heard):
		held.heard = serial
	case serial < held.serial && !held.bring && b.replica.stores.Operator != nil:
		held.bring = true
	default:
		return
	}
	b.pulse.nudge()
}

// learn takes the order that was read. An end that is known never moves on, as that of
// an open breaker. It requires that b.mu is held.
func (b *Breaker) learn(now time.Duration, o breaker.Order) {
	held := &b.fleet.order
	if held.heard > o.Serial {
		b.late(o.Serial)
	}
	until := now + micros(o.ForMicro)
	switch {
	case o.Serial == held.serial:
		held.until = min(held.until, until)
	case o.Serial > held.serial:
		if o.ForMicro == 0 {
			o.Force = domain.ForceNone
		}
		was := b.forced(now)
		held.serial, held.force, held.until, held.by, held.reason = o.Serial, o.Force, until, o.By, o.Reason
		if o.Reset {
			b.local.Reset()
		}
		if o.Force != was || o.Force != domain.ForceNone {
			b.tellForce(o.Force, micros(o.ForMicro))
		}
	default:
		b.hear(o.Serial)
	}
}

// late follows a read that did not find an order which was heard of. One that was sent
// before that goes again; else what was heard is not so any more, or never was. It
// requires that b.mu is held.
func (b *Breaker) late(found uint64) {
	if held := &b.fleet.order; held.heard > held.asked {
		b.pulse.nudge()
	} else {
		held.heard = found
	}
}

// forced is what an operator makes of the breaker now. It requires that b.mu is held.
func (b *Breaker) forced(now time.Duration) domain.Force {
	held := &b.fleet.order
	if held.force != domain.ForceNone && now >= held.until {
		held.force = domain.ForceNone
		held.by, held.reason = "", "the override is over"
		b.tellForce(domain.ForceNone, 0)
	}
	return held.force
}

// tellForce emits the event of an override. It requires that b.mu is held.
func (b *Breaker) tellForce(force domain.Force, lasting time.Duration) {
	b.replica.emit(domain.Event{
		Kind: domain.EventOverride, Name: b.id.Name, Key: b.id.Key, Scope: domain.ScopeOperator, Force: force, RetryAfter: lasting,
		By: b.fleet.order.by, Reason: b.fleet.order.reason,
	})
}

// obey lets a call pass, or refuses it, as an operator wants; false if the breaker is
// to decide for itself. It requires that b.mu is held.
func (b *Breaker) obey(now time.Duration) (p Permit, obeyed bool, err error) {
	switch b.forced(now) {
	case domain.ForceOpen:
		held := b.fleet.order
		return Permit{}, true, &domain.CircuitOpenError{
			Name: b.id.Name, Key: b.id.Key, Scope: domain.ScopeOperator, RetryAfter: held.until - now, Reason: held.reason,
		}
	case domain.ForceClosed:
		if b.local.State() == domain.StateClosed {
			p = newPermit(b, breaker.ClosedTicket(b.local.Epoch())) // to be counted
		}
		return p, true, nil
	case domain.ForceDisabled:
		return Permit{}, true, nil
	case domain.ForceNone, domain.ForceMetricsOnly:
	}
	return Permit{}, false, nil
}

// lenient lets a call pass that the breaker refused, if it is only to measure.
func (b *Breaker) lenient(p Permit, err error) (Permit, error) {
	if err == nil || !errors.Is(err, domain.ErrCircuitOpen) {
		return p, err
	}
	now := b.replica.clock.now()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.forced(now) == domain.ForceMetricsOnly {
		return Permit{}, nil
	}
	return p, err
}

// count is Settle for the local layer, as far as an operator lets it judge. It
// requires that b.mu is held.
func (b *Breaker) count(now time.Duration, t breaker.Ticket, o domain.Outcome, took time.Duration) {
	switch b.forced(now) {
	case domain.ForceDisabled:
	case domain.ForceOpen, domain.ForceClosed:
		b.local.Note(now, t, o, took)
	case domain.ForceNone, domain.ForceMetricsOnly:
		b.local.Settle(now, t, o, took)
	}
}

// mute reports whether this replica has no opinion to tell, since an operator
// decides. It requires that b.mu is held.
func (b *Breaker) mute() bool {
	force := b.fleet.order.force
	return force != domain.ForceNone && force != domain.ForceMetricsOnly
}

// override is the order in force, for people. It requires that b.mu is held.
func (b *Breaker) override(now time.Duration) domain.Override {
	held := b.fleet.order
	if held.force == domain.ForceNone || now >= held.until {
		return domain.Override{}
	}
	return domain.Override{Force: held.force, For: held.until - now, By: held.by, Reason: held.reason}
}

// brought is this replica's order for a store that does not know it. It requires
// that b.mu is held.
func (b *Breaker) brought(now time.Duration) port.Order {
	held := b.fleet.order
	return port.Order{Breaker: b.id, Order: breaker.Order{
		Serial: held.serial, Force: held.force, ForMicro: max(held.until-now, 0).Microseconds(), By: held.by, Reason: held.reason,
	}}
}

// bring gives the store the orders that it does not know.
func (p *pulse) bring(ctx context.Context, r *round) {
	out := make([]port.OrderReply, len(r.orders))
	p.replica.stores.Operator.Order(ctx, r.orders, out)
	for i, b := range r.bringers {
		b.bringDone(r.orders[i].Serial, out[i])
	}
}

// bringDone ends the bringing of an order: after an error it goes with the next
// refresh. One that cannot be is forgotten.
func (b *Breaker) bringDone(serial uint64, reply port.OrderReply) {
	now := b.replica.clock.now()
	b.mu.Lock()
	defer b.unlock(now)
	switch {
	case b.fleet.order.serial != serial:
	case errors.Is(reply.Err, port.ErrAhead):
		b.fleet.order = heldOrder{}
	case reply.Err != nil:
	default:
		b.fleet.order.bring = false
		b.hear(reply.Serial) // somebody may have brought a later one
	}
}
