package fleet_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
)

// askSpread is over how long replicas spread their questions after a push.
const askSpread = 10 * time.Millisecond

// rush lets many callers of every node race for a call, and returns the permits.
func rush(racers int, nodes ...*node) (permits []fleet.Permit) {
	var mu sync.Mutex
	var all sync.WaitGroup
	gate := make(chan struct{})
	for _, n := range nodes {
		for range racers {
			all.Go(func() {
				<-gate
				permit, err := n.Acquire(context.Background())
				if err != nil {
					if _, ok := errors.AsType[*domain.CircuitOpenError](err); !ok {
						n.tb.Errorf("refused with %v", err)
					}
					return
				}
				mu.Lock()
				defer mu.Unlock()
				permits = append(permits, permit)
			})
		}
	}
	close(gate)
	all.Wait()
	return permits
}

// TestCase10HalfOpenAdmitsProbesOnly: of 100 racing calls exactly Probes pass;
// the others are told apart from failures, and the fleet said no.
func TestCase10HalfOpenAdmitsProbesOnly(t *testing.T) {
	for _, probes := range []int{1, 3} {
		inEachWorld(t, func(t *testing.T, w *world) {
			nodes := w.nodes(2, domain.CircuitBreaker{Probes: probes})
			trip(nodes...)
			time.Sleep(30 * time.Second)
			passed := 0
			for range 10 { // one question in the air: further leases are given to later calls
				passed += len(rush(100, nodes...))
				time.Sleep(20 * time.Millisecond)
			}
			if passed != probes {
				t.Errorf("%d passed; want %d", passed, probes)
			}
			for _, n := range nodes {
				wantOpen(t, n.call(domain.Success), domain.ScopeFleet, time.Second, 10*time.Second+100*time.Millisecond)
				n.wantState(domain.StateHalfOpen, domain.ScopeFleet)
			}
		})
	}
}

// TestCase49ProbesAreExactAcrossReplicas: 8 replicas with 100 racers each, over
// and over: never more leases out than Probes, and a killed replica's comes back
// after its time.
func TestCase49ProbesAreExactAcrossReplicas(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		nodes := w.nodes(8, domain.CircuitBreaker{Probes: 2, SuccessThreshold: 100, MaxHalfOpen: time.Hour})
		trip(nodes...)
		time.Sleep(30 * time.Second)
		holding := rush(100, nodes...)
		time.Sleep(20 * time.Millisecond)
		holding = append(holding, rush(100, nodes...)...)
		if given, most := w.leases(); len(holding) != 2 || given != 2 || most != 2 {
			t.Fatalf("%d calls passed, %d leases were given, %d at once; want 2", len(holding), given, most)
		}
		// Killed: nothing is ever heard of them again.
		time.Sleep(9 * time.Second)
		if late := rush(100, nodes...); len(late) != 0 {
			t.Errorf("%d calls passed while the leases were out", len(late))
		}
		var again []fleet.Permit
		for time.Sleep(980 * time.Millisecond); len(again) < 2; time.Sleep(10 * time.Millisecond) {
			again = append(again, rush(20, nodes...)...)
			if given, most := w.leases(); most > 2 || given > 4 {
				t.Fatalf("%d leases were given, %d at once", given, most)
			}
		}
		for _, permit := range holding { // void
			permit.Report(domain.Success)
		}
		synctest.Wait()
		if got := w.results(domain.Success); got != 0 {
			t.Errorf("%d late results counted", got)
		}
		for round := range 8 {
			for _, permit := range again {
				permit.Report(domain.Success)
			}
			again = nil
			for range 100 {
				if again = append(again, rush(10, nodes...)...); len(again) == 2 {
					break
				}
				time.Sleep(5 * time.Millisecond)
			}
			if len(again) != 2 {
				t.Fatalf("round %d: %d calls passed", round, len(again))
			}
		}
		if _, most := w.leases(); most != 2 {
			t.Errorf("%d leases were out at once", most)
		}
	})
}

