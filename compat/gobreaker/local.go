package gobreaker

import (
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/domain"
)

// A local is what one replica adds to the breaker that the fleet shares: the Counts, what
// ReadyToTrip makes of them, and who is told of changes.
type local struct {
	settings Settings // with defaults

	mu     sync.Mutex
	own    State     // what ReadyToTrip has made of it; closed where there is none
	until  time.Time // when own ends to be open
	state  State     // the stricter one of own and the fleet's, or what an operator orders
	epoch  uint64    // grows whenever counts begin anew
	since  time.Time // when they did
	counts window
	news   news
}

// A ticket says which counts a call belongs to.
type ticket struct {
	epoch uint64
	turn  int64
}

func newLocal(s Settings) *local {
	return &local{
		settings: s, since: now(), counts: window{buckets: make([]Counts, s.buckets())},
		news: news{name: s.Name, tell: s.OnStateChange},
	}
}

// admit lets a call through that the fleet has let through, or says why not.
func (l *local) admit(fleet view) (ticket, error) {
	defer l.news.deliver()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.follow(now(), fleet)
	switch {
	case fleet.ordered:
	case l.own == StateOpen:
		return ticket{}, ErrOpenState
	case l.own == StateHalfOpen && l.counts.sum.onTrial() >= l.settings.MaxRequests:
		return ticket{}, ErrTooManyRequests
	}
	l.counts.begin()
	return ticket{l.epoch, l.counts.turn}, nil
}

// settle counts what came of a call, after which the fleet looks like that.
func (l *local) settle(t ticket, o domain.Outcome, fleet view) {
	defer l.news.deliver()
	l.mu.Lock()
	defer l.mu.Unlock()
	at := now()
	l.pass(at)
	if t.epoch == l.epoch {
		l.counts.end(t.turn, o)
		if l.settings.ReadyToTrip != nil && !fleet.ordered {
			l.judge(at, o)
		}
	}
	l.follow(at, fleet)
}

// judge lets own follow from the counts, by ReadyToTrip. It requires that l.mu is held.
func (l *local) judge(at time.Time, o domain.Outcome) {
	failed := o == domain.Failure || o == domain.LocalFailure
	switch {
	case l.own == StateHalfOpen && failed, l.own == StateClosed && failed && l.settings.ReadyToTrip(l.counts.sum):
		l.own, l.until = StateOpen, at.Add(l.settings.Timeout)
	case l.own == StateHalfOpen && l.counts.sum.ConsecutiveSuccesses >= l.settings.MaxRequests:
		l.own = StateClosed
	}
}

// look returns how things stand, while the fleet looks like that.
func (l *local) look(fleet view) (State, Counts) {
	defer l.news.deliver()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.follow(now(), fleet)
	return l.state, l.counts.sum
}

// follow brings all up to the time and to the fleet. It requires that l.mu is held.
func (l *local) follow(at time.Time, fleet view) {
	l.pass(at)
	state := max(l.own, fleet.state)
	if fleet.ordered {
		state = fleet.state
	}
	if state != l.state {
		l.news.add(l.state, state)
		l.state = state
		l.restart(at)
	}
}

// pass does what time alone brings about. It requires that l.mu is held.
func (l *local) pass(at time.Time) {
	if l.own == StateOpen && !at.Before(l.until) {
		l.own = StateHalfOpen
	}
	if l.state != StateClosed || l.settings.Interval == 0 {
		return
	}
	turn := int64(at.Sub(l.since) / l.settings.BucketPeriod)
	if len(l.counts.buckets) > 1 {
		l.counts.moveTo(turn)
	} else if turn > 0 {
		l.restart(at)
	}
}

// restart begins the counts anew: calls from before belong to none. It requires that l.mu
// is held.
func (l *local) restart(at time.Time) {
	l.epoch++
	l.since = at
	l.counts.clear()
	l.counts.turn = 0
}
