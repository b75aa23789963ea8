package breaker

import (
	"time"

	"github.com/holdfast-go/holdfast/domain"
)

// A Local is one replica's layer of a breaker: a complete breaker over its own
// calls. Its times are read from any clock that does not step back, as the time
// since some start. It is not safe for concurrent use.
type Local struct {
	threshold  int64 // consecutive failures; 0 = off
	ratioMille int64 // 0 = off
	slowMille  int64 // 0 = off
	slowAfter  time.Duration
	minCalls   int64
	fullCalls  int64 // how many give an opinion its full weight
	window     time.Duration
	recovery   time.Duration
	longest    time.Duration
	stagger    int64 // thousandths by which the next trip is longer
	probes     int
	lease      time.Duration
	successes  int

	state     domain.State
	epoch     uint64 // grows at each transition, and voids what was admitted before
	until     time.Duration
	growth    int
	row       int64 // failures in a row
	rowOfDep  int64 // those of the dependency
	byDep     bool  // the last trip was the dependency's fault
	lastDep   time.Duration
	alone     time.Duration // until when the dependency asked to be left alone
	trouble   Trouble       // the last, for people to see
	troubleAt time.Duration
	recent    window
	last      lastCalls // nil: the ratios are those of recent
	out       []probe   // half-open: leases out; else calls let through early
	nextProbe uint64
	succeeded int
	restUntil time.Duration // no call is let through early before
}

type probe struct {
	token uint64
	until time.Duration
}

// A Ticket is what Admit gave and Settle takes: which epoch a call belongs to,
// and which probe it is.
type Ticket struct{ epoch, probe uint64 }

// NewLocal returns a closed breaker for a valid policy.
func NewLocal(c domain.CircuitBreaker) Local {
	l := Local{epoch: 1}
	l.Configure(c)
	return l
}

// Configure changes the numbers and keeps counts and state. A window of another
// length starts empty.
func (l *Local) Configure(c domain.CircuitBreaker) {
	c = c.WithDefaults()
	l.threshold, l.ratioMille = int64(c.FailureThreshold), mille(c.FailureRatio)
	l.slowMille, l.slowAfter = mille(c.SlowRatio), c.SlowAfter
	l.minCalls, l.fullCalls = int64(c.MinCalls), int64(c.MinCalls)
	if c.Sharing == domain.ShareAggregate {
		l.fullCalls = max(int64(c.MinCalls/c.MinReplicas), 1)
	}
	if l.last.size() != c.CountWindow {
		l.last = newLastCalls(c.CountWindow)
	}
	l.recovery, l.longest = c.RecoveryTimeout, c.MaxRecoveryTimeout
	l.probes, l.lease, l.successes = c.Probes, c.ProbeLease, c.SuccessThreshold
	if l.window != c.Window {
		l.window = c.Window
		l.recent = window{slot: max(c.Window/slots, 1)}
	}
}

// State is the state as at the last call to another method: an open breaker
// becomes half-open when a call is admitted, not by itself.
func (l *Local) State() domain.State { return l.state }

// RetryAfter is how long an open breaker stays so.
func (l *Local) RetryAfter(now time.Duration) time.Duration {
	if l.state != domain.StateOpen {
		return 0
	}
	return max(l.until-now, 0)
}

// Admit asks for one call. When ok is false it must not be made, and
// retryAfter is when asking again is useful.
func (l *Local) Admit(now time.Duration) (t Ticket, ok bool, retryAfter time.Duration) {
	if l.state == domain.StateOpen {
		if now < l.until {
			return Ticket{}, false, l.until - now
		}
		l.halfOpen()
	}
	if l.state == domain.StateClosed {
		return Ticket{epoch: l.epoch}, true, 0
	}
	return l.admitProbe(now)
}

func (l *Local) admitProbe(now time.Duration) (t Ticket, ok bool, retryAfter time.Duration) {
	l.dropExpired(now)
	if len(l.out) >= l.probes {
		return Ticket{}, false, l.out[0].until - now
	}
	l.nextProbe++
	l.out = append(l.out, probe{l.nextProbe, now + l.lease})
	return Ticket{l.epoch, l.nextProbe}, true, 0
}

