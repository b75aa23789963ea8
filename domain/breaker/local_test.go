package breaker

import (
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/holdfast-go/holdfast/domain"
)

// A lone is one replica's layer and its clock: the tests below are cases.md,
// part 1, for a fleet of one.
type lone struct {
	t *testing.T
	Local
	now time.Duration
}

func newLone(t *testing.T, policy domain.CircuitBreaker) *lone {
	t.Helper()
	if err := policy.Validate(); err != nil {
		t.Fatal(err)
	}
	return &lone{t: t, Local: NewLocal(policy)}
}

// admit lets one call through, which has to be let through.
func (b *lone) admit() Ticket {
	b.t.Helper()
	ticket, ok, wait := b.Admit(b.now)
	if !ok || wait != 0 {
		b.t.Fatalf("at %v, %v: refused for %v; want it admitted", b.now, b.State(), wait)
	}
	return ticket
}

// refuse asks for a call that has to be refused for that long.
func (b *lone) refuse(want time.Duration) {
	b.t.Helper()
	if _, ok, wait := b.Admit(b.now); ok || wait != want {
		b.t.Fatalf("at %v, %v: admitted %v, refused for %v; want refused for %v", b.now, b.State(), ok, wait, want)
	}
}

// call makes calls one after the other: S success, F failure, L local failure,
// I ignored.
func (b *lone) call(outcomes string) {
	b.t.Helper()
	for _, o := range outcomes {
		b.Settle(b.now, b.admit(), outcomeOf(o), 0)
	}
}

func outcomeOf(letter rune) domain.Outcome { return domain.Outcome(strings.IndexRune("SFLI", letter)) }

func (b *lone) is(want domain.State, why string) {
	b.t.Helper()
	if b.State() != want {
		b.t.Fatalf("at %v it is %v; want %v: %s", b.now, b.State(), want, why)
	}
}

const (
	closed   = domain.StateClosed
	halfOpen = domain.StateHalfOpen
	open     = domain.StateOpen
)

func TestCase01FreshBreaker(t *testing.T) {
	t.Parallel()
	b := newLone(t, domain.CircuitBreaker{})
	b.is(closed, "a fresh breaker is")
	if e := b.Evidence(0); e.Calls != 0 || e.Failures != 0 || e.Weight != 0 || e.Bad || b.RetryAfter(0) != 0 {
		t.Errorf("a fresh breaker has counts: %+v", e)
	}
	b.call("FFFF")
	b.is(closed, "the default threshold is 5")
	b.call("F")
	b.refuse(domain.DefaultRecoveryTimeout)
}

func TestCase02FailuresInARow(t *testing.T) {
	t.Parallel()
	for calls, want := range map[string]domain.State{
		"FFF":          closed,
		"FFFF":         open,
		"FFFSFFF":      closed, // a success ends the row,
		"FFFSFFFF":     open,
		"SSSSSSSSFFFF": open,   // and the others do not matter
		"FFFIF":        open,   // what says nothing does not end it
		"FLFL":         open,   // this replica's own trouble counts here
		"FSFSFSFSFSFS": closed, // nor do failures that are not in a row
	} {
		b := newLone(t, domain.CircuitBreaker{FailureThreshold: 4})
		b.call(calls)
		b.is(want, calls)
	}
	b := newLone(t, domain.CircuitBreaker{FailureThreshold: 4})
	if b.call("FFFS"); b.Evidence(0).Failures != 3 {
		t.Errorf("a success has reset the window, too: %+v", b.Evidence(0))
	}
}

func TestCase03Ratios(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		ratio    float64
		minCalls int
		calls    string
		want     domain.State
	}{
		{2.0 / 3, 3, "FSF", open},
		{2.0 / 3, 3, "FSS", closed},
		{2.0 / 3, 3, "SFF", open},
		{0.75, 4, strings.Repeat("SF", 50), closed},
		{0.75, 4, "FFFS", open},
		{1, 1, "F", open},
		{1, 10, "FFFFFFFFFS", closed},
		{0.001, 1, strings.Repeat("S", 999) + "F", open},
		{0.001, 1, strings.Repeat("S", 1000) + "F", closed},
	} {
		b := newLone(t, domain.CircuitBreaker{FailureRatio: c.ratio, MinCalls: c.minCalls})
		b.call(c.calls)
		b.is(c.want, c.calls)
	}
}

