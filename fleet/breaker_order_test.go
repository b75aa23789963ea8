package fleet_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/store/memory"
)

// inShiftingWorld plays a test on a store whose clock it may move.
func inShiftingWorld(t *testing.T, test func(t *testing.T, w *world, clock *storeClock)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		clock := &storeClock{start: time.Now()}
		w := makeWorld(t, func() port.Stores { return memory.New(memory.Options{Now: clock.now}).Stores() })
		w.now = clock.now
		test(t, w, clock)
	})
}

// TestOverrideEndsAsItWasHeard: a store whose clock steps back says that all of it is
// still to come, and a replica goes by the end that it knew.
func TestOverrideEndsAsItWasHeard(t *testing.T) {
	inShiftingWorld(t, func(t *testing.T, w *world, clock *storeClock) {
		n := w.node(domain.CircuitBreaker{})
		meet(n)
		w.force(domain.ForceOpen, time.Minute)
		time.Sleep(50 * time.Second)
		clock.move(-time.Hour)
		_ = n.call(domain.Success) // in use, and so it reads
		time.Sleep(10 * time.Second)
		if err := n.call(domain.Success); err != nil {
			t.Errorf("after its end: %v", err)
		}
	})
}

// TestOrderOfALaterDay: one that the store takes for a mistake, since its clock stepped
// back and it lost all, is not brought for ever.
func TestOrderOfALaterDay(t *testing.T) {
	inShiftingWorld(t, func(t *testing.T, w *world, clock *storeClock) {
		n := w.node(domain.CircuitBreaker{})
		meet(n)
		w.force(domain.ForceOpen, time.Hour)
		clock.move(-48 * time.Hour)
		_ = n.call(domain.Success)
		w.flush()
		time.Sleep(2 * fleet.DefaultMaxStaleness)
		if err := n.call(domain.Success); err != nil {
			t.Errorf("by an order that cannot be: %v", err)
		}
	})
}

// TestOverrideThatIsOver: who hears of one after its end tells nothing of it.
func TestOverrideThatIsOver(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		meet(w.node(domain.CircuitBreaker{}))
		w.force(domain.ForceOpen, time.Second)
		time.Sleep(2 * time.Second)
		n := w.node(domain.CircuitBreaker{})
		meet(n)
		if got := n.count(domain.EventOverride); got != 0 {
			t.Errorf("%d events of an override that was over; want none", got)
		}
	})
}

// TestWordOfAnOrder: it costs one read, and no report; one that was lost before it could
// be read is not looked for any longer.
func TestWordOfAnOrder(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		n := w.node(domain.CircuitBreaker{})
		meet(n)
		n.line.count()
		w.force(domain.ForceMetricsOnly, time.Second)
		if got := n.line.count(); got != (traffic{reads: 1}) {
			t.Errorf("an order cost %+v; want one read", got)
		}
		n.line.setDelay(20 * time.Millisecond)
		w.force(domain.ForceOpen, time.Hour)
		w.flush()
		time.Sleep(2 * time.Minute)
		n.line.count()
		time.Sleep(time.Minute)
		if got := n.line.count(); got.all() != 0 {
			t.Errorf("a minute of an idle replica cost %+v; want nothing", got)
		}
	})
}

// TestOrderLostAlone: a store that fell back behind an order, and lost nothing else, is
// brought it by who reads, since while it is forced open nobody has anything to report.
func TestOrderLostAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores, server := onMiniredis(t)
		w := makeWorld(t, func() port.Stores { return stores })
		n := w.node(domain.CircuitBreaker{})
		meet(n)
		w.force(domain.ForceOpen, time.Hour)
		for _, key := range server.Keys() {
			if server.Type(key) == "hash" {
				server.HDel(key, "o")
			}
		}
		if got := w.view().Order; got.Serial != 0 {
			t.Fatalf("the order is still there: %+v", got)
		}
		_ = n.call(domain.Success)
		time.Sleep(2 * fleet.DefaultMaxStaleness)
		if got := w.view().Order; got.Force != domain.ForceOpen {
			t.Errorf("it has %+v; want what was lost", got)
		}
	})
}

// busyOrdering refuses orders that replicas bring, as long as it is to.
type busyOrdering struct {
	ordering

	refuses atomic.Bool
}

func (b *busyOrdering) Order(ctx context.Context, in []port.Order, out []port.OrderReply) {
	if !b.refuses.Load() {
		b.ordering.Order(ctx, in, out)
		return
	}
	for i := range out {
		out[i].Err = &domain.StoreError{Op: "order", Name: in[i].Breaker.Name, Entity: true, Err: errLine}
	}
}

// TestBringingGoesOn: what a store lost, and could not take at first, is brought again,
// also by a replica that has become idle meanwhile.
func TestBringingGoesOn(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		l := &line{world: w}
		busy := &busyOrdering{ordering: ordering{l}}
		n := w.nodeOn(port.Stores{Breakers: l, Views: l, Operator: busy}, domain.CircuitBreaker{}, fleet.Config{})
		n.line = l
		meet(n)
		w.force(domain.ForceOpen, time.Hour)
		_ = n.call(domain.Success)
		time.Sleep(58 * time.Second)
		busy.refuses.Store(true)
		w.flush()
		time.Sleep(10 * time.Second)
		busy.refuses.Store(false)
		time.Sleep(2 * fleet.DefaultMaxStaleness)
		if got := w.view().Order; got.Force != domain.ForceOpen {
			t.Errorf("the store has %+v; want what it lost", got)
		}
	})
}

// TestForcedIsMute: an opinion that a ratio makes is not told while an operator decides.
func TestForcedIsMute(t *testing.T) {
	for _, force := range []domain.Force{domain.ForceClosed, domain.ForceDisabled, domain.ForceOpen} {
		t.Run(force.String(), func(t *testing.T) {
			inEachWorld(t, func(t *testing.T, w *world) {
				nodes := w.nodes(2, domain.CircuitBreaker{FailureRatio: 0.5, FailureThreshold: 1000, MinCalls: 10})
				meet(nodes...)
				var early []fleet.Permit
				for range 20 {
					for _, n := range nodes {
						permit, err := n.Acquire(context.Background())
						if err != nil {
							t.Fatal(err)
						}
						early = append(early, permit)
					}
				}
				w.force(force, time.Minute)
				before := nodes[0].Status().Calls
				for _, permit := range early {
					permit.Report(domain.Failure)
				}
				for range 10 {
					for _, n := range nodes {
						_ = n.call(domain.Failure)
						time.Sleep(300 * time.Millisecond)
					}
				}
				synctest.Wait()
				if got := w.view().State; got != domain.StateClosed {
					t.Errorf("the fleet is %v", got)
				}
				if got := nodes[0].Status().Calls - before; force == domain.ForceDisabled && got != 0 {
					t.Errorf("disabled, %d calls were counted", got)
				}
			})
		})
	}
}

// TestResetIsAnOrderToo: it is told of by the state that it makes, and not as an override.
func TestResetIsAnOrderToo(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		nodes := w.nodes(2, domain.CircuitBreaker{})
		trip(nodes...)
		w.order(breaker.Order{Reset: true, By: "ann", Reason: "mended"})
		synctest.Wait()
		for _, n := range nodes {
			n.wantFleet(domain.StateClosed)
			if got := n.count(domain.EventOverride); got != 0 {
				t.Errorf("%d events of an override", got)
			}
		}
	})
}
