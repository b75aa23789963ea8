package breaker

import (
	"strconv"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/domain"
)

// early lets one call through before the time, which has to be let through.
func (b *lone) early() Ticket {
	b.t.Helper()
	ticket, ok, wait := b.AdmitEarly(b.now)
	if !ok || wait != 0 || !ticket.IsProbe() {
		b.t.Fatalf("at %v, %v: %+v, refused for %v; want it let through early", b.now, b.State(), ticket, wait)
	}
	return ticket
}

// refuseEarly asks for a call that has to be refused for that long.
func (b *lone) refuseEarly(want time.Duration) {
	b.t.Helper()
	if _, ok, wait := b.AdmitEarly(b.now); ok || wait != want {
		b.t.Fatalf("at %v, %v: let through early %v, refused for %v; want refused for %v", b.now, b.State(), ok, wait, want)
	}
}

// newTripped is open since 0, for 10 s.
func newTripped(t *testing.T, policy domain.CircuitBreaker) *lone {
	t.Helper()
	policy.FailureThreshold, policy.RecoveryTimeout = 1, 10*time.Second
	b := newLone(t, policy)
	b.call("F")
	b.is(open, "one failure trips it")
	return b
}

// The boundary is exact, and one may always be open.
func TestCap(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		share      float64
		keys, most int64 // that may be open
	}{
		{0, 1, 1},
		{0, 100, 100},
		{1, 100, 100},
		{0.5, 0, 1},
		{0.5, 1, 1},
		{0.5, 2, 1},
		{0.5, 3, 1},
		{0.5, 4, 2},
		{0.5, 99_999, 49_999},
		{0.5, 100_000, 50_000},
		{0.001, 999, 1},
		{0.001, 1999, 1},
		{0.001, 2000, 2},
		{0.29, 100, 29}, // 0.29·100 is 28.999999999999996 in binary fractions
		{0.57, 100, 57},
		{1.0 / 3, 3, 1},
		{1.0 / 3, 9, 2}, // a third is read as 0.333
		{0.999, 1000, 999},
	} {
		limit := NewCap(domain.CircuitBreaker{Keyed: true, MaxOpenShare: c.share})
		for open, want := range map[int64]bool{0: false, c.most: false, c.most + 1: true, c.most + 1000: true} {
			if got := limit.Exceeded(open, c.keys); got != want {
				t.Errorf("%v of %d: %d open is too many: %v; want %v", c.share, c.keys, open, got, want)
			}
		}
	}
}

// A good call before the time is the first good probe; failed ones change nothing but
// when the next may follow.
func TestEarlyCalls(t *testing.T) {
	t.Parallel()
	b := newTripped(t, domain.CircuitBreaker{SuccessThreshold: 2})
	b.refuseEarly(time.Second)
	b.now = time.Second - 1
	b.refuseEarly(1)
	b.now = time.Second
	for _, failed := range []domain.Outcome{domain.Failure, domain.LocalFailure} {
		call := b.early()
		b.refuseEarly(10 * time.Second) // one is out: its place is free when its lease is over
		b.Settle(b.now, call, failed, 0)
		b.is(open, "a failed call before the time changes nothing")
		b.refuse(10*time.Second - b.now)
		b.refuseEarly(time.Second)
		b.now += time.Second
	}
	b.Settle(b.now, b.early(), domain.Ignored, 0)
	b.is(open, "nothing was learnt")
	b.Settle(b.now, b.early(), domain.Success, 0) // at once: it only was cancelled
	b.is(halfOpen, "a good one is a good probe")
	b.call("S")
	b.is(closed, "two are enough")
	b.call("F")
	b.refuse(10 * time.Second) // closing reset the growth
}

func TestOneEarlyCallIsEnough(t *testing.T) {
	t.Parallel()
	b := newTripped(t, domain.CircuitBreaker{SuccessThreshold: 1})
	b.now = time.Second
	b.Settle(b.now, b.early(), domain.Success, 0)
	b.is(closed, "one success is asked for")
}

// A half-open state that began early ends as any other: it opens for longer.
func TestEarlyHalfOpenFails(t *testing.T) {
	t.Parallel()
	b := newTripped(t, domain.CircuitBreaker{})
	b.now = time.Second
	b.Settle(b.now, b.early(), domain.Success, 0)
	b.call("F")
	b.refuse(20 * time.Second)
	b.refuseEarly(time.Second)
}

