package fleet

import (
	"context"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
	"github.com/holdfast-go/holdfast/domain/port"
)

// settleTries is how often a probe's result is sent: it is harmless to send it
// twice, and a lost one would count as a failed probe.
const settleTries = 6

// The manners of asking for probes, so that replicas do not all ask at once, and
// none is always the first. They are short beside half-open, also when one alone
// makes all its probes.
type manners struct {
	spread  time.Duration // over which they ask when all hear that a lease may be free
	refused time.Duration // the same, for those who wait for a lease to end
	rest    time.Duration // a replica whose probe did not decide leaves the next one to others
}

// manners requires that b.mu is held.
func (b *Breaker) manners() manners {
	half := min(b.policy.ProbeLease, b.policy.RecoveryTimeout/4, b.policy.MaxHalfOpen)
	unit := min(10*time.Millisecond, half/16)
	enough := b.policy.MaxHalfOpen / time.Duration(4*b.policy.SuccessThreshold)
	return manners{unit, 10 * unit, min(5*unit, enough)}
}

// probing is what a replica keeps about the probes of one breaker. It is under
// the breaker's lock.
type probing struct {
	asking bool          // one question is in the air
	token  uint64        // of the lease asked for; kept until it is granted, so that a lost grant is found again
	again  time.Duration // not to ask before: the last answer said so
	rest   time.Duration // nor before that: it is the others' turn
	held   []fleetProbe  // leases that are out to callers here
	good   bool          // a probe of this epoch succeeded
	failed bool          // one failed, and none succeeded: it gets no other
}

// turn begins a new epoch.
func (p *probing) turn() {
	p.again, p.rest, p.good, p.failed = 0, 0, false, false
}

// A question asks the store for a lease for one call, which the local layer
// has let pass.
type question struct {
	port.ProbeRequest
	ticket breaker.Ticket
}

// mayAskAt is when a call may next ask for a lease. It requires that b.mu is
// held.
func (b *Breaker) mayAskAt() time.Duration {
	return max(b.fleet.until, b.probe.again, b.probe.rest)
}

// question is what this call may ask the store now; nil if it is refused, and
// for how long. It requires that b.mu is held.
func (b *Breaker) question(now time.Duration, t breaker.Ticket) (ask *question, retryAfter time.Duration) {
	if wait := b.mayAskAt() - now; wait > 0 {
		return nil, wait
	}
	if b.probe.asking {
		return nil, 0
	}
	if b.probe.token == 0 {
		b.probe.token = b.replica.billNumber()
	}
	return &question{port.ProbeRequest{Breaker: b.id, Rules: b.rules, ProbeAsk: breaker.ProbeAsk{
		Replica: b.replica.incarnation, Known: b.fleet.epoch, Token: b.probe.token,
	}}, t}, 0
}

// detach lets the local layer decide, by probes of its own, when the fleet's
// open state has run out and the store cannot be asked. It requires that b.mu
// is held.
func (b *Breaker) detach(now time.Duration) {
	b.fleet.detached = true
	if b.local.State() == domain.StateClosed {
		b.local.HoldOpen(now)
		b.tellState(now)
	}
}

// askProbe asks for a lease and waits for the answer, StoreTimeout at most. The
// question is this replica's, not the caller's: when the caller leaves first,
// the lease is given back.
func (b *Breaker) askProbe(ctx context.Context, budget *Budget, ask *question) (Permit, error) {
	timeout := b.replica.config.StoreTimeout
	start := b.replica.clock.now()
	grants := make(chan fleetProbe, 1)
	if !b.replica.spawn(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		b.sendAsk(ctx, ask.ProbeRequest, start, grants)
	}) {
		return Permit{}, domain.ErrClosed
	}
	patience := time.NewTimer(budget.left(timeout))
	defer patience.Stop()
	select {
	case grant, ok := <-grants:
		budget.spend(b.replica.clock.now() - start)
		return b.answered(ctx, ask.ticket, grant, ok)
	case <-ctx.Done():
	case <-patience.C:
	}
	budget.spend(b.replica.clock.now() - start)
	b.replica.spawn(func(context.Context) { b.giveBack(grants) })
	return b.unasked(ctx, ask.ticket)
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
	switch {
	case v.Err != nil:
		b.probe.again = now + b.replica.jitter(b.replica.config.StoreTimeout)
	case out[0].Granted:
		b.probe.token = 0
		b.probe.again = now + v.For
		if v.Epoch == b.fleet.epoch { // else it is void: the fleet has moved on meanwhile
			grant := fleetProbe{epoch: v.Epoch, token: ask.Token, until: sentAt + out[0].For, clock: b.replica.clock}
			over := func(h fleetProbe) bool { return h.until <= now } // of permits that were never reported
			b.probe.held = append(slices.DeleteFunc(b.probe.held, over), grant)
			grants <- grant
		}
	case v.Epoch == b.fleet.epoch:
		b.probe.again = now + v.For + b.replica.jitter(min(v.For/8, b.manners().refused))
	}
}

