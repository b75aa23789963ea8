package fleet_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet"
)

// TestCase53StoreDown: whatever the store does, calls go on with the local layer,
// in bounded time; one event says that it is down, one that it is back; the fleet
// then hears what was seen meanwhile, once.
func TestCase53StoreDown(t *testing.T) {
	for name, f := range map[string]fault{"refusing": refusing, "hanging": hanging, "losing": losing, "losing late": losingLate} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				nodes := w.nodes(3, domain.CircuitBreaker{})
				for _, n := range nodes {
					n.line.set(f)
				}
				for _, n := range nodes { // cold: the store was never seen
					waited := time.Duration(0)
					for i := range 100 {
						start := time.Now()
						if err := n.call(domain.Success); err != nil {
							t.Errorf("call %d: %v", i, err)
						}
						took := time.Since(start)
						waited += took
						if took > fleet.DefaultStoreTimeout {
							t.Errorf("call %d took %s", i, took)
						}
					}
					if waited > 3*fleet.DefaultStoreTimeout {
						t.Errorf("a hundred calls, one after the other, waited %s", waited)
					}
				}
				for range 600 { // a minute
					for _, n := range nodes {
						start := time.Now()
						if err := n.call(domain.Success); err != nil {
							t.Error(err)
						}
						if took := time.Since(start); took != 0 {
							t.Errorf("a call took %s", took)
						}
					}
					time.Sleep(100 * time.Millisecond)
				}
				nodes[0].calls(domain.DefaultFailureThreshold, domain.Failure)
				nodes[0].wantState(domain.StateOpen, domain.ScopeReplica) // its own layer works
				wantOpen(t, nodes[0].call(domain.Success), domain.ScopeReplica, 30*time.Second, 30*time.Second)
				nodes[1].calls(domain.DefaultFailureThreshold, domain.Failure)
				time.Sleep(2 * time.Second)
				for _, n := range nodes {
					n.line.set(healthy)
				}
				time.Sleep(4 * time.Second)
				for i, n := range nodes {
					if down, up := n.count(domain.EventStoreDown), n.count(domain.EventStoreUp); down != 1 || up != 1 {
						t.Errorf("replica %d told %d times down, %d times up", i, down, up)
					}
					n.wantState(domain.StateOpen, domain.ScopeFleet)
					n.wantEvents()
				}
				if given, _ := w.leases(); given != 0 {
					t.Errorf("%d leases", given)
				}
			})
		})
	}
}

// TestSlowStore: each answer comes, in time or just too late; calls are not kept
// waiting by it, apart from the first.
func TestSlowStore(t *testing.T) {
	for _, delay := range []time.Duration{90 * time.Millisecond, 110 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			n := w.node(domain.CircuitBreaker{})
			n.line.setDelay(delay)
			waited := time.Duration(0)
			for range 1000 {
				start := time.Now()
				if err := n.call(domain.Success); err != nil {
					t.Error(err)
				}
				took := time.Since(start)
				waited += took
				if took > fleet.DefaultStoreTimeout {
					t.Errorf("a call took %s", took)
				}
				time.Sleep(10 * time.Millisecond)
			}
			if waited > 4*fleet.DefaultStoreTimeout {
				t.Errorf("with answers after %s calls waited %s together", delay, waited)
			}
		})
	}
}

