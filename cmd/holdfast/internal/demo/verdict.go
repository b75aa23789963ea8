package demo

import (
	"math"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/fleet"
)

// The bounds that do not follow from the numbers of the fleet.
const (
	tripBound       = 250 * time.Millisecond
	reissueBound    = 500 * time.Millisecond // beyond the lease
	commandsBound   = 0.5                    // for each decision
	lentBound       = 0.2                    // and where tokens are taken ahead
	storeTimeBound  = fleet.DefaultStoreTimeout + 10*time.Millisecond
	storeTimeShare  = 0.99
	dispatchDelay   = 50 * time.Millisecond                 // from a decision to the downstream, at most
	forceBound      = fleet.DefaultMaxStaleness + tripBound // an order is pushed; if that is lost, it is read
	arrivalDelay    = fleet.DefaultStoreTimeout + dispatchDelay
	probesPermitted = 1
	stepBound       = 1.5 // of what a step may have: the fleet counts its calls before a little earlier than we do
)

// A Verdict says for each promise whether it was kept.
type Verdict struct {
	Checks []Check
}

// Pass reports whether all were.
func (v Verdict) Pass() bool {
	return !slices.ContainsFunc(v.Checks, func(c Check) bool { return !c.OK })
}

// A Check is one promise: its bound, and what was measured.
type Check struct {
	Name     string
	Bound    float64
	Measured float64 // NaN: what it is about did not happen, so it was not kept either
	Unit     string
	OK       bool
}

// evidence is what a run leaves behind.
type evidence struct {
	rate, burst int64
	lease       time.Duration
	window      time.Duration // of the breaker
	ramp        time.Duration

	arrivals []arrival // in order
	history  []transition
	alone    alone
	killed   *arrival // the probe whose replica was killed; nil = there was none
	forced   span     // by an operator; empty = it was not
	tallies  []tally  // of each replica, at its end
	commands int64    // at the store
	lent     bool     // the replicas took tokens ahead
}

// alone is what happened while one replica was broken.
type alone struct {
	victim        int // from 1; 0 = it did not happen
	from, to      time.Duration
	before, after []tally // of each replica
}

// judge compares what happened with what is promised.
func judge(e evidence) Verdict {
	probes, others := probesOf(e.arrivals, e.history, e.lease)
	last, late := afterTrip(others, outages(e.history), tripBound)
	refusals, changes := e.alone.harm(e.history)
	lastForced, lateForced := e.whileForced()
	return Verdict{Checks: []Check{
		atMost(float64(e.burst)+float64(e.rate)*arrivalDelay.Seconds(), "calls",
			"calls beyond rate·t, in the worst interval", e.worst()),
		atMost(millis(tripBound), "ms", "trip to the last call that is no probe", last),
		atMost(0, "calls", "calls later than that while open, probes apart", late),
		atMost(probesPermitted, "leases", "probe leases out at once", e.mostAtOnce(probes)),
		atMost(millis(e.lease+reissueBound), "ms", "killed replica's probe issued again after", e.reissue(probes)),
		atMost(stepBound, "times", "calls in a step of the ramp, of those allowed", e.worstStep()),
		atMost(millis(forceBound), "ms", "override to the last call, forced open", lastForced),
		atMost(0, "calls", "calls later than that while forced open", lateForced),
		atMost(millis(forceBound), "ms", "end of the override to the next call", afterEnd(e.arrivals, e.forced)),
		atMost(0, "refusals", "breaker refusals elsewhere, one replica broken", refusals),
		atMost(0, "changes", "epoch changes meanwhile", changes),
		atMost(e.commandsBound(), "commands", "store commands per decision", e.commandsPerDecision()),
		atMost(millis(storeTimeBound), "ms", "time of a call at the store, 99th percentile", e.storeTime()),
	}}
}

func atMost(bound float64, unit, name string, measured float64) Check {
	return Check{Name: name, Bound: rounded(bound), Measured: rounded(measured), Unit: unit, OK: measured <= bound}
}

// rounded has as many digits as anyone reads. It never hides that a bound was
// broken, since the comparison was made before.
func rounded(x float64) float64 { return math.Round(x*1000) / 1000 }

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// unknown is the measure of what did not happen.
func unknown() float64 { return math.NaN() }

