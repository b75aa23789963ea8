package fleet

import (
	"context"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
	"github.com/holdfast-go/holdfast/domain/port"
)

// settleTries is how often a probe's result is sent: it is harmless to send it
// twice, and a lost one would count as a failed probe.
const settleTries = 3

// probing is what a replica keeps about the probes of one breaker. It is under
// the breaker's lock.
type probing struct {
	asking bool          // one question is in the air
	token  uint64        // of the lease asked for; kept until it is granted, so that a lost grant is found again
	again  time.Duration // not to ask before
}

// turn begins a new epoch.
func (p *probing) turn() { p.token, p.again = 0, 0 }

// mayProbe says whether this call may ask for a probe lease now; else how long
// the breaker refuses. It requires that b.mu is held.
func (b *Breaker) mayProbe(now time.Duration) (ask port.ProbeRequest, ok bool, retryAfter time.Duration) {
	if wait := max(b.fleet.until, b.probe.again) - now; wait > 0 {
		return ask, false, wait
	}
	if b.probe.asking {
		return ask, false, 0
	}
	if !b.shard.health.Up() {
		b.detach(now)
		return ask, false, 0
	}
	b.probe.asking = true
	if b.probe.token == 0 {
		b.probe.token = billNumber()
	}
	return port.ProbeRequest{Breaker: b.id, Rules: b.rules, ProbeAsk: breaker.ProbeAsk{
		Replica: b.replica.incarnation, Known: b.fleet.epoch, Token: b.probe.token,
	}}, true, 0
}

// detach lets the local layer decide by probes of its own, when the fleet's
// open state has run out and the store cannot be asked.
func (b *Breaker) detach(now time.Duration) {
	b.fleet.detached = true
	b.local.HoldOpen(now)
}

// askProbe asks for a lease and waits for the answer, StoreTimeout at most. The
// question is this replica's, not the caller's: when the caller leaves first,
// the lease is given back.
func (b *Breaker) askProbe(ctx context.Context, budget *Budget, ask port.ProbeRequest, t breaker.Ticket) (Permit, error) {
	timeout := b.replica.config.StoreTimeout
	start := b.replica.clock.now()
	grants := make(chan fleetProbe, 1)
	if !b.replica.spawn(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		b.sendAsk(ctx, ask, start, grants)
	}) {
		return Permit{}, domain.ErrClosed
	}
	patience := time.NewTimer(budget.left(timeout))
	defer patience.Stop()
	var why error
	select {
	case grant, ok := <-grants:
		budget.spend(b.replica.clock.now() - start)
		if ok {
			return newProbePermit(b, t, grant), nil
		}
		return b.afterRefusal(t)
	case <-ctx.Done():
		why = context.Cause(ctx)
	case <-patience.C:
		why = b.refusal(domain.ScopeFleet, 0)
	}
	budget.spend(b.replica.clock.now() - start)
	b.replica.spawn(func(context.Context) { b.giveBack(grants) })
	b.ignore(t)
	return Permit{}, why
}

// sendAsk sends the question and takes the answer in. It closes grants.
func (b *Breaker) sendAsk(ctx context.Context, ask port.ProbeRequest, sentAt time.Duration, grants chan<- fleetProbe) {
	defer close(grants)
	in, out := [1]port.ProbeRequest{ask}, [1]port.ProbeReply{}
	b.replica.stores.Breakers.Probe(ctx, in[:], out[:])
	b.shard.record(out[0].View.Err)
	now := b.replica.clock.now()
	b.mu.Lock()
	defer b.unlock(now)
	b.probe.asking = false
	v := out[0].View
	b.replyLocked(now, v)
	if v.Err != nil {
		b.probe.again = now + jitter(b.replica.config.StoreTimeout)
		return
	}
	if out[0].Granted {
		b.probe.token = 0
		b.fleet.until = now // another probe may be free
		grants <- fleetProbe{epoch: v.Epoch, token: ask.Token, until: sentAt + out[0].For, clock: b.replica.clock}
		return
	}
	b.probe.again = now + v.For + jitter(v.For/8+time.Millisecond)
}

// giveBack returns a lease that nobody waits for any more.
func (b *Breaker) giveBack(grants <-chan fleetProbe) {
	if grant, ok := <-grants; ok {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.settleProbe(b.replica.clock.now(), grant, domain.Ignored)
	}
}

// afterRefusal ends a call that got no lease. The answer may have said that the
// breaker closed meanwhile: then it passes.
func (b *Breaker) afterRefusal(t breaker.Ticket) (Permit, error) {
	now := b.replica.clock.now()
	b.mu.Lock()
	defer b.unlock(now)
	b.local.Settle(now, t, domain.Ignored)
	if b.fleet.closed() {
		again, ok, retryAfter := b.local.Admit(now)
		if !ok {
			return Permit{}, b.refusal(domain.ScopeReplica, retryAfter)
		}
		return newPermit(b, again), nil
	}
	return Permit{}, b.refusal(domain.ScopeFleet, max(b.fleet.until, b.probe.again)-now)
}

func (b *Breaker) ignore(t breaker.Ticket) {
	now := b.replica.clock.now()
	b.mu.Lock()
	defer b.unlock(now)
	b.local.Settle(now, t, domain.Ignored)
}

// settleProbe sends a probe's result. It requires that b.mu is held.
func (b *Breaker) settleProbe(_ time.Duration, p fleetProbe, o domain.Outcome) {
	ask := port.ProbeRequest{Breaker: b.id, Rules: b.rules, ProbeAsk: breaker.ProbeAsk{
		Replica: b.replica.incarnation, Known: p.epoch, Token: p.token, Settle: true, Outcome: o,
	}}
	b.replica.spawn(func(ctx context.Context) { b.sendSettle(ctx, ask) })
}

func (b *Breaker) sendSettle(ctx context.Context, ask port.ProbeRequest) {
	in, out := [1]port.ProbeRequest{ask}, [1]port.ProbeReply{}
	for range settleTries {
		within, cancel := context.WithTimeout(ctx, b.replica.config.StoreTimeout)
		b.replica.stores.Breakers.Probe(within, in[:], out[:])
		cancel()
		b.shard.record(out[0].View.Err)
		b.reply(out[0].View)
		if out[0].View.Err == nil {
			return
		}
	}
}