// answered ends the wait for a lease. The answer may have said that the breaker
// closed meanwhile: then the call passes without.
func (b *Breaker) answered(ctx context.Context, t breaker.Ticket, grant fleetProbe, granted bool) (Permit, error) {
	if b.ended(ctx) != nil {
		if granted {
			b.giveUp(grant)
		}
		return b.unasked(ctx, t)
	}
	if granted {
		return newProbePermit(b, t, grant), nil
	}
	now := b.replica.clock.now()
	b.mu.Lock()
	defer b.unlock(now)
	b.local.Settle(now, t, domain.Ignored, 0)
	if !b.fleet.closed() {
		return Permit{}, b.refusal(domain.ScopeFleet, max(b.mayAskAt()-now, 0))
	}
	again, ok, retryAfter := b.local.Admit(now)
	if !ok {
		return Permit{}, b.refusal(domain.ScopeReplica, retryAfter)
	}
	return newPermit(b, again), nil
}

// unasked ends a call that did not wait for the answer.
func (b *Breaker) unasked(ctx context.Context, t breaker.Ticket) (Permit, error) {
	now := b.replica.clock.now()
	b.mu.Lock()
	defer b.unlock(now)
	b.local.Settle(now, t, domain.Ignored, 0)
	if err := b.ended(ctx); err != nil {
		return Permit{}, err
	}
	return Permit{}, b.refusal(domain.ScopeFleet, 0)
}

// giveBack returns a lease that nobody waits for any more.
func (b *Breaker) giveBack(grants <-chan fleetProbe) {
	if grant, ok := <-grants; ok {
		b.giveUp(grant)
	}
}

func (b *Breaker) giveUp(grant fleetProbe) {
	now := b.replica.clock.now()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.settleProbe(now, grant, domain.Ignored, 0)
}

// settleProbe sends a probe's result. It requires that b.mu is held.
func (b *Breaker) settleProbe(now time.Duration, p fleetProbe, o domain.Outcome, wait time.Duration) {
	if p.epoch == b.fleet.epoch {
		b.endedProbe(now, o)
	}
	ask := b.settlement(p, o)
	ask.AloneMicro = wait.Microseconds()
	if b.replica.spawn(func(ctx context.Context) { b.sendSettle(ctx, ask, p.epoch) }) {
		b.probe.held = slices.DeleteFunc(b.probe.held, func(h fleetProbe) bool { return h.token == p.token })
	}
}

// endedProbe notes what came of a probe of this epoch. It requires that b.mu is
// held.
func (b *Breaker) endedProbe(now time.Duration, o domain.Outcome) {
	p := &b.probe
	p.good = p.good || o == domain.Success
	p.failed = !p.good && (p.failed || o == domain.Failure)
	if o == domain.LocalFailure || b.rules.MinReplicas > 1 {
		p.rest = now + b.manners().rest
	}
}

func (b *Breaker) settlement(p fleetProbe, o domain.Outcome) port.ProbeRequest {
	return port.ProbeRequest{Breaker: b.id, Rules: b.rules, ProbeAsk: breaker.ProbeAsk{
		Replica: b.replica.incarnation, Known: p.epoch, Token: p.token, Settle: true, Outcome: o,
	}}
}

// sendSettle sends a result until the store has it, with growing pauses, as
// long as its epoch lasts.
func (b *Breaker) sendSettle(ctx context.Context, ask port.ProbeRequest, epoch uint64) {
	pause := b.replica.config.StoreTimeout
	for try := 1; ; try++ {
		in, out := [1]port.ProbeRequest{ask}, [1]port.ProbeReply{}
		within, cancel := context.WithTimeout(ctx, b.replica.config.StoreTimeout)
		b.replica.stores.Breakers.Probe(within, in[:], out[:])
		cancel()
		b.shard.record(out[0].View.Err)
		b.settledProbe(out[0].View)
		if out[0].View.Err == nil || try == settleTries || !b.replica.sleep(ctx, pause/2+b.replica.jitter(pause/2)) || b.moved(epoch) {
			return
		}
		pause *= 2
	}
}

// settledProbe takes in what answered a probe's result. Where half-open goes
// on, the next lease may be asked for.
func (b *Breaker) settledProbe(v port.View) {
	now := b.replica.clock.now()
	b.mu.Lock()
	defer b.unlock(now)
	b.replyLocked(now, v)
	if v.Err == nil && v.State == domain.StateHalfOpen && v.Epoch == b.fleet.epoch && !b.probe.failed {
		b.probe.again = min(b.probe.again, now+v.For)
	}
}

// leaseFree follows a view of a half-open that we knew of: its lease may be free
// earlier than we were told, because it came back. It requires that b.mu is held.
func (b *Breaker) leaseFree(now time.Duration, v port.View, known uint64) {
	if v.Err != nil || v.State != domain.StateHalfOpen || v.Epoch != b.fleet.epoch || v.Epoch != known || b.probe.failed {
		return
	}
	if soon, m := now+v.For, b.manners(); soon+m.refused < b.probe.again {
		b.probe.again = soon + b.replica.jitter(m.spread)
	}
}

// moved reports whether the fleet has left the epoch.
func (b *Breaker) moved(epoch uint64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.fleet.epoch != epoch
}
