package breaker

import (
	"time"

	"github.com/holdfast-go/holdfast/domain"
)

// A Cap is how many keys of a keyed breaker may be open at once.
type Cap struct{ mille int64 }

// NewCap is the cap of a valid policy that is Keyed: its MaxOpenShare.
func NewCap(c domain.CircuitBreaker) Cap { return Cap{mille(c.WithDefaults().MaxOpenShare)} }

// Exceeded reports whether so many open ones are too many of so many keys, in whole
// numbers: the share is rounded down to keys. One may always be open: that one key
// is in trouble says nothing about the others.
func (c Cap) Exceeded(open, keys int64) bool { return open > max(1, keys*c.mille/1000) }

// earlyPart is which part of the recovery time lies before the first call that is
// let through early, and after each one that failed. A dependency that fails at once
// would be called again and again otherwise.
const earlyPart = 10

// An early ticket has the epoch that none has: its probe alone says whether it counts.
func (t Ticket) isEarly() bool { return t.epoch == 0 }

// RestEarly lets no call through early for a tenth of the recovery time.
func (l *Local) RestEarly(now time.Duration) { l.restUntil = now + l.recovery/earlyPart }

// AdmitEarly asks for one call although Admit, or the fleet, refused it, because too
// many breakers are open at once to be believed. At most as many such calls are out as
// there may be probes, half-open ones among them; each keeps its place for no longer
// than a probe. None is let through while the dependency asked to be left alone. When ok
// is false, retryAfter is when asking again is useful; 0 when that is not known.
//
// One that succeeds in an open breaker is its first good probe, and makes it half-open
// before its time; in a closed one, which the fleet's layer holds back, it changes
// nothing. One that fails keeps others from following for a while, and neither counts
// nor lengthens the time.
func (l *Local) AdmitEarly(now time.Duration) (t Ticket, ok bool, retryAfter time.Duration) {
	if rest := max(l.restUntil, l.alone); l.state != domain.StateHalfOpen && now < rest {
		return Ticket{}, false, rest - now
	}
	t, ok, retryAfter = l.admitProbe(now)
	t.epoch = 0
	return t, ok, retryAfter
}

// settleEarly takes the outcome of a call that AdmitEarly let through. The place of one
// that began in an earlier epoch was given up with it.
func (l *Local) settleEarly(now time.Duration, t Ticket, o domain.Outcome, took time.Duration) {
	if o == domain.Success && l.IsSlow(took) {
		o = domain.Failure
	}
	if l.state == domain.StateHalfOpen {
		l.settleProbe(now, t, o)
		return
	}
	if !l.takeBack(now, t) || o == domain.Ignored {
		return
	}
	isOpen := l.state == domain.StateOpen
	switch {
	case o != domain.Success:
		l.RestEarly(now)
		if isOpen {
			l.noteEarly(now, o)
		}
	case isOpen:
		l.recoverEarly()
	}
}

// noteEarly keeps whose fault the trouble is, as a failed probe does.
func (l *Local) noteEarly(now time.Duration, o domain.Outcome) {
	if l.byDep = o == domain.Failure; l.byDep {
		l.lastDep = now
	}
}

// recoverEarly makes an open breaker half-open with one good probe.
func (l *Local) recoverEarly() {
	l.halfOpen()
	if l.succeeded = 1; l.succeeded >= l.successes {
		l.close()
	}
}

// halfOpen begins half-open. Calls that were let through early and are still out are
// probes now.
func (l *Local) halfOpen() {
	early := len(l.out)
	l.turn(domain.StateHalfOpen)
	l.out = l.out[:early]
}