// TestCooldownOverAtOnce is part 2, case 26: 50 replicas see it at the same
// instant, and exactly as many probes as may be go out; each replica asked once,
// and none asks again before it is of use.
func TestCooldownOverAtOnce(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		nodes := w.nodes(50, domain.CircuitBreaker{Probes: 3})
		trip(nodes...)
		for _, n := range nodes {
			n.line.setDelay(2 * time.Millisecond)
		}
		time.Sleep(30 * time.Second)
		for _, n := range nodes {
			n.line.count()
		}
		passed := len(rush(20, nodes...))
		for range 400 { // 8 s of traffic everywhere
			passed += len(rush(1, nodes...))
			time.Sleep(20 * time.Millisecond)
		}
		if given, most := w.leases(); passed != 3 || given != 3 || most != 3 {
			t.Errorf("%d calls passed, %d leases were given, %d at once; want 3", passed, given, most)
		}
		for i, n := range nodes {
			if got := n.line.count().asks; got < 1 || got > 2 {
				t.Errorf("replica %d asked %d times; want once, and twice at most where it got a lease", i, got)
			}
		}
	})
}

// TestAsksAreSpread: replicas that hear the same do not all ask at once: neither
// when half-open is pushed, nor at the end of a lease, nor when it comes back.
func TestAsksAreSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		nodes := w.nodes(100, domain.CircuitBreaker{})
		trip(nodes...)
		time.Sleep(30*time.Second + 100*time.Millisecond) // not when the pulses look around
		nodes[0].patient()                                // hangs
		synctest.Wait()
		var probe fleet.Permit
		worst := func(during string, d time.Duration, least int) {
			t.Helper()
			w.asked = nil
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(100 * time.Microsecond) {
				for _, n := range nodes[1:] {
					if permit, err := n.Acquire(t.Context()); err == nil {
						probe = permit
					}
				}
			}
			at := make(map[time.Time]int)
			for _, asked := range w.asked {
				if at[asked.Truncate(time.Millisecond)]++; at[asked.Truncate(time.Millisecond)] > 30 {
					t.Errorf("%s: more than 30 asked in a millisecond", during)
					return
				}
			}
			if len(w.asked) < least {
				t.Errorf("%s: %d asked; want %d", during, len(w.asked), least)
			}
		}
		worst("after the push of half-open", 15*time.Millisecond, 99)
		time.Sleep(10*time.Second - 20*time.Millisecond)
		worst("at the lease's end", 150*time.Millisecond, 99)
		probe.Report(domain.Ignored)
		worst("when a lease came back", 15*time.Millisecond, 50)
	})
}

// TestRecoveryIsQuick: once the dependency is well, the fleet closes by the first
// probes of two replicas, whatever the lease and the wait for others are.
func TestRecoveryIsQuick(t *testing.T) {
	for name, deaf := range map[string]bool{"by push": false, "by reading": true} {
		t.Run(name, func(t *testing.T) {
			for _, replicas := range []int{2, 4, 30} {
				inEachWorld(t, func(t *testing.T, w *world) {
					nodes := w.nodes(replicas, domain.CircuitBreaker{RecoveryTimeout: time.Minute, ProbeLease: time.Minute})
					trip(nodes...)
					for _, n := range nodes {
						n.line.setDelay(time.Millisecond)
						n.line.setDeaf(deaf)
					}
					time.Sleep(time.Minute)
					start := time.Now()
					for w.view().State != domain.StateClosed && time.Since(start) < time.Minute {
						for _, n := range nodes {
							go func() {
								if permit, err := n.Acquire(context.Background()); err == nil {
									time.Sleep(5 * time.Millisecond)
									permit.Report(domain.Success)
								}
							}()
						}
						time.Sleep(10 * time.Millisecond)
					}
					bound := 150 * time.Millisecond
					if deaf {
						bound += fleet.DefaultMaxStaleness
					}
					if took := time.Since(start); took > bound {
						t.Errorf("%d replicas: closed after %s; want within %s", replicas, took, bound)
					}
					if given, most := w.leases(); most != 1 || given > 4 && !deaf {
						t.Errorf("%d replicas: %d probes, %d at once", replicas, given, most)
					}
					synctest.Wait()
				})
			}
		})
	}
}

