package demo

import (
	"math"
	"time"

	"github.com/holdfast-go/holdfast/domain"
)

// An arrival is one request at the downstream. Times are the parent's.
type arrival struct {
	at, done time.Duration // done is 0 while it is being served
	replica  int
	probe    bool   // as the replica says
	epoch    uint64 // as the replica knows it
}

// A transition is one that the store has seen, in the parent's time.
type transition struct {
	at    time.Duration
	epoch uint64
	state domain.State
}

// A span is a stretch of time. One that has not ended lasts for ever.
type span struct{ from, to time.Duration }

// holds reports whether t is in s, its ends apart.
func (s span) holds(t time.Duration) bool { return t > s.from && t < s.to }

const forever time.Duration = math.MaxInt64

// outages are the spans in which the fleet's breaker was not closed: each from
// its trip to its closing.
func outages(history []transition) []span {
	return spans(history, func(s domain.State) bool { return s != domain.StateClosed })
}

// recoveries are the spans in which it was half-open.
func recoveries(history []transition) []span {
	return spans(history, func(s domain.State) bool { return s == domain.StateHalfOpen })
}

func spans(history []transition, in func(domain.State) bool) []span {
	var found []span
	inside := false
	for _, t := range history {
		switch {
		case in(t.state) && !inside:
			found = append(found, span{t.at, forever})
		case !in(t.state) && inside:
			found[len(found)-1].to = t.at
		}
		inside = in(t.state)
	}
	return found
}

// probesOf returns the arrivals that were probes: those that say so, while the
// store had leases to give or those given could still be used. What a replica
// says is not enough: a call that passes itself off as a probe is none.
func probesOf(arrivals []arrival, history []transition, lease time.Duration) (probes, others []arrival) {
	halfOpen := recoveries(history)
	for i, s := range halfOpen {
		halfOpen[i].to = min(s.to, forever-lease) + lease
	}
	for _, a := range arrivals {
		if a.probe && anyHolds(halfOpen, a.at) {
			probes = append(probes, a)
		} else {
			others = append(others, a)
		}
	}
	return probes, others
}

func anyHolds(all []span, t time.Duration) bool {
	for _, s := range all {
		if s.holds(t) {
			return true
		}
	}
	return false
}