// Exactly the ratio counts as reached, without the errors of floating point,
// for every ratio that can be written in thousandths.
func TestCase04RatioExactAtTheBoundary(t *testing.T) {
	t.Parallel()
	b := newLone(t, domain.CircuitBreaker{FailureRatio: 0.57, MinCalls: 100})
	b.call(strings.Repeat("S", 43) + strings.Repeat("F", 56))
	b.is(closed, "a call fewer than needed, of which 56 of 99 failed")
	b.call("F")
	b.is(open, "57 of 100 is 57 %")

	b = newLone(t, domain.CircuitBreaker{FailureRatio: 0.57, MinCalls: 100})
	b.call(strings.Repeat("F", 56) + strings.Repeat("S", 44))
	b.is(closed, "56 of 100 is not")

	b = newLone(t, domain.CircuitBreaker{FailureRatio: 0.5, MinCalls: 20})
	b.call(strings.Repeat("F", 19))
	b.is(closed, "19 of 20 needed calls, all of them failures")
	b.call("F")
	b.is(open, "20")

	for n := range 1000 {
		ratio := float64(n+1) / 1000
		if got := mille(ratio); got != int64(n+1) {
			t.Errorf("the ratio %v is read as %d thousandths", ratio, got)
		}
	}
	most, rest := 0.7, 0.6
	if tenth := most - rest; mille(tenth) != 100 { // a binary fraction, a little short of it
		t.Errorf("the ratio %v is read as %d thousandths", tenth, mille(tenth))
	}
}

func TestCase05OldResultsDoNotCount(t *testing.T) {
	t.Parallel()
	policy := domain.CircuitBreaker{FailureRatio: 0.5, MinCalls: 4, Window: 10 * time.Second}
	b := newLone(t, policy)
	b.call("FFF")
	b.now = 9 * time.Second
	b.call("F")
	b.is(open, "four within the window")

	b = newLone(t, policy)
	b.call("FFF")
	b.now = 10500 * time.Millisecond
	b.call("F")
	b.is(closed, "after 1.05 windows of silence three of them are old")
	b.call("FFF")
	b.is(open, "the new ones count")
}

// One slot on, exactly the slot that is too old is taken out; an idle gap takes
// out all, and loses nothing that comes later.
func TestCase06SlotsSlide(t *testing.T) {
	t.Parallel()
	b := newLone(t, domain.CircuitBreaker{FailureRatio: 1, MinCalls: 1000, Window: 10 * time.Second})
	for second := range 10 {
		b.now = time.Duration(second) * time.Second
		b.call(strings.Repeat("F", second+1) + "S")
	}
	check := func(calls, failures int64) {
		t.Helper()
		if e := b.Evidence(b.now); e.Calls != calls || e.Failures != failures {
			t.Fatalf("at %v it counts %d of %d; want %d of %d", b.now, e.Failures, e.Calls, failures, calls)
		}
	}
	check(65, 55)
	for second := range 10 {
		b.now = time.Duration(10+second) * time.Second
		failures := int64(55)
		for gone := range second + 1 {
			failures -= int64(gone) + 1
		}
		check(failures+int64(9-second), failures)
	}
	b.now = time.Hour
	b.call("FS")
	check(2, 1)
	b.now += 9 * time.Second
	b.call("F")
	check(3, 2)
	b.now += time.Second
	check(1, 1)
}

// The window is what a list of all outcomes would say: one counts until the
// tenth slot after its own, so for 9/10 of the window at least, and never longer
// than it.
func TestWindowAgainstAList(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		length := time.Duration(rapid.SampledFrom([]int64{1e6, 10e6, 999_999_000, 10e9, 3600e9}).Draw(t, "window"))
		policy := domain.CircuitBreaker{FailureRatio: 1, MinCalls: 1 << 30, Window: length}
		l := NewLocal(policy)
		slot := length / slots
		now := time.Duration(rapid.Int64Range(0, 1<<50).Draw(t, "start"))
		type result struct {
			at     time.Duration
			failed bool
		}
		var all []result
		for range rapid.IntRange(1, 60).Draw(t, "calls") {
			now += time.Duration(rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(0, int64(slot)),
				rapid.Int64Range(0, int64(2*length))).Draw(t, "pause"))
			ticket, _, _ := l.Admit(now)
			outcome := rapid.SampledFrom([]domain.Outcome{domain.Success, domain.Failure, domain.Ignored}).Draw(t, "outcome")
			l.Settle(now, ticket, outcome, 0)
			if outcome != domain.Ignored {
				all = append(all, result{now, outcome == domain.Failure})
			}
			calls, failures, young, atMost := int64(0), int64(0), int64(0), int64(0)
			for _, r := range all {
				if now/slot-r.at/slot < slots {
					calls++
					if r.failed {
						failures++
					}
				}
				if now-r.at < slot*(slots-1) {
					young++
				}
				if now-r.at < length {
					atMost++
				}
			}
			if e := l.Evidence(now); e.Calls != calls || e.Failures != failures || e.Calls < young || e.Calls > atMost {
				t.Fatalf("%d of %d failed; want %d of %d, between %d and %d", e.Failures, e.Calls, failures, calls, young, atMost)
			}
		}
	})
}