// TestStoreDownAtTheEndOfOpen: rule B7. An open view runs to its end, whatever is
// heard of the store; then the replica probes alone, and goes on alone; when the
// store is back, the fleet's layer is asked again.
func TestStoreDownAtTheEndOfOpen(t *testing.T) {
	for name, f := range map[string]fault{"refusing": refusing, "hanging": hanging} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				nodes := w.nodes(2, domain.CircuitBreaker{})
				trip(nodes...)
				start := time.Now()
				for _, n := range nodes {
					n.line.set(f)
				}
				n := nodes[0]
				for time.Since(start) < 30*time.Second {
					began := time.Now()
					wantOpen(t, n.call(domain.Success), domain.ScopeFleet, 0, 30*time.Second)
					if time.Since(began) != 0 {
						t.Fatal("an open breaker waited for the store")
					}
					time.Sleep(50 * time.Millisecond)
				}
				probe := n.patient()
				if !probe.IsProbe() {
					t.Error("it is no probe; want one of the local layer")
				}
				if _, leased := probe.Lease(); leased {
					t.Error("a lease without a store")
				}
				wantOpen(t, n.call(domain.Success), domain.ScopeReplica, 0, 10*time.Second)
				n.wantState(domain.StateHalfOpen, domain.ScopeReplica)
				probe.Report(domain.Failure)
				n.wantState(domain.StateOpen, domain.ScopeReplica)
				time.Sleep(40 * time.Second)
				n.calls(2, domain.Success)
				n.wantState(domain.StateClosed, domain.ScopeReplica)
				if passed := n.calls(100, domain.Success); passed != 100 {
					t.Errorf("%d of 100 calls passed", passed)
				}
				for _, n := range nodes {
					n.line.set(healthy)
				}
				time.Sleep(3 * time.Second)
				n.wantState(domain.StateOpen, domain.ScopeFleet) // whose time is over: the next call asks
				for range 20 {
					_ = nodes[0].call(domain.Success)
					_ = nodes[1].call(domain.Success)
					time.Sleep(20 * time.Millisecond)
				}
				for _, n := range nodes {
					n.wantState(domain.StateClosed, domain.ScopeReplica)
					n.wantEvents()
				}
			})
		})
	}
}

// TestBackFromAlone: what a replica learnt alone does not keep it from probing for
// the fleet, once the store is back: there is one timer.
func TestBackFromAlone(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		nodes := w.nodes(2, domain.CircuitBreaker{})
		trip(nodes...)
		for _, n := range nodes {
			n.line.set(refusing)
		}
		time.Sleep(30 * time.Second)
		for _, n := range nodes {
			n.patient().Report(domain.Failure) // open again, by itself
			n.wantState(domain.StateOpen, domain.ScopeReplica)
			n.line.set(healthy)
		}
		time.Sleep(3 * time.Second)
		start := time.Now()
		for _, n := range nodes {
			n.wantFleet(domain.StateOpen)
		}
		for _, n := range nodes {
			n.patient().Report(domain.Success)
		}
		if took := time.Since(start); took > 100*time.Millisecond {
			t.Errorf("the fleet's probes went out after %s", took)
		}
		synctest.Wait()
		for _, n := range nodes {
			n.wantState(domain.StateClosed, domain.ScopeReplica)
			n.wantEvents()
		}
	})
}

// TestOwnTripOutlastsTheStore: a replica with trouble of its own is not let off
// because the store went away too.
func TestOwnTripOutlastsTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		nodes := w.nodes(3, domain.CircuitBreaker{})
		meet(nodes...)
		own := nodes[2]
		own.calls(domain.DefaultFailureThreshold, domain.LocalFailure)
		time.Sleep(30 * time.Second)
		own.patient().Report(domain.LocalFailure) // for a minute now
		start := time.Now()
		trip(nodes[:2]...) // for half of it
		own.line.set(refusing)
		for time.Since(start) < time.Minute {
			wantOpen(t, own.call(domain.LocalFailure), domain.ScopeReplica, 0, time.Minute)
			time.Sleep(100 * time.Millisecond)
		}
		own.patient().Report(domain.LocalFailure) // alone, and still in trouble
		own.wantState(domain.StateOpen, domain.ScopeReplica)
		own.line.set(healthy)
		time.Sleep(3 * time.Second)
		if s := own.Status(); s.Local != domain.StateOpen || s.Fleet != domain.StateOpen {
			t.Errorf("%+v; want its own trip to stay", s)
		}
		own.wantEvents()
	})
}

