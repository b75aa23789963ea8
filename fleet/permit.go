package fleet

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
)

// A Permit lets one call proceed, and takes its outcome. It is a small value
// that may be copied and used by several goroutines: the first Report counts,
// any other does nothing. The zero Permit does nothing.
type Permit struct {
	pass  *pass
	turn  uint64
	probe bool
}

// A pass is what a Permit stands for. Passes are used again; turn tells whose
// it is now. Who moves turn on owns b and ticket until the pass is given out
// again; probe may be looked at by anyone.
type pass struct {
	turn   atomic.Uint64
	probe  atomic.Pointer[fleetProbe] // nil for an ordinary call
	b      *Breaker
	ticket breaker.Ticket
	began  time.Duration // where slow calls count
}

// A fleetProbe is a probe lease that this replica holds. It does not change.
type fleetProbe struct {
	epoch uint64
	token uint64
	until time.Duration
	clock clock // of until
}

// never is when a call began of which nobody asks how long it took: it is not slow.
const never = time.Duration(math.MaxInt64)

//nolint:gochecknoglobals // a free list, as sync.Pool is meant: it holds no state
var passes = sync.Pool{New: func() any { return &pass{} }}

func newPermit(b *Breaker, t breaker.Ticket) Permit {
	p, _ := passes.Get().(*pass)
	p.b, p.ticket = b, t
	if p.began = never; b.slowAfter.Load() > 0 {
		p.began = b.replica.clock.now()
	}
	return Permit{p, p.turn.Load(), t.IsProbe()}
}

func newProbePermit(b *Breaker, t breaker.Ticket, probe fleetProbe) Permit {
	p := newPermit(b, t)
	p.pass.probe.Store(&probe)
	p.probe = true
	return p
}

// Lease is how long a probe may still take: its call should end by then, since
// it counts as failed afterwards and another probe goes out. It reports false
// for an ordinary call, which has no such bound, and after Report.
func (p Permit) Lease() (time.Duration, bool) {
	if p.pass == nil {
		return 0, false
	}
	// The turn is read after the probe: if it is still ours, so was the probe.
	probe := p.pass.probe.Load()
	if probe == nil || p.pass.turn.Load() != p.turn {
		return 0, false
	}
	return max(probe.until-probe.clock.now(), 0), true
}

// IsProbe reports whether the call was let through to find out whether the dependency is
// well again. A probe of this replica's own layer alone has no Lease, since it bounds
// nobody else; what comes of it counts if it is reported within ProbeLease.
func (p Permit) IsProbe() bool { return p.probe }

// Report says what came of the call. One whose breaker has changed state since
// Acquire counts for nothing.
func (p Permit) Report(o domain.Outcome) { p.ReportAfter(o, 0) }

// ReportAfter is Report of a call whose dependency asked to be left alone for so long,
// as by a Retry-After: if this failure opens the breaker, it stays open at least as
// long, up to MaxRecoveryTimeout. Of any other outcome the wait says nothing.
func (p Permit) ReportAfter(o domain.Outcome, wait time.Duration) {
	if p.pass == nil || !p.pass.turn.CompareAndSwap(p.turn, p.turn+1) {
		return
	}
	b, ticket, began, probe := p.pass.b, p.pass.ticket, p.pass.began, p.pass.probe.Load()
	p.pass.b = nil
	if probe != nil {
		p.pass.probe.Store(nil)
	}
	passes.Put(p.pass)
	if o != domain.Failure {
		wait = 0
	}
	now := b.settle(ticket, probe, o, began, wait)
	if b.seat != nil {
		b.seat.leave(now)
	}
}

// settle counts the outcome of a call that began then, and after which the dependency
// asked to be left alone for wait. It returns what time it is.
func (b *Breaker) settle(t breaker.Ticket, probe *fleetProbe, o domain.Outcome, began, wait time.Duration) time.Duration {
	if !b.used.Load() {
		b.used.Store(true)
	}
	now := b.replica.clock.now()
	b.mu.Lock()
	defer b.mu.Unlock()
	took := now - began
	if probe != nil {
		if o == domain.Success && b.local.IsSlow(took) {
			o = domain.Failure
		}
		b.settleProbe(now, *probe, o, wait)
	}
	if probe == nil || t.IsProbe() { // while the fleet is not closed, results feed the fleet only
		b.local.LeaveAlone(now, wait)
		b.count(now, t, o, took)
		b.report.changed = b.report.changed || o != domain.Ignored
	}
	quiet := b.local.State() == domain.StateClosed && b.report.state == domain.StateClosed && b.report.opinion == wellMeant
	if o != domain.Success || !quiet || b.local.IsSlow(took) {
		b.settled(now)
	}
	return now
}
