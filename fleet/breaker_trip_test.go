package fleet_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet"
)

// TestSharingWithFewReplicas is the table of docs/architecture.md: what it takes
// to open the fleet's breaker, by how it is shared and how many replicas there
// are. The healthy ones carry as much traffic as the sick ones.
func TestSharingWithFewReplicas(t *testing.T) {
	for _, tt := range []struct {
		sharing  domain.Sharing
		replicas int
		opens    []bool // the fleet, with 1, 2 … of them sick
	}{
		{domain.ShareQuorum, 1, []bool{false}},
		{domain.ShareQuorum, 2, []bool{false, true}},
		{domain.ShareQuorum, 3, []bool{false, true, true}},
		{domain.ShareQuorum, 5, []bool{false, false, true, true, true}},
		{domain.ShareAggregate, 1, []bool{false}},
		{domain.ShareAggregate, 2, []bool{false, true}},
		{domain.ShareAggregate, 3, []bool{false, true, true}},
		{domain.ShareAggregate, 5, []bool{false, false, true, true, true}},
		{domain.ShareAny, 1, []bool{true}},
		{domain.ShareAny, 2, []bool{true, true}},
		{domain.ShareAny, 3, []bool{true, true, true}},
		{domain.ShareLocal, 1, []bool{false}},
		{domain.ShareLocal, 2, []bool{false, false}},
		{domain.ShareLocal, 3, []bool{false, false, false}},
	} {
		for i, opens := range tt.opens {
			sick := i + 1
			t.Run(fmt.Sprintf("%s, %d of %d sick", tt.sharing, sick, tt.replicas), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					nodes := w.nodes(tt.replicas, domain.CircuitBreaker{Sharing: tt.sharing})
					for _, n := range nodes {
						n.calls(domain.DefaultMinCalls, domain.Success)
					}
					time.Sleep(3 * time.Second) // a regular report
					for _, n := range nodes[:sick] {
						n.calls(domain.DefaultFailureThreshold, domain.Failure)
					}
					synctest.Wait()
					for i, n := range nodes {
						switch s := n.Status(); {
						case opens && (s.Fleet != domain.StateOpen || s.Local != domain.StateClosed):
							t.Errorf("replica %d: %+v; want it open for the fleet, the local trip absorbed", i, s)
						case !opens && (s.Fleet != domain.StateClosed || (s.Local == domain.StateOpen) != (i < sick)):
							t.Errorf("replica %d: %+v; want the sick open alone", i, s)
						}
					}
				})
			})
		}
	}
}

// TestCase57OneSickReplicaOpensNothing: not by dial errors, not by failures, not
// for however long; the others do not notice.
func TestCase57OneSickReplicaOpensNothing(t *testing.T) {
	for _, o := range []domain.Outcome{domain.Failure, domain.LocalFailure} {
		t.Run(o.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				nodes := w.nodes(4, domain.CircuitBreaker{RecoveryTimeout: time.Second})
				for range 120 * 10 {
					_ = nodes[0].call(o)
					for i, n := range nodes[1:] {
						if err := n.call(domain.Success); err != nil {
							t.Fatalf("replica %d: %v", i+1, err)
						}
					}
					time.Sleep(100 * time.Millisecond)
				}
				if s := nodes[0].Status(); s.Local == domain.StateClosed {
					t.Errorf("the sick replica is %+v", s)
				}
				if got := w.history(); !slices.Equal(got, []domain.State{domain.StateClosed}) {
					t.Errorf("the fleet went %v", got)
				}
			})
		})
	}
}

// TestOwnTroubleOfAllOpensNothing: dial errors everywhere may be one broken
// switch, and say nothing of the dependency; each replica is open by itself.
func TestOwnTroubleOfAllOpensNothing(t *testing.T) {
	inEachWorld(t, func(_ *testing.T, w *world) {
		nodes := w.nodes(3, domain.CircuitBreaker{})
		meet(nodes...)
		for _, n := range nodes {
			n.calls(domain.DefaultFailureThreshold, domain.LocalFailure)
		}
		time.Sleep(10 * time.Second)
		for _, n := range nodes {
			n.wantState(domain.StateOpen, domain.ScopeReplica)
			n.wantFleet(domain.StateClosed)
		}
	})
}