func TestCase09OpenUntilTheDelayIsOver(t *testing.T) {
	t.Parallel()
	b := newLone(t, domain.CircuitBreaker{FailureThreshold: 1, RecoveryTimeout: 7 * time.Second})
	b.now = 3 * time.Second
	b.call("F")
	b.refuse(7 * time.Second)
	b.now += 7*time.Second - 1
	b.refuse(1)
	b.is(open, "a ns before")
	b.now++
	b.admit()
	b.is(halfOpen, "exactly then")
}

func TestCase10AsManyProbesAsConfigured(t *testing.T) {
	t.Parallel()
	b := newLone(t, domain.CircuitBreaker{FailureThreshold: 1, Probes: 3, ProbeLease: 10 * time.Second, RecoveryTimeout: time.Second})
	b.call("F")
	b.now = time.Second
	admitted := 0
	for range 100 {
		if ticket, ok, wait := b.Admit(b.now); ok {
			admitted++
			if !ticket.IsProbe() {
				t.Error("it was admitted as an ordinary call")
			}
		} else if wait != 10*time.Second {
			t.Errorf("refused for %v; want until the first lease ends", wait)
		}
	}
	if admitted != 3 {
		t.Errorf("%d of 100 were admitted; want 3", admitted)
	}
}

func TestCase11EnoughSuccessesClose(t *testing.T) {
	t.Parallel()
	b := newLone(t, domain.CircuitBreaker{FailureThreshold: 2, SuccessThreshold: 3, RecoveryTimeout: time.Second})
	b.call("FF")
	b.now = time.Second
	b.call("SS")
	b.is(halfOpen, "one success is missing")
	b.call("S")
	b.is(closed, "three")
	if e := b.Evidence(b.now); e.Calls != 0 || e.Failures != 0 {
		t.Errorf("it closed with %d of %d; want clean counts", e.Failures, e.Calls)
	}
	b.call("F")
	b.is(closed, "the row is clean, too")
}

func TestCase12AFailedProbeReopens(t *testing.T) {
	t.Parallel()
	for _, outcome := range "FL" {
		b := newLone(t, domain.CircuitBreaker{FailureThreshold: 1, SuccessThreshold: 3, RecoveryTimeout: 10 * time.Second})
		b.call("F")
		b.now = 13 * time.Second
		b.call("SS" + string(outcome))
		b.refuse(20 * time.Second) // a whole delay again, and a longer one
		b.now += 20 * time.Second
		b.call("SS")
		b.is(halfOpen, "successes before the failure do not count")
	}
}

func TestCase14IgnoredProbes(t *testing.T) {
	t.Parallel()
	b := newLone(t, domain.CircuitBreaker{FailureThreshold: 1, RecoveryTimeout: time.Second})
	b.call("F")
	b.now = time.Second
	b.call("IIIII")
	b.is(halfOpen, "what says nothing gives the slot back, and decides nothing")
	b.call("SS")
	b.is(closed, "successes do")
}

// A window that has moved on may hold failures only, which somebody who looked
// has found out: a call that says nothing must not trip for that.
func TestCase15IgnoredCallsDoNotTrip(t *testing.T) {
	t.Parallel()
	b := newLone(t, domain.CircuitBreaker{FailureRatio: 0.5, MinCalls: 2, Window: 10 * time.Second})
	b.call("SSS")
	b.now = 5 * time.Second
	b.call("FF")
	b.now = 11 * time.Second
	if e := b.Evidence(b.now); e.Calls != 2 || e.Failures != 2 {
		t.Fatalf("the window holds %+v; want the two failures", e)
	}
	b.call("I")
	b.is(closed, "nothing has come since")
	b.call("F")
	b.is(open, "a failure is something")
}

