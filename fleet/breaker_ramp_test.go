package fleet_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet"
)

// ramped is a breaker whose admission rises for 30 s.
func ramped() domain.CircuitBreaker {
	return domain.CircuitBreaker{Ramp: 30 * time.Second, RecoveryTimeout: 5 * time.Second}
}

// climbers are replicas with buckets beside their breaker.
func (w *world) climbers(count int, p domain.CircuitBreaker) []*node {
	w.tb.Helper()
	nodes := make([]*node, count)
	for i := range nodes {
		l := &line{world: w}
		nodes[i] = w.nodeOn(port.Stores{Breakers: l, Views: l, Operator: ordering{l}, Buckets: w.store.Buckets}, p, fleet.Config{})
		nodes[i].line = l
	}
	return nodes
}

// callsFor has each replica make 50 calls a second for that long, and counts those that
// passed.
func callsFor(lasting time.Duration, o domain.Outcome, nodes ...*node) (passed int) {
	for range int(lasting / (20 * time.Millisecond)) {
		for _, n := range nodes {
			passed += n.calls(1, o)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return passed
}

// recovered trips a fleet that made 200 calls a second, and lets it recover.
func (w *world) recovered(nodes ...*node) {
	w.tb.Helper()
	callsFor(20*time.Second, domain.Success, nodes...)
	for _, n := range nodes {
		n.calls(domain.DefaultFailureThreshold, domain.Failure)
	}
	synctest.Wait()
	for _, n := range nodes {
		n.wantState(domain.StateOpen, domain.ScopeFleet)
	}
	time.Sleep(5 * time.Second)
	nodes[0].patient().Report(domain.Success)
	nodes[1].patient().Report(domain.Success)
	synctest.Wait()
	for _, n := range nodes {
		n.wantFleet(domain.StateClosed)
	}
}

// TestRamp: after closing, all replicas together are let through 5, 25 and 50 % of the
// calls that the fleet made before, for ten seconds each, then all of them; without a
// ramp all at once.
func TestRamp(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		nodes := w.climbers(4, ramped())
		w.recovered(nodes...)
		base := w.view().Base
		if base < 180 || base > 200 { // each replica told of a window some time ago
			t.Errorf("it is of %d calls a second; want about 200", base)
		}
		for i, percent := range []int64{5, 25, 50} {
			want, most := int(base*percent/10), int(base*percent/10+base*percent/200) // in 10 s; with the burst
			if passed := callsFor(10*time.Second, domain.Success, nodes...); passed < want*8/10 || passed > most+len(nodes) {
				t.Errorf("step %d: %d calls passed in 10 s; want %d to %d", i, passed, want, most)
			}
		}
		if passed := callsFor(10*time.Second, domain.Success, nodes...); passed != 2000 {
			t.Errorf("afterwards %d of 2000 calls passed", passed)
		}
		for _, n := range nodes {
			if got := n.count(domain.EventSettings); got != 0 {
				t.Errorf("%d events of settings that differ", got)
			}
			if s := n.Status(); s.Ramp != 0 || s.State != domain.StateClosed {
				t.Errorf("afterwards %+v", s)
			}
			n.wantEvents()
		}
	})
}

func TestNoRamp(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		p := ramped()
		p.Ramp = 0
		nodes := w.climbers(4, p)
		w.recovered(nodes...)
		if passed := callsFor(time.Second, domain.Success, nodes...); passed != 200 {
			t.Errorf("%d of 200 calls passed", passed)
		}
	})
}

// TestRampTripsAgain: what fails while it rises opens it again, and the next ramp is of
// as many calls as the first one.
func TestRampTripsAgain(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		nodes := w.climbers(4, ramped())
		w.recovered(nodes...)
		callsFor(12*time.Second, domain.Success, nodes...)
		for start := time.Now(); nodes[0].Status().Fleet != domain.StateOpen && time.Since(start) < 5*time.Second; {
			callsFor(100*time.Millisecond, domain.Failure, nodes...)
		}
		time.Sleep(5 * time.Second)
		nodes[0].patient().Report(domain.Success)
		nodes[1].patient().Report(domain.Success)
		synctest.Wait()
		if v := w.view(); v.Base < 180 || v.Base > 200 || v.State != domain.StateClosed {
			t.Errorf("the second ramp: %+v; want one of 200 calls a second", v)
		}
	})
}

// TestRampAndOperators: what an operator forces does not wait for it, and a reset ends it.
func TestRampAndOperators(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		nodes := w.climbers(4, ramped())
		w.recovered(nodes...)
		w.force(domain.ForceDisabled, time.Second)
		if passed := callsFor(time.Second, domain.Success, nodes...); passed != 200 {
			t.Errorf("disabled: %d of 200 calls passed", passed)
		}
		w.force(domain.ForceMetricsOnly, time.Second)
		if passed := callsFor(time.Second, domain.Success, nodes...); passed != 200 {
			t.Errorf("metrics only: %d of 200 calls passed", passed)
		}
		if passed := callsFor(time.Second, domain.Success, nodes...); passed > 30 {
			t.Errorf("afterwards: %d of 200 calls passed; want the ramp's 10 or so", passed)
		}
		w.order(breaker.Order{Reset: true, By: "ann", Reason: "all is well"})
		synctest.Wait()
		if passed := callsFor(time.Second, domain.Success, nodes...); passed != 200 {
			t.Errorf("after a reset: %d of 200 calls passed", passed)
		}
	})
}

// TestRampStepsBeginInTime: who was told to come back later than the next step begins is
// not held up by that: what it admits is had at once.
func TestRampStepsBeginInTime(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		nodes := w.climbers(8, ramped())
		w.recovered(nodes...)
		begin := time.Now()
		base := w.view().Base
		for _, percent := range []int64{25, 50} {
			begin = begin.Add(10 * time.Second)
			callsFor(time.Until(begin), domain.Success, nodes...)
			want := int(base * percent * 3 / 1000)
			if passed := callsFor(300*time.Millisecond, domain.Success, nodes...); passed < want*8/10 {
				t.Errorf("at %d %%: %d calls passed in the first 0.3 s; want %d", percent, passed, want)
			}
		}
	})
}

// TestRampClosed: a closed replica keeps nothing of a ramp.
func TestRampClosed(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		nodes := w.climbers(2, ramped())
		w.recovered(nodes...)
		callsFor(time.Second, domain.Success, nodes...)
		if kept := fleet.Kept(nodes[0].replica); kept["ramps"] != 1 {
			t.Fatalf("it keeps %v; want a ramp", kept)
		}
		nodes[0].close()
		if kept := fleet.Kept(nodes[0].replica); kept["ramps"] != 0 || kept["lanes"] != 0 {
			t.Errorf("it keeps %v", kept)
		}
	})
}

// TestRampNeedsBuckets: on a store without them it is refused.
func TestRampNeedsBuckets(t *testing.T) {
	w := newWorld(t)
	replica, err := fleet.Join(port.Stores{Breakers: &line{world: w}, Views: &line{world: w}}, fleet.Config{})
	if err != nil {
		t.Fatal(err)
	}
	p := ramped()
	p.Name = breakerName
	if _, err := replica.Breaker(p); err == nil {
		t.Error("a ramp without buckets was made")
	}
	p.Ramp = 0
	b, err := replica.Breaker(p)
	if err != nil {
		t.Fatal(err)
	}
	p.Ramp = time.Second
	if err := b.Update(p); err == nil {
		t.Error("a ramp without buckets was taken")
	}
}
