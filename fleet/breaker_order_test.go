package fleet_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/domain"
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