// dropExpired gives the slots of hung probes back. They are in order of time.
func (l *Local) dropExpired(now time.Duration) {
	n := 0
	for n < len(l.out) && l.out[n].until <= now {
		n++
	}
	l.out = append(l.out[:0], l.out[n:]...)
}

// Epoch grows at each transition; 0 is never used.
func (l *Local) Epoch() uint64 { return l.epoch }

// ClosedTicket is what Admit gives in the closed epoch of that number.
func ClosedTicket(epoch uint64) Ticket { return Ticket{epoch: epoch} }

// LeaveAlone notes that the dependency asked, by a failure that is to be settled next, to
// be left alone for so long: if that trips the layer, it stays open as long at least, up
// to the longest recovery time.
func (l *Local) LeaveAlone(now, wait time.Duration) {
	if wait > 0 {
		l.alone = max(l.alone, now+min(wait, l.longest))
	}
}

// Stagger makes the next trip, and those after it, longer by so many thousandths, so that
// layers which tripped together do not all probe at once.
func (l *Local) Stagger(mille int64) { l.stagger = mille }

// IsProbe reports whether the call was admitted while half-open.
func (t Ticket) IsProbe() bool { return t.probe != 0 }

// SlowAfter is how long a call may take before it is slow; 0 = none is.
func (l *Local) SlowAfter() time.Duration { return l.slowAfter }

// IsSlow reports whether a call that took so long was slow.
func (l *Local) IsSlow(took time.Duration) bool { return l.slowAfter > 0 && took > l.slowAfter }

// Settle takes the outcome of a call that Admit let through, and how long it took. One
// of an earlier epoch counts for nothing, nor does a probe whose lease is over.
func (l *Local) Settle(now time.Duration, t Ticket, o domain.Outcome, took time.Duration) {
	if t.isEarly() {
		l.settleEarly(now, t, o, took)
		return
	}
	if t.epoch != l.epoch {
		return
	}
	if l.state == domain.StateHalfOpen {
		if o == domain.Success && l.IsSlow(took) {
			o = domain.Failure
		}
		l.settleProbe(now, t, o)
		return
	}
	if o == domain.Ignored {
		return // it must not trip either, only because the window has moved on
	}
	l.count(now, o, l.IsSlow(took))
	sum := l.recent.sum
	if l.last != nil {
		sum = l.last.sum()
	}
	slow := ratioReached(l.slowMille, l.minCalls, sum.calls, sum.slow)
	if slow || l.reached(l.row, sum.calls+sum.own, sum.failures+sum.own) {
		l.byDep = slow || l.reached(l.rowOfDep, sum.calls, sum.failures)
		l.open(now)
	}
}

func (l *Local) count(now time.Duration, o domain.Outcome, slow bool) {
	one := tally{calls: 1}
	switch o {
	case domain.Success:
		l.row, l.rowOfDep, l.lastDep = 0, 0, now
	case domain.Failure:
		l.row++
		l.rowOfDep++
		l.lastDep = now
		l.note(now, TroubleFailure)
		one.failures = 1
	case domain.LocalFailure:
		l.row++
		l.note(now, TroubleOwn)
		one, slow = tally{own: 1}, false
	case domain.Ignored:
		return
	}
	if slow {
		one.slow = 1
		if o == domain.Success {
			l.note(now, TroubleSlow)
		}
	}
	l.recent.count(now, one)
	l.last.count(one)
}

// note keeps of which kind the last trouble was.
func (l *Local) note(now time.Duration, t Trouble) { l.trouble, l.troubleAt = t, now }

// reached applies the rules of failures, in whole numbers: exactly the ratio counts.
func (l *Local) reached(row, calls, failures int64) bool {
	return l.threshold > 0 && row >= l.threshold || ratioReached(l.ratioMille, l.minCalls, calls, failures)
}

// ratioReached reports whether so many of at least so many calls are the ratio; 0 is off.
func ratioReached(ratioMille, least, calls, of int64) bool {
	return ratioMille > 0 && calls >= least && of > 0 && of*1000 >= ratioMille*calls
}

// takeBack gives a probe's slot back. It reports false if that was over.
func (l *Local) takeBack(now time.Duration, t Ticket) bool {
	l.dropExpired(now)
	at := -1
	for i, p := range l.out {
		if p.token == t.probe {
			at = i
		}
	}
	if at < 0 {
		return false
	}
	l.out = append(l.out[:at], l.out[at+1:]...)
	return true
}