// TestIdle: after a minute without a call nothing is refreshed; the next call
// waits for one read, and sees what happened meanwhile.
func TestIdle(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		nodes := w.nodes(3, domain.CircuitBreaker{RecoveryTimeout: 5 * time.Minute})
		meet(nodes...)
		n := nodes[0]
		n.line.setDelay(30 * time.Millisecond)
		time.Sleep(62 * time.Second)
		n.line.count()
		n.line.setDeaf(true)
		trip(nodes[1:]...)
		time.Sleep(time.Minute + 10*time.Millisecond) // not when the pulse looks around
		if got := n.line.count(); got != (traffic{}) {
			t.Errorf("an idle breaker made %+v", got)
		}
		start := time.Now()
		wantOpen(t, n.call(domain.Success), domain.ScopeFleet, 3*time.Minute, 5*time.Minute)
		if took := time.Since(start); took != 30*time.Millisecond {
			t.Errorf("the first call took %s; want one read", took)
		}
		if got := n.line.count(); got != (traffic{reads: 1}) {
			t.Errorf("the first call made %+v", got)
		}
		time.Sleep(2 * time.Minute)
		n.line.set(hanging)
		start = time.Now()
		wantOpen(t, n.call(domain.Success), domain.ScopeFleet, 0, 3*time.Minute) // staleness does not end it
		if took := time.Since(start); took != fleet.DefaultStoreTimeout {
			t.Errorf("with a store that hangs it took %s", took)
		}
	})
}

// TestIdleWhileTheStoreWasDown: the first call does not wait for a store that was
// last seen down, but has it tried at once.
func TestIdleWhileTheStoreWasDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		nodes := w.nodes(3, domain.CircuitBreaker{RecoveryTimeout: 5 * time.Minute})
		meet(nodes...)
		n := nodes[0]
		n.line.set(refusing)
		time.Sleep(90*time.Second + 100*time.Millisecond)
		n.line.setDeaf(true)
		n.line.set(healthy)
		trip(nodes[1:]...)
		n.line.setDelay(30 * time.Millisecond)
		start := time.Now()
		if err := n.call(domain.Success); err != nil || time.Since(start) != 0 {
			t.Errorf("%v after %s; want it let through by its own layer, at once", err, time.Since(start))
		}
		time.Sleep(31 * time.Millisecond)
		synctest.Wait()
		n.wantState(domain.StateOpen, domain.ScopeFleet)
		if down, up := n.count(domain.EventStoreDown), n.count(domain.EventStoreUp); down != 1 || up != 1 {
			t.Errorf("told %d times down, %d times up", down, up)
		}
	})
}

// TestFirstReadIsShared: callers that arrive together wait for one read.
func TestFirstReadIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		n := w.node(domain.CircuitBreaker{})
		n.line.setDelay(30 * time.Millisecond)
		start := time.Now()
		if got := len(rush(100, n)); got != 100 {
			t.Errorf("%d passed", got)
		}
		if took, made := time.Since(start), n.line.count(); took != 30*time.Millisecond || made != (traffic{reads: 1}) {
			t.Errorf("%s and %+v; want one read", took, made)
		}
	})
}

// TestBackgroundLoad is what docs publish: the store calls a second of one
// breaker on one replica, when nothing happens, when calls go on, and while open.
func TestBackgroundLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		nodes := w.nodes(3, domain.CircuitBreaker{RecoveryTimeout: 10 * time.Minute, MaxRecoveryTimeout: 10 * time.Minute})
		meet(nodes...)
		load := func(what string, calls int, most float64) {
			t.Helper()
			for _, n := range nodes {
				n.line.count()
			}
			for range 50 * 10 {
				for _, n := range nodes {
					n.calls(calls, domain.Success)
				}
				time.Sleep(100 * time.Millisecond)
			}
			for i, n := range nodes {
				made := n.line.count()
				if a := float64(made.all()) / 50; a > most {
					t.Errorf("%s: replica %d made %.1f calls a second, %+v; want %.1f at most", what, i, a, made, most)
				}
			}
		}
		load("in use", 100, 2.1)
		load("idle for less than a minute", 0, 2.1)
		time.Sleep(time.Minute)
		load("idle", 0, 0)
		trip(nodes...)
		load("open", 100, 2.1)
	})
}