func (e evidence) worst() float64 {
	if len(e.arrivals) == 0 {
		return unknown()
	}
	times := make([]time.Duration, len(e.arrivals))
	for i, a := range e.arrivals {
		times[i] = a.at
	}
	return worstInterval(times, float64(e.rate))
}

// afterTrip returns how many ms after a trip the last call came that was no
// probe, at worst, and how many came later than allowed.
func afterTrip(others []arrival, outages []span, bound time.Duration) (lastMillis, late float64) {
	if len(outages) == 0 {
		return unknown(), unknown()
	}
	var last time.Duration
	for _, o := range outages {
		for _, a := range others {
			if !o.holds(a.at) {
				continue
			}
			last = max(last, a.at-o.from)
			if a.at-o.from > bound {
				late++
			}
		}
	}
	return millis(last), late
}

// worstStep returns how many times what it may have the worst step of the ramp had.
func (e evidence) worstStep() float64 {
	outage, ended := lastOutage(e.history)
	if !ended {
		return unknown()
	}
	return climbAfter(outage, e.arrivals, e.window, e.ramp).worst()
}

// whileForced is afterTrip for the time in which an operator forced the breaker open.
func (e evidence) whileForced() (lastMillis, late float64) {
	if e.forced == (span{}) {
		return unknown(), unknown()
	}
	return afterTrip(e.arrivals, []span{e.forced}, forceBound)
}

// mostAtOnce returns how many probes were under way together at most. A killed
// replica's probe counts until its lease ends: nobody else may have one before.
func (e evidence) mostAtOnce(probes []arrival) float64 {
	if len(probes) == 0 {
		return unknown()
	}
	most := 0
	for _, p := range probes {
		under := 0
		for _, other := range probes {
			if other.at <= p.at && p.at < e.endOf(other) {
				under++
			}
		}
		most = max(most, under)
	}
	return float64(most)
}

// endOf is when a probe was over, as far as downstream and store can tell: with
// its answer, or, where there was none, with its lease. The killed replica's was
// given when the breaker became half-open, for it was the first to ask.
func (e evidence) endOf(p arrival) time.Duration {
	switch {
	case e.killed != nil && p.at == e.killed.at && p.replica == e.killed.replica:
		end := p.at
		for _, s := range recoveries(e.history) {
			if s.holds(p.at) {
				end = s.from + e.lease
			}
		}
		return end
	case p.done == 0:
		return p.at + e.lease - dispatchDelay
	default:
		return p.done
	}
}

// reissue returns how many ms after the killed replica's probe the next one came.
func (e evidence) reissue(probes []arrival) float64 {
	if e.killed == nil {
		return unknown()
	}
	for _, p := range probes {
		if p.at > e.killed.at {
			return millis(p.at - e.killed.at)
		}
	}
	return unknown()
}

// harm returns what a replica that was broken alone did to the others: how often
// their breakers refused, and how often the fleet's changed.
func (a alone) harm(history []transition) (refusals, changes float64) {
	if a.victim == 0 || a.after[a.victim-1].Failed == a.before[a.victim-1].Failed {
		return unknown(), unknown() // nothing was broken
	}
	for i := range a.before {
		if i != a.victim-1 {
			refusals += float64(a.after[i].Refused - a.before[i].Refused)
		}
	}
	for _, t := range history {
		if t.at >= a.from && t.at <= a.to {
			changes++
		}
	}
	return refusals, changes
}

func (e evidence) commandsBound() float64 {
	if e.lent {
		return lentBound
	}
	return commandsBound
}

func (e evidence) commandsPerDecision() float64 {
	var decisions int64
	for _, t := range e.tallies {
		decisions += t.decisions()
	}
	if decisions == 0 {
		return unknown()
	}
	return float64(e.commands) / float64(decisions)
}

func (e evidence) storeTime() float64 {
	var all histogram
	for _, t := range e.tallies {
		all.merge(t.StoreTime)
	}
	d, ok := all.quantile(storeTimeShare)
	if !ok {
		return unknown()
	}
	return millis(d)
}
