package fleet

import (
	"context"
	"errors"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
)

// ramps is the name of the limit whose buckets are the ramps of breakers.
const ramps = reserved + "ramp"

// rampSteps are the shares of the calls before, in percent, that are admitted after
// closing, each for as long as the others; then all.
var rampSteps = [...]int64{5, 25, 50} //nolint:gochecknoglobals // a constant list

// fastestRamp bounds a step, in calls a second: a bucket reckons no faster.
const fastestRamp = 10_000_000

// A ramp is how admission rises after the fleet's layer closed: rule B10. It is under
// the breaker's lock; the zero ramp is none.
type ramp struct {
	epoch uint64
	base  int64 // calls a second of the fleet; 0 = no ramp
	until time.Duration
	whole time.Duration // how long it is from end to end
}

// adopt takes a view of the breaker's epoch; whole is how long a ramp is here. An end that is known never moves on.
func (r *ramp) adopt(now time.Duration, v port.View, whole time.Duration) {
	until := now + v.For
	switch {
	case v.State != domain.StateClosed || v.Base == 0:
	case r.base == 0 && r.epoch != v.Epoch:
		*r = ramp{v.Epoch, v.Base, until, max(whole, v.For)}
	default:
		r.until = min(r.until, until)
	}
}

// A rung is one step of a ramp: the limit that the whole fleet has for a while.
type rung struct {
	epoch uint64
	step  int
	limit domain.Limit
}

// rung is the step of now; false if there is no ramp, or no more. It requires that
// b.mu is held.
func (b *Breaker) rung(now time.Duration) (r rung, climbing bool) {
	up := &b.fleet.ramp
	if up.base == 0 {
		return rung{}, false
	}
	rest := up.until - now
	if rest <= 0 {
		up.base = 0 // the epoch stays: a view that is late does not begin it again
		return rung{}, false
	}
	r = rung{epoch: up.epoch}
	each := up.whole / time.Duration(len(rampSteps))
	for last := len(rampSteps) - 1; r.step < last && rest <= each*time.Duration(last-r.step); {
		r.step++
	}
	perSecond := min(max(up.base*rampSteps[r.step]/100, int64(b.policy.Probes)), fastestRamp)
	r.limit = domain.PerSecond(perSecond).WithBurst(max(perSecond/2, int64(b.policy.Probes)))
	return r, true
}

// climb lets a call that both layers let pass go on while the fleet's ramp has room for
// it. A probe passes as it is, and so does what an operator lets pass.
func (b *Breaker) climb(ctx context.Context, budget *Budget, p Permit) (Permit, error) {
	if _, isProbe := p.Lease(); isProbe {
		return p, nil
	}
	l, err := b.step()
	if l == nil && err == nil {
		return p, nil
	}
	var d domain.Decision
	if err == nil {
		d, err = b.takeStep(ctx, budget, l)
	}
	switch {
	case err == nil && d.Allowed:
		return p, nil
	case err == nil:
		err = b.refusal(domain.ScopeFleet, d.RetryAfter)
	}
	if b.seat != nil {
		b.seat.enter() // Report gives up one place, and whoever is refused the other
	}
	p.Report(domain.Ignored)
	return Permit{}, err
}

// step is the limit of the ramp's step of now; nil if a call may pass as it is.
func (b *Breaker) step() (*Limiter, error) {
	now := b.replica.clock.now()
	b.mu.Lock()
	defer b.mu.Unlock()
	r, climbing := b.rung(now)
	if !climbing {
		b.rise = nil
		b.regate()
		return nil, nil //nolint:nilnil // there is no limit
	}
	force := b.forced(now)
	climbing = force == domain.ForceNone || force == domain.ForceMetricsOnly
	if !climbing {
		return nil, nil //nolint:nilnil // likewise
	}
	return b.rampLimiter(r)
}

// takeStep asks the bucket of the ramp for one call.
func (b *Breaker) takeStep(ctx context.Context, budget *Budget, l *Limiter) (domain.Decision, error) {
	d, err := l.AllowWithin(ctx, b.rampKey(), 1, budget)
	if errors.Is(err, domain.ErrStoreUnavailable) || errors.Is(err, domain.ErrStoreConfig) {
		return domain.Decision{}, nil // refused: what it may admit cannot be known
	}
	return d, err
}

// rampKey says which of the ramps' buckets is this breaker's. No name has a "=".
func (b *Breaker) rampKey() string {
	if b.id.Key == "" {
		return b.id.Name
	}
	return b.id.Name + "=" + b.id.Key
}

// rampLimiter is the limit of this breaker's ramp, at a step. A later one wins over an
// earlier one in the store, as its version is higher: epochs grow by the clock's µs. It is
// the breaker's own, and goes when the ramp is over, or with its key. It requires that
// b.mu is held.
func (b *Breaker) rampLimiter(r rung) (*Limiter, error) {
	if b.replica.closed.Load() {
		return nil, domain.ErrClosed
	}
	p := domain.RateLimit{Name: ramps, Keyed: true, Limit: r.limit, Version: int64(r.epoch) + int64(r.step)}
	if b.rise != nil {
		if b.rise.Policy().Version < p.Version {
			return b.rise, b.rise.Update(p)
		}
		return b.rise, nil
	}
	l, err := makeLimiter(b.replica, p)
	if err != nil {
		return nil, err
	}
	l.own, l.quiet, l.passing = true, true, b.seat != nil
	b.rise = l
	return l, nil
}

// dropRamp forgets the ramp's limit, for good: the replica is closed. It requires that
// b.mu is held.
func (b *Breaker) dropRamp() {
	if b.rise != nil {
		b.rise.lanes.drop()
		b.rise = nil
	}
}