// TestCase48SplitFailuresOpenBoth: failures that are split between two replicas,
// on many goroutines, open the fleet's layer for both; each is counted once.
func TestCase48SplitFailuresOpenBoth(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		nodes := w.nodes(2, domain.CircuitBreaker{FailureRatio: 1, MinCalls: 100})
		meet(nodes...)
		for _, n := range nodes {
			_ = n.call(domain.Success)
		}
		time.Sleep(12 * time.Second) // the successes are out of the window
		var all sync.WaitGroup
		var passed atomic.Int64
		for i := range 99 * 2 {
			all.Go(func() { passed.Add(int64(nodes[i%2].calls(1, domain.Failure))) })
		}
		all.Wait()
		synctest.Wait()
		for _, n := range nodes {
			if s := n.Status(); s.Calls != 99 || s.Failures != 99 || s.State != domain.StateClosed {
				t.Errorf("%+v; want 99 failures of 99 calls, which is one short", s)
			}
		}
		for _, n := range nodes {
			_ = n.call(domain.Failure)
		}
		synctest.Wait()
		for _, n := range nodes {
			n.wantState(domain.StateOpen, domain.ScopeFleet)
		}
	})
}

// TestCase58TransitionsReachAll: by push at once; with every push lost, within
// MaxStaleness. Each replica tells each transition once.
func TestCase58TransitionsReachAll(t *testing.T) {
	for _, deaf := range []bool{false, true} {
		t.Run(fmt.Sprintf("deaf %v", deaf), func(t *testing.T) {
			inEachWorld(t, func(t *testing.T, w *world) {
				nodes := w.nodes(8, domain.CircuitBreaker{RecoveryTimeout: 10 * time.Second})
				meet(nodes...)
				bound := time.Duration(0)
				for _, n := range nodes {
					n.line.setDeaf(deaf)
					n.line.setDelay(time.Millisecond)
				}
				if deaf {
					bound = fleet.DefaultMaxStaleness
				}
				reach := func(want domain.State) {
					t.Helper()
					time.Sleep(2*time.Millisecond + bound)
					synctest.Wait()
					for i, n := range nodes {
						if s := n.Status(); s.Fleet != want {
							t.Errorf("replica %d has %+v; want the fleet %s", i, s, want)
						}
					}
				}
				time.Sleep(333 * time.Millisecond)
				for _, n := range nodes[:5] {
					n.calls(domain.DefaultFailureThreshold, domain.Failure)
				}
				reach(domain.StateOpen)
				permit := nodes[0].patient()
				reach(domain.StateHalfOpen)
				permit.Report(domain.Success)
				nodes[1].patient().Report(domain.Success)
				reach(domain.StateClosed)
				for i, n := range nodes {
					n.wantEvents()
					want := []domain.State{domain.StateOpen, domain.StateHalfOpen, domain.StateClosed}
					if got := n.told(domain.ScopeFleet); !slices.Equal(got, want) {
						t.Errorf("replica %d told %v; want %v", i, got, want)
					}
				}
			})
		})
	}
}

// TestCase27Events: one for each transition, from one state to the next, by a
// listener that is slow, panics and calls back; it blocks nobody, and what it
// sees in the end is the state.
func TestCase27Events(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var n *node
		var heard atomic.Int64
		n = w.nodeWith(domain.CircuitBreaker{Sharing: domain.ShareAny, FailureThreshold: 1, RecoveryTimeout: time.Second},
			fleet.Config{OnEvent: func(domain.Event) {
				_ = n.call(domain.Ignored) // calls back
				n.Status()
				time.Sleep(time.Minute) // is slow
				heard.Add(1)
				panic("and panics")
			}})
		start := time.Now()
		for range 20 {
			_ = n.call(domain.Failure)
			synctest.Wait()
			time.Sleep(time.Second)
			for n.Status().State != domain.StateClosed {
				_ = n.call(domain.Success)
				time.Sleep(10 * time.Millisecond)
			}
		}
		if took := time.Since(start); took > 25*time.Second {
			t.Errorf("20 rounds took %s: the listener was waited for", took)
		}
		time.Sleep(3 * time.Hour)
		n.wantEvents()
		if got := len(n.told(domain.ScopeFleet)); got != 60 {
			t.Errorf("%d transitions of the fleet were told; want 60", got)
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		if int(heard.Load()) != len(n.events) {
			t.Errorf("%d of %d events were delivered", heard.Load(), len(n.events))
		}
	})
}

