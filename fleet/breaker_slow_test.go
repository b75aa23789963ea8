package fleet_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
)

// takes makes calls that succeed after so long.
func (n *node) takes(count int, d time.Duration) (passed int) {
	for range count {
		if permit, err := n.Acquire(context.Background()); err == nil {
			passed++
			time.Sleep(d)
			permit.Report(domain.Success)
		}
	}
	return passed
}

// Case 24: calls that succeed, but slowly, open the breaker of a whole fleet; slow probes
// keep it open, and quick ones close it.
func TestCase24SlowCallsOpenTheFleet(t *testing.T) {
	inEachWorld(t, func(_ *testing.T, w *world) {
		nodes := w.nodes(3, domain.CircuitBreaker{
			SlowAfter: 100 * time.Millisecond, SlowRatio: 0.5, MinCalls: 10, RecoveryTimeout: time.Second, SuccessThreshold: 1,
		})
		meet(nodes...)
		for _, n := range nodes[:2] {
			n.takes(6, 100*time.Millisecond)
			n.wantState(domain.StateClosed, domain.ScopeReplica)
		}
		for _, n := range nodes[:2] {
			n.takes(10, 101*time.Millisecond)
		}
		time.Sleep(500 * time.Millisecond)
		for _, n := range nodes {
			n.wantState(domain.StateOpen, domain.ScopeFleet)
		}
		time.Sleep(time.Second)
		for _, n := range nodes[:2] {
			probe := n.patient()
			time.Sleep(200 * time.Millisecond)
			probe.Report(domain.Success)
		}
		time.Sleep(100 * time.Millisecond)
		nodes[2].wantFleet(domain.StateOpen)
		for range 200 {
			for _, n := range nodes {
				n.takes(1, 10*time.Millisecond)
			}
			if nodes[2].Status().Fleet == domain.StateClosed {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		nodes[0].wantFleet(domain.StateClosed)
	})
}

// A fleet whose replicas each see little: under ShareAggregate three failing calls of each
// are enough, and one busy sick replica is not, however busy it is.
func TestFleetsThatEachSeeLittle(t *testing.T) {
	for _, tt := range []struct {
		sharing  domain.Sharing
		replicas int
		sick     int
		calls    int // that fail, of each sick replica
		opens    bool
	}{
		{domain.ShareAggregate, 20, 20, 3, true},
		{domain.ShareAggregate, 8, 8, 3, true},
		{domain.ShareQuorum, 8, 8, 3, false}, // too little is known
		{domain.ShareAggregate, 20, 1, 500, false},
		{domain.ShareAggregate, 20, 1, 3, false},
		{domain.ShareAggregate, 20, 4, 3, false},
	} {
		t.Run(fmt.Sprintf("%s, %d of %d with %d", tt.sharing, tt.sick, tt.replicas, tt.calls), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				nodes := w.nodes(tt.replicas, domain.CircuitBreaker{FailureRatio: 0.5, Sharing: tt.sharing, Window: 10 * time.Second})
				meet(nodes...)
				time.Sleep(10 * time.Second) // what it was met with is forgotten
				for i, n := range nodes {
					if i < tt.sick {
						n.calls(tt.calls, domain.Failure)
					} else {
						n.calls(3, domain.Success)
					}
				}
				time.Sleep(6 * time.Second) // regular reports
				want := domain.StateClosed
				if tt.opens {
					want = domain.StateOpen
				}
				nodes[tt.replicas-1].wantFleet(want)
			})
		})
	}
}

// Where no call can be slow, nobody looks at a clock for it; where they can, a call costs
// no memory.
func TestSlowCallsCostNoMemory(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	w := newWorld(t)
	n := w.node(domain.CircuitBreaker{SlowAfter: time.Second, SlowRatio: 0.5, Sharing: domain.ShareLocal})
	_ = n.call(domain.Success)
	if got := testing.AllocsPerRun(1000, func() { _ = n.call(domain.Success) }); got != 0 {
		t.Errorf("%v allocations a call", got)
	}
	n.close()
}

// Of calls that began before slow ones counted nobody knows how long they took.
func TestCallsBeforeSlowOnesCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p := domain.CircuitBreaker{Sharing: domain.ShareLocal, MinCalls: 5}
		n := w.node(p)
		permits := make([]fleet.Permit, 10)
		for i := range permits {
			permits[i] = n.patient()
		}
		time.Sleep(time.Hour)
		p.SlowAfter, p.SlowRatio, p.Name = time.Second, 0.5, breakerName
		if err := n.Update(p); err != nil {
			t.Fatal(err)
		}
		for _, permit := range permits {
			permit.Report(domain.Success)
		}
		if s := n.Status(); s.State != domain.StateClosed || s.Slow != 0 {
			t.Errorf("%+v; want no slow call", s)
		}
	})
}