// TestOneReplicaRecoversAlone: the only one with traffic is waited for no longer
// than a quarter of the recovery, and asks as often as is of use.
func TestOneReplicaRecoversAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		nodes := w.nodes(3, domain.CircuitBreaker{})
		trip(nodes...)
		time.Sleep(30 * time.Second)
		start := time.Now()
		nodes[0].line.count()
		for w.view().State != domain.StateClosed && time.Since(start) < time.Minute {
			_ = nodes[0].call(domain.Success)
			time.Sleep(time.Millisecond)
		}
		if took := time.Since(start); took > 7600*time.Millisecond {
			t.Errorf("it took %s; want 7.5 s", took)
		}
		if got := nodes[0].line.count().asks; got > 160 {
			t.Errorf("it asked %d times", got)
		}
	})
}

// TestWhoseProbeFailedDoesNotAskAgain: it gets no other probe in this half-open,
// and does not ask whenever a lease is free.
func TestWhoseProbeFailedDoesNotAskAgain(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		nodes := w.nodes(2, domain.CircuitBreaker{})
		trip(nodes...)
		time.Sleep(30 * time.Second)
		nodes[0].patient().Report(domain.Failure)
		time.Sleep(100 * time.Millisecond)
		_ = nodes[0].call(domain.Success) // is told to come back later
		nodes[0].line.count()
		for range 50 {
			nodes[1].patient().Report(domain.Ignored)
			for range 50 {
				if nodes[0].call(domain.Success) == nil {
					t.Fatal("let through")
				}
				time.Sleep(time.Millisecond)
			}
		}
		if got := nodes[0].line.count().asks; got > 0 {
			t.Errorf("it asked %d times", got)
		}
	})
}

// TestOddNumbersStillClose: the manners of asking are short beside half-open, so
// that one replica alone closes a breaker of whatever numbers.
func TestOddNumbersStillClose(t *testing.T) {
	for _, p := range []domain.CircuitBreaker{
		{RecoveryTimeout: time.Millisecond},
		{RecoveryTimeout: 10 * time.Millisecond},
		{RecoveryTimeout: time.Second, SuccessThreshold: 40},
		{RecoveryTimeout: time.Minute, MaxHalfOpen: 100 * time.Millisecond, SuccessThreshold: 5},
		{RecoveryTimeout: time.Minute, ProbeLease: time.Millisecond, MaxHalfOpen: time.Second},
		{SuccessThreshold: 1000},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			nodes := w.nodes(2, p)
			trip(nodes...)
			p = nodes[0].Policy()
			time.Sleep(p.RecoveryTimeout)
			start := time.Now()
			for w.view().State != domain.StateClosed && time.Since(start) < time.Hour {
				_ = nodes[0].call(domain.Success)
				time.Sleep(50 * time.Microsecond)
			}
			// Who was told to come back later does so up to an eighth later than that.
			if took := time.Since(start); took > p.MaxHalfOpen*9/8+time.Millisecond {
				t.Errorf("%s: it took %s", p, took)
			}
		})
	}
}

// TestAnyRecoversAtOnce: a fleet in which one replica decides needs no more than
// its own probes, one after the other.
func TestAnyRecoversAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		n := w.node(domain.CircuitBreaker{Sharing: domain.ShareAny, SuccessThreshold: 3})
		meet(n)
		n.calls(domain.DefaultFailureThreshold, domain.Failure)
		synctest.Wait()
		time.Sleep(30 * time.Second)
		for i := range 3 {
			n.wantState([]domain.State{domain.StateOpen, domain.StateHalfOpen, domain.StateHalfOpen}[i], domain.ScopeFleet)
			if err := n.call(domain.Success); err != nil {
				t.Errorf("probe %d: %v", i, err)
			}
			synctest.Wait()
		}
		n.wantState(domain.StateClosed, domain.ScopeReplica)
	})
}