// TestCase28ObserversSeeWhatIs: whoever looks between two events, from many
// goroutines while transitions go on, sees one of the states of the time.
func TestCase28ObserversSeeWhatIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		n := w.node(domain.CircuitBreaker{
			Sharing: domain.ShareAny, FailureThreshold: 1, RecoveryTimeout: 100 * time.Millisecond, MaxRecoveryTimeout: 100 * time.Millisecond,
		})
		stop := make(chan struct{})
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for epoch := uint64(0); ; {
					s := n.Status()
					if s.Epoch < epoch || s.State < s.Local && s.State < s.Fleet {
						t.Errorf("%+v after epoch %d", s, epoch)
					}
					epoch = s.Epoch
					select {
					case <-stop:
						return
					case <-time.After(time.Millisecond):
					}
				}
			})
		}
		for i := range 2000 {
			_ = n.call(domain.Outcome(i / 100 % 2))
			time.Sleep(5 * time.Millisecond)
		}
		close(stop)
		all.Wait()
		n.wantEvents()
		if got := len(n.told(domain.ScopeFleet)); got < 10 {
			t.Errorf("only %d transitions", got)
		}
	})
}

// TestReports: rule B2. The whole window each time; at once when the opinion
// flips; else every quarter of a window, if something was counted; never two in
// the air; none when nothing changed.
func TestReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		n := w.node(domain.CircuitBreaker{})
		n.line.setDelay(20 * time.Millisecond)
		reports := func(d time.Duration, each func()) int {
			n.line.count()
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
				each()
			}
			return n.line.count().reports
		}
		nothing := func() {}
		good := func() { _ = n.call(domain.Success) }
		good()
		time.Sleep(10 * time.Second)
		if got := reports(time.Minute, good); got != 24 {
			t.Errorf("%d reports in a minute of calls; want one each 2.5 s", got)
		}
		time.Sleep(3 * time.Second)
		if got := reports(30*time.Second, nothing); got != 0 {
			t.Errorf("%d reports of nothing", got)
		}
		if got := reports(30*time.Second, func() { _ = n.call(domain.Ignored) }); got != 0 {
			t.Errorf("%d reports of what counts for nothing", got)
		}
		good()
		time.Sleep(11 * time.Second)
		n.line.count()
		n.calls(4, domain.Failure)
		if synctest.Wait(); n.line.count().reports != 0 {
			t.Error("four failures are no flip")
		}
		n.calls(1, domain.Failure)
		if synctest.Wait(); n.line.count().reports != 1 {
			t.Error("the flip was not told at once")
		}
		time.Sleep(time.Second)
		n.line.mu.Lock()
		defer n.line.mu.Unlock()
		for i, r := range n.line.sent[1:] {
			if r.Seq != n.line.sent[i].Seq+1 || r.Replica != n.line.sent[0].Replica {
				t.Errorf("report %d of %q follows %d", r.Seq, r.Replica, n.line.sent[i].Seq)
			}
		}
		if last := n.line.sent[len(n.line.sent)-1]; !last.Bad || last.Weight != 1000 || last.Failures != 5 || last.Calls != 5 {
			t.Errorf("it told %+v", last)
		}
		if n.line.mostAir != 1 {
			t.Errorf("%d reports in the air at once", n.line.mostAir)
		}
	})
}

// TestReportsOfASteadyReplica: one call each 5 s gives the same numbers at each
// report, but they count for longer: they are told before the old ones expire.
func TestReportsOfASteadyReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		n := w.node(domain.CircuitBreaker{})
		time.Sleep(300 * time.Millisecond) // not when the pulse looks around
		for range 24 {
			_ = n.call(domain.Success)
			time.Sleep(5 * time.Second) // two in each window
		}
		n.line.mu.Lock()
		defer n.line.mu.Unlock()
		if got := len(n.line.sent); got < 20 {
			t.Errorf("%d reports in two minutes: the fleet forgot this replica", got)
		}
	})
}