// Removing all calls that say nothing from a run changes nothing.
func TestCase15IgnoredCallsCountForNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		policy := domain.CircuitBreaker{
			FailureThreshold: rapid.IntRange(0, 4).Draw(t, "threshold"), MinCalls: rapid.IntRange(1, 5).Draw(t, "min calls"),
			FailureRatio: rapid.SampledFrom([]float64{0, 0.3, 0.5, 1}).Draw(t, "ratio"), RecoveryTimeout: time.Second, Window: time.Second,
		}
		with, without := NewLocal(policy), NewLocal(policy)
		now := time.Duration(0)
		for range rapid.IntRange(1, 80).Draw(t, "calls") {
			now += time.Duration(rapid.IntRange(0, 300).Draw(t, "pause")) * time.Millisecond
			outcome := outcomeOf(rapid.SampledFrom([]rune("SFLIII")).Draw(t, "outcome"))
			ticket, ok, _ := with.Admit(now)
			if outcome == domain.Ignored {
				with.Settle(now, ticket, outcome, 0)
				continue
			}
			other, too, _ := without.Admit(now)
			if ok != too {
				t.Fatalf("admitted %v, without the ignored %v", ok, too)
			}
			if !ok {
				continue
			}
			with.Settle(now, ticket, outcome, 0)
			without.Settle(now, other, outcome, 0)
			if a, b := with.Evidence(now), without.Evidence(now); with.State() != without.State() || a != b {
				t.Fatalf("%v %+v, without the ignored %v %+v", with.State(), a, without.State(), b)
			}
		}
	})
}

func TestCase16LateResults(t *testing.T) {
	t.Parallel()
	policy := domain.CircuitBreaker{FailureThreshold: 1, SuccessThreshold: 1, Probes: 2, RecoveryTimeout: time.Second, ProbeLease: time.Hour}
	b := newLone(t, policy)
	early, other := b.admit(), b.admit()
	b.call("F")
	b.Settle(b.now, early, domain.Success, 0)
	b.is(open, "a success from before it opened does not close it")
	b.now = time.Second
	probe, slow := b.admit(), b.admit()
	b.Settle(b.now, other, domain.Failure, 0)
	b.is(halfOpen, "a failure from before it opened does not reopen it")
	b.Settle(b.now, probe, domain.Failure, 0)
	b.is(open, "the probe's does")
	b.now += 2 * time.Second
	b.admit()
	b.Settle(b.now, slow, domain.Success, 0)
	b.is(halfOpen, "a probe of the last half-open does not close this one")
	b.Settle(b.now, ClosedTicket(b.Epoch()), domain.Success, 0)
	b.is(halfOpen, "nor does one that is no probe")
	b.Settle(b.now, Ticket{}, domain.Failure, 0)
	b.is(halfOpen, "nor one that never was admitted")
}

// A call that panics is settled as a failure. The probe's slot is not lost.
func TestCase18AProbeThatPanics(t *testing.T) {
	t.Parallel()
	b := newLone(t, domain.CircuitBreaker{FailureThreshold: 1, RecoveryTimeout: time.Second})
	b.call("F")
	b.now = time.Second
	func() {
		ticket := b.admit()
		defer func() {
			_ = recover()
			b.Settle(b.now, ticket, domain.Failure, 0)
		}()
		panic("the call")
	}()
	b.refuse(2 * time.Second)
	b.now += 2 * time.Second
	b.call("SS")
	b.is(closed, "it is admitted again after the delay")
}

func TestCase19AProbeThatHangs(t *testing.T) {
	t.Parallel()
	b := newLone(t, domain.CircuitBreaker{FailureThreshold: 1, SuccessThreshold: 1, RecoveryTimeout: time.Second, ProbeLease: 5 * time.Second})
	b.call("F")
	b.now = time.Second
	hung := b.admit()
	b.now += 5*time.Second - 1
	b.refuse(1)
	b.now++
	next := b.admit()
	b.Settle(b.now, hung, domain.Success, 0)
	b.is(halfOpen, "its lease is over, so its late success is void")
	b.refuse(5 * time.Second)
	b.Settle(b.now, hung, domain.Failure, 0)
	b.is(halfOpen, "and so is a late failure")
	b.Settle(b.now, next, domain.Success, 0)
	b.is(closed, "the next one's counts")
}