func (l *Local) settleProbe(now time.Duration, t Ticket, o domain.Outcome) {
	if !l.takeBack(now, t) {
		return
	}
	switch o {
	case domain.Success: // no evidence of the trouble that opened it
		if l.succeeded++; l.succeeded >= l.successes {
			l.close()
		}
	case domain.Failure:
		l.lastDep = now
		l.byDep = true
		l.note(now, TroubleFailure)
		l.open(now)
	case domain.LocalFailure:
		l.byDep = false
		l.note(now, TroubleOwn)
		l.open(now)
	case domain.Ignored: // the slot is back, and nothing was learnt
	}
}

// open trips, for longer each time in a row.
func (l *Local) open(now time.Duration) {
	d := l.recovery
	for range l.growth {
		if d >= l.longest {
			break
		}
		d *= 2
	}
	l.growth++
	d = min(d, l.longest)
	l.until = now + max(d+d/1000*time.Duration(l.stagger), min(l.alone-now, l.longest))
	l.RestEarly(now)
	l.turn(domain.StateOpen)
}

func (l *Local) close() {
	l.growth, l.alone = 0, 0
	l.recent.clear()
	l.last.clear()
	l.turn(domain.StateClosed)
}

// turn is the only place where the state changes.
func (l *Local) turn(to domain.State) {
	l.state = to
	l.epoch++
	l.out = l.out[:0]
	l.row, l.rowOfDep, l.succeeded = 0, 0, 0
}

// Absorb hands the layer over to the fleet's, which left closed or came back to
// it: a trip that was the dependency's fault ends, since one timer is enough,
// and the window starts empty. A trip of own origin stays.
func (l *Local) Absorb() {
	if l.state == domain.StateClosed || l.byDep {
		l.close()
	}
}

// Reset begins afresh: closed, with an empty window, whatever opened it.
func (l *Local) Reset() { l.close() }

// Note counts the outcome of a call that Admit let through while closed, and judges
// nothing: an operator decides meanwhile.
func (l *Local) Note(now time.Duration, t Ticket, o domain.Outcome, took time.Duration) {
	if t.epoch == l.epoch && l.state == domain.StateClosed {
		l.count(now, o, l.IsSlow(took))
	}
}

// HoldOpen keeps the layer open until the given time, when the fleet's state
// was lost while it was open: a flush must not be a stampede. It rests on no
// calls of this replica's, and so is no opinion to tell the fleet.
func (l *Local) HoldOpen(until time.Duration) {
	l.until, l.byDep, l.lastDep = until, true, -l.window
	l.turn(domain.StateOpen)
}

// Slow is how many calls of the window were slow, as at the last Evidence.
func (l *Local) Slow() int64 { return l.recent.sum.slow }

// Evidence is what this replica may tell the fleet at now: its window of calls
// that the dependency answered for, how much it weighs, and for how long. See
// the fleet's rules in [Fleet.Report].
func (l *Local) Evidence(now time.Duration) Evidence {
	l.recent.advance(now)
	e := Evidence{Calls: l.recent.sum.calls, Failures: l.recent.sum.failures}
	if now-l.troubleAt < l.window {
		e.Last = l.trouble
	}
	slow := l.recent.sum.slow
	rest := l.lastDep + l.window - now
	tripped := l.state != domain.StateClosed
	if tripped {
		e.Open, e.ForMicro = true, l.RetryAfter(now).Microseconds()
	}
	switch {
	case rest <= 0 || (tripped && !l.byDep):
		return e // says nothing: too old, or its own trouble; for people, that it is open
	case tripped:
		e.Weight, e.Bad = fullWeight, true
	default:
		e.Weight = min(fullWeight, fullWeight*e.Calls/l.fullCalls)
		e.Bad = ratioReached(l.ratioMille, 0, e.Calls, e.Failures) || ratioReached(l.slowMille, 0, e.Calls, slow)
	}
	e.ForMicro = rest.Microseconds()
	if e.Bad {
		e.AloneMicro = max(l.alone-now, 0).Microseconds()
	}
	return e
}