// TestReportsOnTheEdge: a ratio that changes sides with every call is told at
// once a few times, and then twice a second.
func TestReportsOnTheEdge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		n := w.node(domain.CircuitBreaker{FailureRatio: 0.5, MinCalls: 1 << 20})
		_ = n.call(domain.Failure)
		_ = n.call(domain.Success)
		n.line.count()
		for range 5000 {
			_ = n.call(domain.Success) // below a half
			time.Sleep(time.Millisecond)
			_ = n.call(domain.Failure) // exactly
			time.Sleep(time.Millisecond)
		}
		if got := n.line.count().reports; got > 10*2*5+10 {
			t.Errorf("%d reports in 10 s", got)
		}
		n.line.mu.Lock()
		defer n.line.mu.Unlock()
		if n.line.mostAir != 1 {
			t.Errorf("%d reports in the air at once", n.line.mostAir)
		}
	})
}

// TestLostReportsGoAgain: a vote whose report was lost counts as soon as the line
// is back; one that was executed while its reply was lost counts once.
func TestLostReportsGoAgain(t *testing.T) {
	for name, f := range map[string]fault{"refusing": refusing, "hanging": hanging, "losing": losing, "losing late": losingLate} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				nodes := w.nodes(2, domain.CircuitBreaker{})
				meet(nodes...)
				nodes[0].line.set(f)
				for _, n := range nodes {
					n.calls(domain.DefaultFailureThreshold, domain.Failure)
				}
				time.Sleep(2 * time.Second)
				if executed := f == losing || f == losingLate; (w.view().State == domain.StateOpen) != executed {
					t.Errorf("with a line that is %s the fleet is %s", name, w.view().State)
				}
				nodes[0].line.set(healthy)
				time.Sleep(2 * time.Second)
				for _, n := range nodes {
					n.wantState(domain.StateOpen, domain.ScopeFleet)
				}
				if got := w.history(); !slices.Equal(got, []domain.State{domain.StateClosed, domain.StateOpen}) {
					t.Errorf("the fleet went %v", got)
				}
			})
		})
	}
}

// TestRecoveringReplicasDoNotVote: a success while a local layer is half-open is
// no evidence against the dependency.
func TestRecoveringReplicasDoNotVote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		nodes := w.nodes(3, domain.CircuitBreaker{Quorum: 0.001, SuccessThreshold: 3})
		meet(nodes...)
		for _, n := range nodes[:2] {
			n.calls(domain.DefaultFailureThreshold, domain.Failure)
			time.Sleep(12 * time.Second) // the first one's vote is forgotten
		}
		time.Sleep(30 * time.Second)
		for _, n := range nodes[:2] {
			n.patient().Report(domain.Success)
			n.patient().Report(domain.Success)
			time.Sleep(time.Second)
			n.wantState(domain.StateHalfOpen, domain.ScopeReplica)
		}
		if got := w.history(); len(got) != 1 {
			t.Errorf("the fleet went %v by those who recover", got)
		}
	})
}

// TestCloseWithdraws: a replica that leaves takes its vote with it, also one that
// is under way; so that it and another's later do not add up.
func TestCloseWithdraws(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		nodes := w.nodes(3, domain.CircuitBreaker{Quorum: 0.001})
		meet(nodes...)
		nodes[0].line.set(straying)
		nodes[0].calls(domain.DefaultFailureThreshold, domain.Failure)
		time.Sleep(time.Millisecond) // the report is under way, and slower than what follows it
		nodes[0].line.set(healthy)
		nodes[0].close()
		nodes[1].calls(domain.DefaultFailureThreshold, domain.Failure)
		time.Sleep(time.Second)
		if got := w.view().State; got != domain.StateClosed {
			t.Errorf("the fleet is %s by the vote of one who left", got)
		}
		nodes[2].calls(domain.DefaultFailureThreshold, domain.Failure)
		time.Sleep(time.Second)
		if got := w.view().State; got != domain.StateOpen {
			t.Errorf("the fleet is %s after two votes", got)
		}
	})
}