// TestCancelledWhileWaiting is part of case 21: a caller who leaves while the
// first read is in the air gets no permit.
func TestCancelledWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		n := w.node(domain.CircuitBreaker{FailureThreshold: 1})
		n.line.set(hanging)
		cause := errors.New("the user closed the page")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(10*time.Millisecond, func() { cancel(cause) })
		start := time.Now()
		permit, err := n.Acquire(ctx)
		if took := time.Since(start); !errors.Is(err, cause) || took != 10*time.Millisecond {
			t.Errorf("%v after %s; want the cause, at once", err, took)
		}
		permit.Report(domain.Failure) // of no call
		if _, err := n.Acquire(ctx); !errors.Is(err, cause) {
			t.Errorf("with a context that is done: %v", err)
		}
		if s := n.Status(); s.State != domain.StateClosed || s.Calls != 0 {
			t.Errorf("%+v; want nothing counted", s)
		}
	})
}

// TestBudget: one call waits for stores no longer than what is left of its
// budget, and asks nothing when nothing is left.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		nodes := w.nodes(2, domain.CircuitBreaker{})
		for _, n := range nodes {
			n.line.setDelay(60 * time.Millisecond)
		}
		n := nodes[0]
		var budget fleet.Budget
		permit, err := n.AcquireWithin(t.Context(), &budget)
		if err != nil {
			t.Fatal(err)
		}
		permit.Report(domain.Success)
		trip(nodes...)
		time.Sleep(31 * time.Second)
		start := time.Now()
		_, err = n.AcquireWithin(t.Context(), &budget) // 40 of 100 ms are left
		wantOpen(t, err, domain.ScopeFleet, 0, time.Second)
		if took := time.Since(start); took != 40*time.Millisecond {
			t.Errorf("it took %s; want what was left, 40 ms", took)
		}
		time.Sleep(time.Second)
		if got := w.results(domain.Ignored); got != 1 {
			t.Errorf("%d leases came back; want the one that nobody waited for", got)
		}
		n.line.count()
		start = time.Now()
		_, err = n.AcquireWithin(t.Context(), &budget)
		wantOpen(t, err, domain.ScopeFleet, 0, time.Second)
		took := time.Since(start)
		synctest.Wait()
		if made := n.line.count(); took != 0 || made.asks != 0 {
			t.Errorf("it took %s and made %+v, with nothing left", took, made)
		}
		n.patient()
	})
}

// TestCloseWhileBusy: calls that wait get ErrClosed, later ones too, no goroutine
// is left (or the bubble would not end), whatever the store does.
func TestCloseWhileBusy(t *testing.T) {
	for name, f := range map[string]fault{"healthy": healthy, "refusing": refusing, "hanging": hanging, "losing late": losingLate} {
		for _, stage := range []string{"unused", "reading", "closed", "open", "asking", "probing"} {
			t.Run(name+", "+stage, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					nodes := w.nodes(2, domain.CircuitBreaker{})
					n := nodes[0]
					var permits []fleet.Permit
					waiting := 0
					got := make(chan error, 10)
					wait := func() {
						waiting++
						go func() {
							_, err := n.Acquire(context.Background())
							got <- err
						}()
						synctest.Wait()
					}
					switch stage {
					case "reading":
						n.line.set(f)
						wait()
					case "closed":
						n.calls(3, domain.Success)
						permits = append(permits, n.patient())
					case "open":
						trip(nodes...)
					case "asking":
						trip(nodes...)
						time.Sleep(30 * time.Second)
						n.line.set(f)
						wait()
					case "probing":
						trip(nodes...)
						time.Sleep(30 * time.Second)
						permits = append(permits, n.patient())
					}
					n.line.set(f)
					start := time.Now()
					n.close()
					n.close()
					if took := time.Since(start); took > 2*fleet.DefaultStoreTimeout {
						t.Errorf("Close took %s", took)
					}
					for range waiting {
						if err := <-got; (f == hanging || f == losingLate) && !errors.Is(err, domain.ErrClosed) {
							t.Errorf("who waited got %v", err)
						}
					}
					for _, permit := range permits {
						permit.Report(domain.Failure)
					}
					start = time.Now()
					if err := n.call(domain.Success); !errors.Is(err, domain.ErrClosed) || time.Since(start) != 0 {
						t.Errorf("after Close: %v after %s", err, time.Since(start))
					}
					n.Status()
				})
			})
		}
	}
}