// TestCase9NotAMicrosecondEarly: open until the end, then half-open.
func TestCase9NotAMicrosecondEarly(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		nodes := w.nodes(2, domain.CircuitBreaker{})
		trip(nodes...)
		time.Sleep(30*time.Second - time.Microsecond)
		for _, n := range nodes {
			wantOpen(t, n.call(domain.Success), domain.ScopeFleet, time.Microsecond, time.Microsecond)
		}
		time.Sleep(time.Microsecond)
		permit, err := nodes[1].Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if lease, ok := permit.Lease(); !ok || lease != 10*time.Second {
			t.Errorf("a lease of %s, %v; want 10 s", lease, ok)
		}
		synctest.Wait()
		for _, n := range nodes {
			n.wantState(domain.StateHalfOpen, domain.ScopeFleet)
		}
		time.Sleep(4 * time.Second)
		if lease, ok := permit.Lease(); !ok || lease != 6*time.Second {
			t.Errorf("a lease of %s, %v; want 6 s", lease, ok)
		}
		permit.Report(domain.Success)
		if _, ok := permit.Lease(); ok {
			t.Error("a lease after the report")
		}
		if !permit.IsProbe() {
			t.Error("it was no probe; want one")
		}
	})
}

// TestCase14IgnoredProbeReturnsItsLease: so does one that failed for its own
// trouble; neither decides, and the replica with the trouble does not keep the
// others from asking.
func TestCase14IgnoredProbeReturnsItsLease(t *testing.T) {
	for _, o := range []domain.Outcome{domain.Ignored, domain.LocalFailure} {
		t.Run(o.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				nodes := w.nodes(3, domain.CircuitBreaker{})
				trip(nodes...)
				time.Sleep(30 * time.Second)
				for range 100 {
					nodes[0].patient().Report(o)
					synctest.Wait()
				}
				if v := w.view(); v.State != domain.StateHalfOpen {
					t.Errorf("the fleet is %s", v.State)
				}
				if got := w.results(o); got != 100 {
					t.Errorf("%d leases came back", got)
				}
				// The hog goes on, as fast as it can; the others come to their turn.
				start := time.Now()
				for w.view().State == domain.StateHalfOpen && time.Since(start) < time.Minute {
					_ = nodes[0].call(o)
					_ = nodes[1].call(domain.Success)
					_ = nodes[2].call(domain.Success)
					time.Sleep(time.Millisecond)
				}
				if v, took := w.view(), time.Since(start); v.State != domain.StateClosed || took > time.Second {
					t.Errorf("%s after %s; want closed by the two that are well, soon", v.State, took)
				}
			})
		})
	}
}

// TestCase16LateResultsAreVoid: of calls that began before the last transition.
func TestCase16LateResultsAreVoid(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		nodes := w.nodes(2, domain.CircuitBreaker{FailureThreshold: 2, SuccessThreshold: 1})
		meet(nodes...)
		acquire := func(n *node) fleet.Permit {
			permit, err := n.Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return permit
		}
		var closedEra []fleet.Permit
		for range 20 {
			closedEra = append(closedEra, acquire(nodes[0]), acquire(nodes[1]))
		}
		late := func(count int, o domain.Outcome) {
			t.Helper()
			synctest.Wait()
			before, local := w.view(), [2]fleet.Status{nodes[0].Status(), nodes[1].Status()}
			for range count {
				closedEra[0].Report(o)
				closedEra = closedEra[1:]
			}
			synctest.Wait()
			for i, n := range nodes {
				if after := n.Status(); after.Calls != local[i].Calls || after.Local != local[i].Local || after.Fleet != local[i].Fleet {
					t.Errorf("late results made of %+v %+v", local[i], after)
				}
			}
			if after := w.view(); after.Epoch != before.Epoch || after.State != before.State {
				t.Errorf("late results made of %+v %+v", before, after)
			}
		}
		for _, n := range nodes {
			n.calls(2, domain.Failure)
		}
		synctest.Wait()
		late(6, domain.Success) // closed-era success while open
		late(6, domain.Failure)
		time.Sleep(30 * time.Second)
		oldProbe := nodes[0].patient()
		late(6, domain.Failure) // closed-era failure while half-open
		time.Sleep(20 * time.Millisecond)
		wantOpen(t, nodes[1].call(domain.Success), domain.ScopeFleet, 9*time.Second, 11*time.Second)
		time.Sleep(10 * time.Second) // the lease is over; and more replicas than one have asked
		again := nodes[1].patient()
		if lease, ok := again.Lease(); !ok || lease <= 0 {
			t.Fatal("not a probe")
		}
		oldProbe.Report(domain.Success) // would close it
		synctest.Wait()
		if v := w.view(); v.State != domain.StateHalfOpen || w.results(domain.Success) != 0 {
			t.Errorf("the old probe's late result made it %s", v.State)
		}
		again.Report(domain.Success)
		time.Sleep(time.Second)
		if v := w.view(); v.State != domain.StateClosed { // one success, one expired
			t.Fatalf("it is %s", v.State)
		}
		late(6, domain.Failure) // of the last closed era, in the next
		for i, n := range nodes {
			if s := n.Status(); s.Calls != 0 || s.State != domain.StateClosed {
				t.Errorf("replica %d: %+v; want an empty window", i, s)
			}
		}
	})
}