func TestCase25TheDelayGrows(t *testing.T) {
	t.Parallel()
	b := newLone(t, domain.CircuitBreaker{FailureThreshold: 1, RecoveryTimeout: 10 * time.Second, MaxRecoveryTimeout: 35 * time.Second})
	for round := range 2 {
		for i, want := range []time.Duration{10, 20, 35, 35, 35} {
			b.call("F")
			if got := b.RetryAfter(b.now); got != want*time.Second {
				t.Fatalf("round %d, opening %d: open for %v; want %v", round, i, got, want*time.Second)
			}
			b.now += want * time.Second
		}
		b.call("SS")
		b.is(closed, "and begins anew")
	}
}

// However many goroutines call, under a lock, every result counts once.
func TestCase30CountsSumExactly(t *testing.T) {
	t.Parallel()
	const goroutines, calls = 16, 500
	b := NewLocal(domain.CircuitBreaker{FailureRatio: 1, MinCalls: 1 << 30})
	var mu sync.Mutex
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			for i := range calls {
				mu.Lock()
				ticket, ok, _ := b.Admit(0)
				mu.Unlock()
				if !ok {
					t.Error("refused")
				}
				mu.Lock()
				b.Settle(0, ticket, domain.Outcome(i%4), 0)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if e := b.Evidence(0); e.Calls != goroutines*calls/2 || e.Failures != goroutines*calls/4 || b.recent.sum.own != goroutines*calls/4 {
		t.Errorf("it counts %d of %d and %d of its own", e.Failures, e.Calls, b.recent.sum.own)
	}
}

// What a replica may tell the fleet: rule B1.
func TestEvidence(t *testing.T) {
	t.Parallel()
	ratio := domain.CircuitBreaker{FailureRatio: 0.5, MinCalls: 20, Window: 10 * time.Second}
	row := domain.CircuitBreaker{FailureThreshold: 5, MinCalls: 20, Window: 10 * time.Second}
	for _, c := range []struct {
		why    string
		policy domain.CircuitBreaker
		calls  string
		later  time.Duration
		weight int64
		bad    bool
		lasts  time.Duration
		open   bool
	}{
		{"nothing seen weighs nothing", ratio, "", 0, 0, false, 0, false},
		{"five of twenty calls are a quarter of an opinion", ratio, "SSSSS", 0, 250, false, 10 * time.Second, false},
		{"half of them failed: a quarter of a bad one", ratio, "SFSFF", 0, 250, true, 10 * time.Second, false},
		{"more calls than needed weigh no more", ratio, strings.Repeat("SSF", 20), 0, 1000, false, 10 * time.Second, false},
		{"tripped is a whole bad opinion", ratio, strings.Repeat("SF", 10), 0, 1000, true, 10 * time.Second, true},
		{"in a row, too, although only five were seen", row, "FFFFF", 0, 1000, true, 10 * time.Second, true},
		{"failures without a ratio are no bad opinion", row, "FFFF", 0, 200, false, 10 * time.Second, false},
		{"own trouble is none of the fleet's business", row, "LLLLL", 0, 0, false, 30 * time.Second, true},
		{"nor is a mixed trip, that the dependency alone would not have caused", row, "FFLFF", 0, 0, false, 30 * time.Second, true},
		{"own failures do not weigh", ratio, "SSLLL", 0, 100, false, 10 * time.Second, false},
		{"evidence counts for a window after the last result", row, "FFFFF", 4 * time.Second, 1000, true, 6 * time.Second, true},
		{"and not for as long as the layer stays open, which is told all the same", row, "FFFFF", 10 * time.Second, 0, false, 20 * time.Second, true},
		{"what is ignored does not make it younger", ratio, "SSSSS", 4 * time.Second, 250, false, 6 * time.Second, false},
	} {
		b := newLone(t, c.policy)
		b.now = time.Hour
		b.call(c.calls)
		b.now += c.later
		e := b.Evidence(b.now)
		if e.Open != c.open || e.Weight != c.weight || e.Bad != c.bad || time.Duration(e.ForMicro)*time.Microsecond != c.lasts {
			t.Errorf("%s: after %s and %v: %+v", c.why, c.calls, c.later, e)
		}
	}
}

// Handing over to the fleet ends a trip that was the dependency's fault, and
// keeps one that was not: rule B6.
func TestAbsorb(t *testing.T) {
	t.Parallel()
	policy := domain.CircuitBreaker{FailureThreshold: 2}
	b := newLone(t, policy)
	inFlight := b.admit()
	b.call("F")
	b.Absorb()
	b.Settle(b.now, inFlight, domain.Failure, 0)
	b.call("F")
	b.is(closed, "the row begins anew, and what was in flight is void")

	b = newLone(t, policy)
	b.call("FF")
	b.Absorb()
	b.is(closed, "one timer is enough")
	b.call("FF")
	if got := b.RetryAfter(b.now); got != 30*time.Second {
		t.Errorf("it opened for %v; want the growth reset", got)
	}

	b = newLone(t, policy)
	b.call("LL")
	b.Absorb()
	b.is(open, "its own trouble stays")

	b = newLone(t, policy)
	b.call("FF")
	b.now = 30 * time.Second
	b.call("L")
	b.Absorb()
	b.is(open, "also when a probe found it")
}

// After its state was lost, the layer stays open to the known end, and then
// probes by itself; it tells the fleet nothing of it.
func TestHoldOpen(t *testing.T) {
	t.Parallel()
	b := newLone(t, domain.CircuitBreaker{FailureThreshold: 2})
	b.call("F")
	inFlight := b.admit()
	b.HoldOpen(5 * time.Second)
	b.refuse(5 * time.Second)
	b.Settle(b.now, inFlight, domain.Success, 0)
	b.is(open, "what was in flight is void")
	if e := b.Evidence(b.now); e.Weight != 0 || e.Bad {
		t.Errorf("it tells the fleet %+v", e)
	}
	b.now = 5 * time.Second
	b.call("SS")
	b.is(closed, "two probes closed it")
}

// Changing the numbers keeps counts and state; only a window of another length
// starts empty.
func TestCase29Configure(t *testing.T) {
	t.Parallel()
	b := newLone(t, domain.CircuitBreaker{FailureThreshold: 5})
	b.call("FFF")
	b.Configure(domain.CircuitBreaker{FailureThreshold: 4})
	b.call("F")
	b.is(open, "three failures from before, and one")
	b.Configure(domain.CircuitBreaker{FailureThreshold: 4, RecoveryTimeout: time.Second, SuccessThreshold: 1})
	b.refuse(30 * time.Second)
	b.now = 30 * time.Second
	b.call("S")
	b.is(closed, "it still recovers")
	b.call("SSF")
	b.Configure(domain.CircuitBreaker{FailureThreshold: 4, Window: time.Minute})
	if e := b.Evidence(b.now); e.Calls != 0 {
		t.Errorf("another window starts with %d calls", e.Calls)
	}
}

// Whatever happens in whatever order: epochs only grow, one for each change of
// state; at most Probes leases are out; an open layer refuses until its time.
func TestLocalInvariants(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		policy := domain.CircuitBreaker{
			FailureThreshold: 2, SuccessThreshold: rapid.IntRange(1, 3).Draw(t, "successes"),
			Probes: rapid.IntRange(1, 3).Draw(t, "probes"), ProbeLease: 3 * time.Second,
			RecoveryTimeout: time.Second, MaxRecoveryTimeout: 4 * time.Second,
		}
		l := NewLocal(policy)
		now, state, epoch := time.Duration(0), l.State(), l.Epoch()
		var tickets []Ticket
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			now += time.Duration(rapid.IntRange(0, 1500).Draw(t, "pause")) * time.Millisecond
			until := l.until
			if ticket, ok, wait := l.Admit(now); ok {
				tickets = append(tickets, ticket)
				if state == open && now < until {
					t.Fatalf("admitted %v before its time", until-now)
				}
			} else if wait <= 0 || l.State() == closed {
				t.Fatalf("%v refused for %v", l.State(), wait)
			}
			if len(tickets) > 0 && rapid.Bool().Draw(t, "settle") {
				i := rapid.IntRange(0, len(tickets)-1).Draw(t, "which")
				l.Settle(now, tickets[i], domain.Outcome(rapid.IntRange(0, 3).Draw(t, "outcome")), 0)
			}
			if len(l.out) > policy.Probes {
				t.Fatalf("%d leases are out", len(l.out))
			}
			if l.Epoch() < epoch || (l.State() != state) && l.Epoch() == epoch {
				t.Fatalf("from %v, epoch %d, to %v, epoch %d", state, epoch, l.State(), l.Epoch())
			}
			state, epoch = l.State(), l.Epoch()
		}
	})
}