// TestOneShardDoesNotHarmAnother: breakers on a part of the store that hangs do
// not keep the others from reporting, not even until that is noticed.
func TestOneShardDoesNotHarmAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		n := w.node(domain.CircuitBreaker{})
		lines := [2]*line{{world: w}, {world: w}}
		split := splitStore{lines}
		replica, err := fleet.Join(port.Stores{Buckets: split, Breakers: split, Views: split}, fleet.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer replica.Close(context.Background())
		var breakers [2]*fleet.Breaker
		for i, name := range []string{breakerName, "other"} {
			if breakers[i], err = replica.Breaker(domain.CircuitBreaker{Name: name}); err != nil {
				t.Fatal(err)
			}
		}
		call := func(i int, o domain.Outcome) time.Duration {
			start := time.Now()
			if permit, err := breakers[i].Acquire(t.Context()); err == nil {
				permit.Report(o)
			}
			return time.Since(start)
		}
		call(0, domain.Success)
		call(1, domain.Success)
		meet(n)
		lines[1].set(hanging)
		call(0, domain.Success)
		call(1, domain.Success)
		time.Sleep(510 * time.Millisecond) // a refresh of the other shard is in the air
		n.calls(domain.DefaultFailureThreshold, domain.Failure)
		for range domain.DefaultFailureThreshold {
			if took := call(0, domain.Failure) + call(1, domain.Failure); took != 0 {
				t.Errorf("calls took %s", took)
			}
		}
		synctest.Wait()
		if got := breakers[0].Status(); got.Fleet != domain.StateOpen {
			t.Errorf("%+v; want it open at once", got)
		}
		if got := breakers[1].Status(); got.Local != domain.StateOpen || got.Fleet != domain.StateClosed {
			t.Errorf("%+v; want its own layer open", got)
		}
	})
}

// A splitStore has two shards, each on a line of its own.
type splitStore struct{ lines [2]*line }

func (splitStore) Shard(id port.ID) uint32 {
	if id.Name == breakerName {
		return 0
	}
	return 1
}

func (splitStore) Take(context.Context, []port.TakeRequest, []port.TakeReply) {}

func (s splitStore) Report(ctx context.Context, in []port.Report, out []port.View) {
	for i := range in {
		s.lines[s.Shard(in[i].Breaker)].Report(ctx, in[i:i+1], out[i:i+1])
	}
}

func (s splitStore) Probe(ctx context.Context, in []port.ProbeRequest, out []port.ProbeReply) {
	for i := range in {
		s.lines[s.Shard(in[i].Breaker)].Probe(ctx, in[i:i+1], out[i:i+1])
	}
}

func (s splitStore) Read(ctx context.Context, in []port.ID, out []port.View) {
	for i := range in {
		s.lines[s.Shard(in[i])].Read(ctx, in[i:i+1], out[i:i+1])
	}
}

func (s splitStore) Watch(ctx context.Context, onView func(port.ID, port.View)) error {
	return s.lines[0].Watch(ctx, onView)
}

// Rule L3 for Acquire: reading the view and asking for a probe wait within one
// StoreTimeout together.
func TestReadingAndAskingAreOneBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		nodes := w.nodes(2, domain.CircuitBreaker{RecoveryTimeout: time.Second})
		trip(nodes...)
		time.Sleep(2 * time.Second)
		late := w.node(domain.CircuitBreaker{RecoveryTimeout: time.Second})
		late.line.setDelay(70 * time.Millisecond)
		start := time.Now()
		_ = late.call(domain.Success)
		if took := time.Since(start); took > storeTimeout {
			t.Errorf("Acquire took %v", took)
		}
	})
}