// TestMissedOpenVoidsResults: the same for a replica that heard of neither the
// opening nor the closing while they went on.
func TestMissedOpenVoidsResults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		nodes := w.nodes(3, domain.CircuitBreaker{RecoveryTimeout: time.Second, FailureThreshold: 3})
		meet(nodes...)
		nodes[2].calls(2, domain.Failure)
		permit, err := nodes[2].Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		nodes[2].line.set(refusing)
		trip(nodes[:2]...)
		time.Sleep(time.Second)
		for w.view().State != domain.StateClosed {
			_, _ = nodes[0].call(domain.Success), nodes[1].call(domain.Success)
			time.Sleep(10 * time.Millisecond)
		}
		nodes[2].line.set(healthy)
		time.Sleep(2 * time.Second)
		permit.Report(domain.Failure)
		if s := nodes[2].Status(); s.Calls != 0 || s.State != domain.StateClosed || s.Epoch != w.view().Epoch {
			t.Errorf("%+v; want its window empty and the late failure void", s)
		}
		if got := nodes[2].told(domain.ScopeFleet); len(got) != 0 {
			t.Errorf("it told %v of what it missed", got)
		}
	})
}

// TestCase19HungProbe: after the lease another replica probes; what the hung one
// says at last is void, and it alone does not decide where others ask too.
func TestCase19HungProbe(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		nodes := w.nodes(3, domain.CircuitBreaker{})
		trip(nodes...)
		time.Sleep(30 * time.Second)
		hung := nodes[0].patient()
		start := time.Now()
		var at time.Duration
		for w.view().State != domain.StateClosed && time.Since(start) < time.Minute {
			for _, n := range nodes[1:] {
				if permit, err := n.Acquire(t.Context()); err == nil {
					if at == 0 {
						at = time.Since(start)
					}
					permit.Report(domain.Success)
				}
			}
			time.Sleep(time.Millisecond)
		}
		if at < 10*time.Second || at > 10*time.Second+200*time.Millisecond {
			t.Errorf("the next probe went out after %s; want at the end of the lease", at)
		}
		if got := w.history(); !slices.Equal(got, []domain.State{domain.StateClosed, domain.StateOpen, domain.StateHalfOpen, domain.StateClosed}) {
			t.Errorf("the fleet went %v; want one hung probe outvoted", got)
		}
		hung.Report(domain.Failure)
		time.Sleep(time.Second)
		if w.results(domain.Failure) != 0 || w.view().State != domain.StateClosed {
			t.Error("the late result counted")
		}
	})
}

// TestCase20CancelledCallerGivesTheLeaseBack: the question is the replica's, and
// a caller who leaves while it is in the air takes nothing with it.
func TestCase20CancelledCallerGivesTheLeaseBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		nodes := w.nodes(2, domain.CircuitBreaker{})
		trip(nodes...)
		time.Sleep(30 * time.Second)
		cause := errors.New("the user closed the page")
		for range 10 {
			nodes[0].line.setDelay(20 * time.Millisecond)
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(10*time.Millisecond, func() { cancel(cause) })
			start := time.Now()
			_, err := nodes[0].Acquire(ctx)
			if took := time.Since(start); !errors.Is(err, cause) || took != 10*time.Millisecond {
				t.Errorf("%v after %s; want the cause, at once", err, took)
			}
			time.Sleep(200 * time.Millisecond)
		}
		if got := w.results(domain.Ignored); got != 10 {
			t.Errorf("%d leases came back; want 10", got)
		}
		nodes[0].line.setDelay(0)
		nodes[0].patient().Report(domain.Success)
	})
}