func BenchmarkLocal(b *testing.B) {
	for name, policy := range map[string]domain.CircuitBreaker{
		"failures in a row": {},
		"a ratio":           {FailureRatio: 0.5},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			l := NewLocal(policy)
			for now := time.Duration(0); b.Loop(); now += time.Microsecond {
				ticket, _, _ := l.Admit(now)
				l.Settle(now, ticket, domain.Success, 0)
			}
		})
	}
}

// TestCase26TheDependencyAsksToBeLeftAlone: a trip lasts as long as it asked, if that is
// longer than the recovery time, and no longer than the longest one.
func TestCase26TheDependencyAsksToBeLeftAlone(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ asked, want time.Duration }{
		"longer":              {time.Minute, time.Minute},
		"for less":            {time.Second, 30 * time.Second},
		"longer than can be":  {time.Hour, 5 * time.Minute},
		"for less than none":  {-time.Hour, 30 * time.Second},
		"for longer than all": {1<<63 - 1, 5 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newLone(t, domain.CircuitBreaker{FailureThreshold: 2})
			b.now = time.Hour
			b.LeaveAlone(b.now, tt.asked)
			b.call("F")
			b.is(domain.StateClosed, "one failure of two")
			b.call("F")
			b.refuse(tt.want)
			if alone := b.Evidence(b.now).AloneMicro; tt.asked > 0 && alone != min(tt.asked, 5*time.Minute).Microseconds() {
				t.Errorf("the fleet is told of %d µs", alone)
			}
			b.now += tt.want
			b.call("SS")
			b.is(domain.StateClosed, "it recovered")
			b.call("FF")
			b.refuse(30 * time.Second) // what was asked before is over
		})
	}
}

