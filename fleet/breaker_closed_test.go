package fleet_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet"
)

// BenchmarkBreakerClosed is a call's whole way through a closed breaker.
func BenchmarkBreakerClosed(b *testing.B) {
	for name, sharing := range map[string]domain.Sharing{"quorum": domain.ShareQuorum, "local": domain.ShareLocal} {
		for result, o := range map[string]domain.Outcome{"success": domain.Success, "failures": domain.Failure} {
			b.Run(name+"/"+result, func(b *testing.B) {
				n := newWorld(b).node(domain.CircuitBreaker{Sharing: sharing, FailureRatio: 1, MinCalls: 1 << 30})
				ctx := b.Context()
				b.ReportAllocs()
				for b.Loop() {
					permit, err := n.Acquire(ctx)
					if err != nil {
						b.Fatal(err)
					}
					permit.Report(o)
				}
			})
		}
	}
}

// BenchmarkBreakerOpen is a refusal.
func BenchmarkBreakerOpen(b *testing.B) {
	n := newWorld(b).node(domain.CircuitBreaker{FailureThreshold: 1, RecoveryTimeout: time.Hour})
	_ = n.call(domain.Failure)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := n.Acquire(context.Background()); err == nil {
			b.Fatal("let through")
		}
	}
}

// TestClosedPathAllocatesNothing: neither do failures, where they do not trip.
func TestClosedPathAllocatesNothing(t *testing.T) {
	for name, sharing := range map[string]domain.Sharing{"quorum": domain.ShareQuorum, "local": domain.ShareLocal} {
		n := newWorld(t).node(domain.CircuitBreaker{Sharing: sharing, FailureThreshold: 1000})
		n.calls(100, domain.Success)
		for _, o := range []domain.Outcome{domain.Success, domain.Failure, domain.LocalFailure, domain.Ignored} {
			allocs := testing.AllocsPerRun(100, func() {
				permit, err := n.Acquire(context.Background())
				if err != nil {
					t.Fatal(err)
				}
				_, _ = permit.Lease()
				permit.Report(o)
			})
			if allocs != 0 && !raceDetector {
				t.Errorf("%s, %s: %v allocations", name, o, allocs)
			}
		}
	}
}

// TestClosedPathCallsNoStore: the first call reads the view, and no other call
// has the store in its way, on a line that would make it seen (case 50).
func TestClosedPathCallsNoStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newWorld(t).node(domain.CircuitBreaker{})
		n.line.setDelay(50 * time.Millisecond)
		for i := range 100 {
			start := time.Now()
			if err := n.call(domain.Outcome(i % 4)); err != nil {
				t.Fatal(err)
			}
			want := time.Duration(0)
			if i == 0 {
				want = 50 * time.Millisecond
			}
			if took := time.Since(start); took != want {
				t.Errorf("call %d took %s; want %s", i, took, want)
			}
		}
		if got := n.line.count(); got != (traffic{reads: 1}) {
			t.Errorf("the calls made %+v; want the first read", got)
		}
		n.line.set(hanging) // nor does it come into the way later
		time.Sleep(time.Minute)
		start := time.Now()
		n.calls(100, domain.Success)
		if took := time.Since(start); took != 0 {
			t.Errorf("100 calls took %s with a store that hangs", took)
		}
	})
}

// TestCase8OpenRefusesAtOnce: an open fleet refuses on every replica, without a
// store call, and refusals are not counted.
func TestCase8OpenRefusesAtOnce(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		nodes := w.nodes(3, domain.CircuitBreaker{})
		trip(nodes...)
		time.Sleep(time.Second)
		synctest.Wait()
		for _, n := range nodes {
			before := n.Status()
			n.line.count()
			start := time.Now()
			for range 100 {
				wantOpen(t, n.call(domain.Failure), domain.ScopeFleet, 29*time.Second, 29*time.Second)
			}
			if took := time.Since(start); took != 0 || n.line.count() != (traffic{}) {
				t.Errorf("100 refusals took %s and made store calls", took)
			}
			if after := n.Status(); after != before {
				t.Errorf("refusals changed %+v to %+v", before, after)
			}
		}
	})
}

// TestCase15IgnoredCountsForNothing: neither as a call nor as a failure, nor in
// what the fleet is told.
func TestCase15IgnoredCountsForNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		n := w.node(domain.CircuitBreaker{FailureRatio: 0.5, MinCalls: 4})
		for range 100 {
			n.calls(1, domain.Ignored)
		}
		n.calls(2, domain.Success)
		n.calls(1, domain.Failure)
		n.calls(100, domain.Ignored)
		if s := n.Status(); s.Calls != 3 || s.Failures != 1 || s.State != domain.StateClosed {
			t.Errorf("%+v; want 3 calls, 1 failure, closed", s)
		}
		n.calls(1, domain.Failure) // 2 of 4
		n.wantState(domain.StateOpen, domain.ScopeReplica)
		synctest.Wait()
		n.line.mu.Lock()
		defer n.line.mu.Unlock()
		if len(n.line.sent) == 0 {
			t.Fatal("a replica that tripped said nothing")
		}
		if e := n.line.sent[len(n.line.sent)-1]; e.Calls != 4 || e.Failures != 2 || !e.Bad || e.Weight != 1000 {
			t.Errorf("it reported %+v", e)
		}
	})
}