// TestLostGrantIsFoundAgain: the store granted, the reply was lost; asking again
// with the same token finds the same lease, with what is left of it; also when
// the push of half-open comes in between.
func TestLostGrantIsFoundAgain(t *testing.T) {
	for name, f := range map[string]fault{"at once": losing, "late": losingLate} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				nodes := w.nodes(2, domain.CircuitBreaker{})
				trip(nodes...)
				time.Sleep(30 * time.Second)
				start := time.Now()
				nodes[0].line.set(f)
				wantOpen(t, nodes[0].call(domain.Success), domain.ScopeFleet, 0, 100*time.Millisecond)
				nodes[0].line.set(healthy)
				if f == losingLate {
					synctest.Wait()
				}
				time.Sleep(time.Second) // the views come through
				nodes[0].wantFleet(domain.StateHalfOpen)
				permit, err := nodes[0].Acquire(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				lease, ok := permit.Lease()
				if want := 10*time.Second - time.Since(start); !ok || lease > want+fleet.DefaultStoreTimeout || lease < want-time.Millisecond {
					t.Errorf("a lease of %s; want about %s", lease, want)
				}
				if given, most := w.leases(); given != 1 || most != 1 {
					t.Errorf("%d leases were given", given)
				}
			})
		})
	}
}

// TestVoidGrantIsNotUsed: the answer to a question comes after the news that the
// fleet has moved on; the call must not go out.
func TestVoidGrantIsNotUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		nodes := w.nodes(3, domain.CircuitBreaker{Probes: 3})
		trip(nodes...)
		time.Sleep(30 * time.Second)
		failing := []fleet.Permit{nodes[1].patient(), nodes[2].patient()}
		time.Sleep(askSpread) // after the push, a replica asks at a moment of its own
		nodes[0].line.setReplyDelay(50 * time.Millisecond)
		got := make(chan error)
		go func() {
			_, err := nodes[0].Acquire(context.Background())
			got <- err
		}()
		time.Sleep(20 * time.Millisecond)
		for _, permit := range failing {
			permit.Report(domain.Failure) // two of two: it reopens
		}
		wantOpen(t, <-got, domain.ScopeFleet, 59*time.Second, time.Minute)
		if given, _ := w.leases(); given != 3 {
			t.Fatalf("%d leases: the story is not the one meant", given)
		}
	})
}

// TestCase25RecoveryGrows: each reopening in a row doubles the wait up to the
// longest, in all replicas, and closing resets it.
func TestCase25RecoveryGrows(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		nodes := w.nodes(3, domain.CircuitBreaker{RecoveryTimeout: 10 * time.Second, MaxRecoveryTimeout: 50 * time.Second})
		round := func(want time.Duration) {
			t.Helper()
			synctest.Wait()
			if v := w.view(); v.State != domain.StateOpen || v.For != want {
				t.Errorf("%s for %s; want open for %s", v.State, v.For, want)
			}
			for _, n := range nodes {
				if s := n.Status(); s.Fleet != domain.StateOpen || s.RetryAfter != want {
					t.Errorf("%+v; want open for %s", s, want)
				}
			}
			time.Sleep(want)
		}
		trip(nodes...)
		for _, want := range []time.Duration{10, 20, 40, 50, 50} {
			round(want * time.Second)
			nodes[0].patient().Report(domain.Failure)
			nodes[1].patient().Report(domain.Failure)
		}
		round(50 * time.Second)
		nodes[0].patient().Report(domain.Success)
		nodes[1].patient().Report(domain.Success)
		synctest.Wait()
		trip(nodes...)
		round(10 * time.Second)
	})
}