// TestWhatWasAskedEndsWithTheTrip: who closes before the dependency's time is over, since the
// fleet's layer takes over or an operator says so, is not held to it by the next trip.
func TestWhatWasAskedEndsWithTheTrip(t *testing.T) {
	t.Parallel()
	for name, closes := range map[string]func(*Local){"handed over": (*Local).Absorb, "reset": (*Local).Reset} {
		b := newLone(t, domain.CircuitBreaker{FailureThreshold: 2})
		b.LeaveAlone(b.now, 4*time.Minute)
		b.call("FF")
		b.refuse(4 * time.Minute)
		closes(&b.Local)
		b.is(domain.StateClosed, name)
		b.call("FF")
		b.refuse(30 * time.Second)
		if alone := b.Evidence(b.now).AloneMicro; alone != 0 {
			t.Errorf("%s: the fleet is told of %d µs", name, alone)
		}
	}
}

// TestWhatWasAskedIsBoundedByTheTrip: the bound that counts is that of the trip, should it
// have been lowered since the dependency asked.
func TestWhatWasAskedIsBoundedByTheTrip(t *testing.T) {
	t.Parallel()
	b := newLone(t, domain.CircuitBreaker{FailureThreshold: 2})
	b.call("F")
	b.LeaveAlone(b.now, 4*time.Minute)
	b.Configure(domain.CircuitBreaker{FailureThreshold: 2, MaxRecoveryTimeout: time.Minute})
	b.call("F")
	b.refuse(time.Minute)
}

// TestStagger: each trip is longer by so many thousandths, the longest one too; what was
// asked for is not.
func TestStagger(t *testing.T) {
	t.Parallel()
	b := newLone(t, domain.CircuitBreaker{FailureThreshold: 1, RecoveryTimeout: 100 * time.Second, MaxRecoveryTimeout: 150 * time.Second})
	b.Stagger(50)
	b.call("F")
	b.refuse(105 * time.Second)
	b.now += 105 * time.Second
	b.call("F")
	b.refuse(157500 * time.Millisecond)
	b.now += 157500 * time.Millisecond
	b.Stagger(0)
	b.call("F")
	b.refuse(150 * time.Second)
}
