package main

import (
	"cmp"
	"math"
	"time"

	"github.com/holdfast-go/holdfast/domain"
)

// A setting is a fleet, its breaker, and the glitches of its replicas: times in which all
// calls of one replica fail, while the dependency is well. They begin at random, for each
// replica on its own. Replicas call evenly, and often enough for a full opinion.
type setting struct {
	replicas int
	calls    float64       // a second, of each replica
	every    time.Duration // from the end of a glitch to the beginning of the next one, on average
	long     time.Duration // a glitch
	window   time.Duration
	recovery time.Duration

	threshold int     // FailureThreshold; 0 = the default
	quorum    float64 // Quorum; 0 = the default
}

// failures are those in a row that trip a layer.
func (s setting) failures() float64 {
	return float64(cmp.Or(s.threshold, domain.DefaultFailureThreshold))
}

// usual is a fleet of ten with the defaults of the policy.
func usual(every, long, window time.Duration) setting {
	return setting{
		replicas: 10, calls: 10, every: every, long: long,
		window: window, recovery: domain.DefaultRecoveryTimeout,
	}
}

// A replica's life goes round: it is well, trips, is bad for as long as its evidence
// counts, says nothing while its layer is still open, and is well again.
type round struct {
	length      time.Duration // of one round, on average
	bad, silent float64       // their parts of it
	open        time.Duration // the layer, in one round
}

// round follows one glitch through the local layer. It trips once FailureThreshold calls
// failed in a row. Open, it makes no calls, so its evidence is as old as the trip, and
// counts for Window or until the layer closes. When the glitch outlasts RecoveryTimeout,
// the probe fails: that is new evidence, and it stays open for twice as long.
func (s setting) round() round {
	threshold := s.failures()
	trips := min(max(s.long.Seconds()*s.calls-(threshold-1), 0), 1) // the chance that a glitch is long enough
	if trips == 0 {
		return round{length: math.MaxInt64, open: s.recovery}
	}
	toTrip := time.Duration((threshold - 0.5) / s.calls * float64(time.Second))
	var open, bad time.Duration
	for next := s.recovery; ; next = min(2*next, max(domain.DefaultMaxRecoveryTimeout, s.recovery)) {
		open += next
		bad += min(s.window, next)
		if open >= s.long-toTrip {
			break
		}
	}
	length := float64(s.every)/trips + float64(toTrip+open)
	return round{time.Duration(length), float64(bad) / length, float64(open-bad) / length, open}
}

// suffices is whether so many bad replicas open a fleet in which so many say nothing: at
// least two, and Quorum of those that say something.
func (s setting) suffices(bad, silent int) bool {
	return bad >= domain.DefaultMinReplicas && float64(bad) >= cmp.Or(s.quorum, domain.DefaultQuorum)*float64(s.replicas-silent)
}

// openings is how many times a second the fleet opens wrongly: how often a replica trips
// while, of the others, just one too few are bad.
func (s setting) openings() float64 {
	r := s.round()
	others := s.replicas - 1
	chance := 0.0
	for bad := range others + 1 {
		for silent := range others - bad + 1 {
			if s.suffices(bad+1, silent) && !s.suffices(bad, silent) {
				chance += multinomial(others, bad, silent, r)
			}
		}
	}
	return float64(s.replicas) / r.length.Seconds() * chance
}

// multinomial is the chance that of n replicas so many are bad, so many silent and the
// others well.
func multinomial(n, bad, silent int, r round) float64 {
	ways, _ := math.Lgamma(float64(n + 1))
	for _, k := range []int{bad, silent, n - bad - silent} {
		l, _ := math.Lgamma(float64(k + 1))
		ways -= l
	}
	return math.Exp(ways) * math.Pow(r.bad, float64(bad)) * math.Pow(r.silent, float64(silent)) *
		math.Pow(1-r.bad-r.silent, float64(n-bad-silent))
}

// wrongly is the share of time in which the fleet is open for nothing but glitches. Each
// opening lasts as long as a layer of its own would have: RecoveryTimeout, and where the
// glitches outlast that, until a probe finds them over. Then it may open again at once.
func (s setting) wrongly() float64 {
	return share(s.openings() * s.round().open.Seconds() / (1 - s.again()))
}

// again is the chance that a fleet which has just closed opens once more: its windows are
// empty, and for a quarter of a window two bad replicas are half of what is said.
func (s setting) again() float64 {
	sick := min((s.long+s.window/4).Seconds()/(s.long+s.every).Seconds(), 1)
	n := float64(s.replicas)
	return 1 - math.Pow(1-sick, n) - n*sick*math.Pow(1-sick, n-1)
}

// byAny is the same for a fleet that one bad replica opens.
func (s setting) byAny() float64 {
	r := s.round()
	return share(float64(s.replicas) / (r.length - r.open).Seconds() * r.open.Seconds())
}

// share is what is open of all time, of so much open time for each unit of closed time.
func share(open float64) float64 {
	if math.IsInf(open, 1) {
		return 1 // it closes only to open again
	}
	return open / (1 + open)
}