// TestOwnTripStaysThroughTheFleets: rule B6. The fleet's opening takes over the
// trips that agree with it, and leaves a replica's own trouble alone; such a
// replica passes on its local permit first.
func TestOwnTripStaysThroughTheFleets(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		nodes := w.nodes(3, domain.CircuitBreaker{RecoveryTimeout: 10 * time.Second})
		meet(nodes...)
		nodes[2].calls(domain.DefaultFailureThreshold, domain.LocalFailure)
		time.Sleep(5 * time.Second)
		trip(nodes[:2]...)
		for _, n := range nodes[:2] {
			if s := n.Status(); s.Local != domain.StateClosed || s.Fleet != domain.StateOpen || s.Calls != 0 {
				t.Errorf("%+v; want the trip absorbed, the window empty", s)
			}
		}
		if s := nodes[2].Status(); s.Local != domain.StateOpen || s.Fleet != domain.StateOpen {
			t.Errorf("%+v; want both open", s)
		}
		time.Sleep(3 * time.Second) // its own time is over, the fleet's is not
		wantOpen(t, nodes[2].call(domain.Success), domain.ScopeFleet, 7*time.Second, 7*time.Second)
		time.Sleep(7 * time.Second)
		nodes[2].patient().Report(domain.LocalFailure) // still in trouble: open again, by itself
		synctest.Wait()
		nodes[2].wantFleet(domain.StateHalfOpen)
		nodes[2].wantState(domain.StateOpen, domain.ScopeReplica)
		nodes[0].patient().Report(domain.Success)
		nodes[1].patient().Report(domain.Success)
		synctest.Wait()
		nodes[2].wantState(domain.StateOpen, domain.ScopeReplica)
		for _, n := range nodes {
			n.wantFleet(domain.StateClosed)
			n.wantEvents()
		}
		nodes[0].wantState(domain.StateClosed, domain.ScopeReplica)
	})
}

// TestProbeResultsFeedTheFleetOnly: failed probes do not trip a local layer.
func TestProbeResultsFeedTheFleetOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		nodes := w.nodes(2, domain.CircuitBreaker{FailureThreshold: 1, Probes: 5})
		trip(nodes...)
		time.Sleep(30 * time.Second)
		var probes []fleet.Permit
		for range 3 {
			probes = append(probes, nodes[0].patient())
		}
		for _, permit := range probes {
			permit.Report(domain.Failure)
		}
		synctest.Wait()
		if s := nodes[0].Status(); s.Local != domain.StateClosed || s.Calls != 0 {
			t.Errorf("%+v; want its own layer closed, nothing counted", s)
		}
	})
}

// TestClosingGivesLeasesBack: a replica that is stopped while its probe runs does
// not make the fleet wait for the lease's end, nor count as failed.
func TestClosingGivesLeasesBack(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		nodes := w.nodes(3, domain.CircuitBreaker{})
		trip(nodes...)
		time.Sleep(30 * time.Second)
		running := nodes[0].patient()
		nodes[0].close()
		start := time.Now()
		nodes[1].patient().Report(domain.Success)
		nodes[2].patient().Report(domain.Success)
		if took := time.Since(start); took > 200*time.Millisecond {
			t.Errorf("the next probes came after %s", took)
		}
		synctest.Wait()
		if v := w.view(); v.State != domain.StateClosed {
			t.Errorf("it is %s", v.State)
		}
		running.Report(domain.Failure)
		if _, err := nodes[0].Acquire(t.Context()); !errors.Is(err, domain.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

// TestResultsAreSentUntilHeard: a probe's result outlives a line that is down for
// a moment.
func TestResultsAreSentUntilHeard(t *testing.T) {
	for name, f := range map[string]fault{"refusing": refusing, "hanging": hanging, "losing": losing} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				nodes := w.nodes(2, domain.CircuitBreaker{})
				trip(nodes...)
				time.Sleep(30 * time.Second)
				permit := nodes[0].patient()
				nodes[0].line.set(f)
				permit.Report(domain.Success)
				time.Sleep(600 * time.Millisecond)
				nodes[0].line.set(healthy)
				time.Sleep(3 * time.Second)
				if got := w.results(domain.Success); got != 1 {
					t.Errorf("the result counted %d times", got)
				}
			})
		})
	}
}