// At most Probes are out at a time, through the change to half-open too, whichever way
// it comes.
func TestEarlyCallsAreBounded(t *testing.T) {
	t.Parallel()
	for _, inTime := range []bool{true, false} {
		t.Run(strconv.FormatBool(inTime), func(t *testing.T) {
			t.Parallel()
			b := newTripped(t, domain.CircuitBreaker{Probes: 3, SuccessThreshold: 3, ProbeLease: time.Minute})
			b.now = time.Second
			calls := []Ticket{b.early(), b.early(), b.early()}
			b.refuseEarly(time.Minute)
			if inTime {
				b.now = 10 * time.Second
				b.refuse(51 * time.Second)
				b.is(halfOpen, "the time is over")
				b.Settle(b.now, calls[0], domain.Success, 0)
			} else {
				b.Settle(b.now, calls[0], domain.Success, 0)
				b.is(halfOpen, "one was good")
			}
			b.Settle(b.now, calls[0], domain.Success, 0) // only once
			probe := b.admit()
			b.refuse(time.Minute - b.now + time.Second)
			b.refuseEarly(time.Minute - b.now + time.Second)
			b.Settle(b.now, calls[1], domain.Success, 0)
			b.is(halfOpen, "two were good")
			b.Settle(b.now, probe, domain.Success, 0)
			b.is(closed, "three were")
			b.Settle(b.now, calls[2], domain.Failure, 0)
			b.is(closed, "and a late one counts for nothing")
		})
	}
}

// One that hangs loses its place, as a probe does, and its result is void.
func TestHungEarlyCall(t *testing.T) {
	t.Parallel()
	b := newTripped(t, domain.CircuitBreaker{ProbeLease: 2 * time.Second})
	b.now = time.Second
	hung := b.early()
	b.now = 3*time.Second - 1
	b.refuseEarly(1)
	b.now = 3 * time.Second
	other := b.early()
	b.Settle(b.now, hung, domain.Success, 0)
	b.is(open, "it was void")
	b.Settle(b.now, other, domain.Success, 0)
	b.is(halfOpen, "the other was not")
}

// One that succeeds too slowly has failed, before and after half-open begins.
func TestSlowEarlyCall(t *testing.T) {
	t.Parallel()
	slow := domain.CircuitBreaker{SlowAfter: time.Second, SlowRatio: 0.5, Probes: 2}
	b := newTripped(t, slow)
	b.now = time.Second
	one, two := b.early(), b.early()
	b.Settle(b.now, one, domain.Success, time.Second+1)
	b.is(open, "it was slow")
	b.refuseEarly(time.Second)
	b.now = 10 * time.Second
	b.Settle(b.now, b.admit(), domain.Success, 0)
	b.is(halfOpen, "the time is over")
	b.Settle(b.now, two, domain.Success, time.Second+1)
	b.is(open, "a slow one is a failed probe")
}

// In a closed layer, which the fleet's holds back, nothing is counted; and when the
// fleet comes back, the places are free.
func TestEarlyCallsInAClosedLayer(t *testing.T) {
	t.Parallel()
	b := newLone(t, domain.CircuitBreaker{FailureThreshold: 1, RecoveryTimeout: 10 * time.Second})
	b.Settle(0, b.early(), domain.Success, 0)
	b.Settle(0, b.early(), domain.Failure, 0)
	b.is(closed, "it counts nothing")
	if e := b.Evidence(0); e.Calls != 0 || e.Weight != 0 {
		t.Errorf("it is evidence: %+v", e)
	}
	b.refuseEarly(time.Second)
	b.now = time.Second
	late := b.early()
	b.refuseEarly(domain.DefaultProbeLease)
	b.Absorb()
	b.now = 2 * time.Second
	b.early()
	b.Settle(b.now, late, domain.Failure, 0)
	b.refuseEarly(domain.DefaultProbeLease)
}

// A failed call keeps the opinion of the breaker young: whose fault it was, as told last.
func TestEarlyEvidence(t *testing.T) {
	t.Parallel()
	b := newTripped(t, domain.CircuitBreaker{Window: 5 * time.Second})
	b.now = 4 * time.Second
	b.Settle(b.now, b.early(), domain.Failure, 0)
	b.now = 6 * time.Second
	if e := b.Evidence(b.now); !e.Bad || e.ForMicro != 3_000_000 {
		t.Errorf("the failure of 2 s ago is forgotten: %+v", e)
	}
	b.Settle(b.now, b.early(), domain.LocalFailure, 0)
	if e := b.Evidence(b.now); e.Bad {
		t.Errorf("own trouble is an opinion: %+v", e)
	}
}

// A dependency that asked to be left alone is, however many are open.
func TestEarlyCallsLeaveAlone(t *testing.T) {
	t.Parallel()
	b := newTripped(t, domain.CircuitBreaker{})
	b.now = time.Second
	call := b.early()
	b.LeaveAlone(b.now, 5*time.Second)
	b.Settle(b.now, call, domain.Failure, 0)
	b.refuseEarly(5 * time.Second)
	b.now = 6 * time.Second
	b.early()
}