// TestCase55DifferentSettings: the same numbers decide whoever comes last, and
// the replica whose numbers do not is told once.
func TestCase55DifferentSettings(t *testing.T) {
	for _, newFirst := range []bool{true, false} {
		t.Run(fmt.Sprintf("new first %v", newFirst), func(t *testing.T) {
			inEachWorld(t, func(t *testing.T, w *world) {
				older := domain.CircuitBreaker{Version: 1, RecoveryTimeout: 7 * time.Second}
				newer := domain.CircuitBreaker{Version: 2, RecoveryTimeout: 11 * time.Second}
				a, b := w.node(older), w.node(newer)
				first, second := a, b
				if newFirst {
					first, second = b, a
				}
				for range 100 {
					_ = first.call(domain.Success)
					time.Sleep(100 * time.Millisecond)
					_ = second.call(domain.Success)
					time.Sleep(100 * time.Millisecond)
				}
				if a.count(domain.EventSettings) != 1 || b.count(domain.EventSettings) != 0 {
					t.Errorf("told %d times to the older, %d to the newer; want once, and not",
						a.count(domain.EventSettings), b.count(domain.EventSettings))
				}
				a.line.set(refusing) // an error says nothing about settings
				time.Sleep(50 * time.Millisecond)
				a.calls(domain.DefaultFailureThreshold, domain.Failure)
				time.Sleep(3 * time.Second)
				a.line.set(healthy)
				time.Sleep(2 * time.Second)
				b.calls(domain.DefaultFailureThreshold, domain.Failure)
				synctest.Wait()
				if v := w.view(); v.State != domain.StateOpen || v.For != 11*time.Second {
					t.Errorf("the fleet is %s for %s; want open as the newer says", v.State, v.For)
				}
				if a.count(domain.EventSettings) != 1 {
					t.Errorf("told %d times", a.count(domain.EventSettings))
				}
			})
		})
	}
}

// TestUpdateReachesTheFleet: rule L10. A new version's numbers decide as soon as
// one replica has them.
func TestUpdateReachesTheFleet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		nodes := w.nodes(2, domain.CircuitBreaker{Version: 1})
		meet(nodes...)
		p := nodes[0].Policy()
		p.Version, p.RecoveryTimeout = 2, 3*time.Second
		if err := nodes[0].Update(p); err != nil {
			t.Fatal(err)
		}
		trip(nodes...)
		if v := w.view(); v.State != domain.StateOpen || v.For != 3*time.Second {
			t.Errorf("the fleet is %s for %s; want open for 3 s", v.State, v.For)
		}
	})
}

// TestGarbagePushed: what is not a view changes nothing, and makes no store call.
func TestGarbagePushed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		pushes := make(chan port.View)
		n := w.node(domain.CircuitBreaker{})
		replica, err := fleet.Join(port.Stores{Breakers: n.line, Views: pusher{n.line, pushes}}, fleet.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer replica.Close(t.Context())
		b, err := replica.Breaker(domain.CircuitBreaker{Name: breakerName})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			permit, err := b.Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			permit.Report(domain.Success)
			time.Sleep(3 * time.Second)
		}
		synctest.Wait()
		before := b.Status()
		n.line.count()
		for _, v := range []port.View{{}, {State: domain.StateOpen, For: time.Hour}, {Epoch: 1, State: domain.StateOpen, For: time.Hour}, {Fresh: true}} {
			pushes <- v
			synctest.Wait()
		}
		after := b.Status()
		after.Calls = before.Calls // the oldest may have left the window
		if after != before || n.line.count() != (traffic{}) {
			t.Errorf("garbage changed %+v to %+v", before, after)
		}
	})
}

// A pusher pushes what a test says.
type pusher struct {
	*line
	pushes <-chan port.View
}

func (p pusher) Watch(ctx context.Context, onView func(port.ID, port.View)) error {
	for {
		select {
		case v := <-p.pushes:
			onView(port.ID{Name: breakerName}, v)
			onView(port.ID{Name: "nobody"}, v)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