// TestCase30CountsAreExact: whatever the number of goroutines, each outcome
// counts once; copies of a permit, and second reports, count for nothing.
func TestCase30CountsAreExact(t *testing.T) {
	const callers, each = 16, 500
	n := newWorld(t).node(domain.CircuitBreaker{FailureRatio: 1, Window: time.Hour})
	_ = n.call(domain.Success) // so that the ratio of failures is never 1
	var failures atomic.Int64
	var all sync.WaitGroup
	for caller := range callers {
		all.Go(func() {
			for i := range each {
				permit, err := n.Acquire(context.Background())
				if err != nil {
					t.Error(err)
					return
				}
				o := domain.Outcome((caller + i) % 2)
				failures.Add(int64(o))
				second := permit
				var both sync.WaitGroup
				if i%50 == 0 {
					both.Go(func() { second.Report(o); _, _ = second.Lease() })
				}
				permit.Report(o)
				both.Wait()
				second.Report(domain.Failure)
				permit.Report(domain.Failure)
			}
		})
	}
	all.Wait()
	if s := n.Status(); s.Calls != callers*each+1 || s.Failures != failures.Load() {
		t.Errorf("counted %d calls, %d failures; want %d, %d", s.Calls, s.Failures, callers*each+1, failures.Load())
	}
}

// TestPermits: the zero permit does nothing; a permit used up does nothing to
// the call that was given the same pass after it.
func TestPermits(t *testing.T) {
	n := newWorld(t).node(domain.CircuitBreaker{FailureThreshold: 3})
	fleet.Permit{}.Report(domain.Failure)
	if _, ok := (fleet.Permit{}).Lease(); ok {
		t.Error("the zero permit has a lease")
	}
	used, err := n.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	used.Report(domain.Success)
	for range 100 { // some of these get the pass again
		next, err := n.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		used.Report(domain.Failure)
		next.Report(domain.Success)
	}
	if s := n.Status(); s.Calls != 101 || s.Failures != 0 {
		t.Errorf("counted %d calls, %d failures; want 101, 0", s.Calls, s.Failures)
	}
}

// TestUpdateKeepsCountsAndState: part of case 29. A new threshold applies to the
// failures in a row that are there, a new recovery to what is open at its next
// opening; what is refused changes nothing.
func TestUpdateKeepsCountsAndState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newWorld(t).node(domain.CircuitBreaker{FailureThreshold: 5})
		n.calls(3, domain.Failure)
		before := n.Status()
		p := n.Policy()
		for _, wrong := range []domain.CircuitBreaker{
			{Name: "other"}, {Name: breakerName, Sharing: domain.ShareAny}, {Name: breakerName, FailureThreshold: -1},
		} {
			if err := n.Update(wrong); err == nil {
				t.Errorf("%+v was accepted", wrong)
			}
		}
		if n.Policy() != p || n.Status() != before {
			t.Errorf("a refused update changed %+v to %+v", before, n.Status())
		}
		p.FailureThreshold, p.RecoveryTimeout = 4, 2*time.Second
		if err := n.Update(p); err != nil {
			t.Fatal(err)
		}
		if after := n.Status(); after != before || n.Policy() != p {
			t.Errorf("the update changed %+v to %+v", before, after)
		}
		n.calls(1, domain.Failure)
		wantOpen(t, n.call(domain.Success), domain.ScopeReplica, 2*time.Second, 2*time.Second)
		p.RecoveryTimeout = time.Hour // while it is open: it recovers as it was to
		p.MaxRecoveryTimeout = time.Hour
		if err := n.Update(p); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		n.calls(2, domain.Success)
		n.wantState(domain.StateClosed, domain.ScopeReplica)
	})
}

// TestStatusChangesNothing: looking does not begin half-open, nor keep a breaker
// in use, nor call the store.
func TestStatusChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newWorld(t).node(domain.CircuitBreaker{FailureThreshold: 1, RecoveryTimeout: time.Second})
		look := func() fleet.Status { n.Policy(); n.replica.Health(); return n.Status() }
		if look().State != domain.StateClosed || n.line.count() != (traffic{}) {
			t.Error("a look called the store")
		}
		_ = n.call(domain.Failure)
		synctest.Wait()
		for range 200 {
			if s := look(); s.Local != domain.StateOpen || s.State != domain.StateOpen {
				t.Fatalf("%+v; want open until somebody calls", s)
			}
			time.Sleep(time.Second)
		}
		n.line.count()
		time.Sleep(10 * time.Second)
		look()
		if got := n.line.count(); got != (traffic{}) {
			t.Errorf("an idle breaker that is looked at made %+v", got)
		}
		n.wantEvents()
	})
}

// TestBreakerNeedsItsStore: what cannot be shared is refused where it is made.
func TestBreakerNeedsItsStore(t *testing.T) {
	replica, err := fleet.Join(port.Stores{}, fleet.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer replica.Close(t.Context())
	if _, err := replica.Breaker(domain.CircuitBreaker{Name: "b"}); err == nil {
		t.Error("a shared breaker without a store was made")
	}
	b, err := replica.Breaker(domain.CircuitBreaker{Name: "b", Sharing: domain.ShareLocal})
	if err != nil {
		t.Fatal(err)
	}
	permit, err := b.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	permit.Report(domain.Success)
	if again, err := replica.Breaker(domain.CircuitBreaker{Name: "b", Sharing: domain.ShareLocal}); again != b || err != nil {
		t.Errorf("found %p, %v; want the one that was made", again, err)
	}
}

// BenchmarkBreakerParallel is what callers on all cores meet.
func BenchmarkBreakerParallel(b *testing.B) {
	for name, state := range map[string]domain.State{"closed": domain.StateClosed, "open": domain.StateOpen} {
		b.Run(name, func(b *testing.B) {
			n := newWorld(b).node(domain.CircuitBreaker{FailureThreshold: 1, RecoveryTimeout: time.Hour})
			if state == domain.StateOpen {
				_ = n.call(domain.Failure)
			}
			b.SetParallelism(64)
			b.ReportAllocs()
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					if permit, err := n.Acquire(context.Background()); err == nil {
						permit.Report(domain.Success)
					}
				}
			})
		})
	}
}
