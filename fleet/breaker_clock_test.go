package fleet_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/store/memory"
)

// Rule L11 for an open breaker: when the store's clock steps back behind the
// time at which it opened, a view that is read says each time that all of the
// open time is still to come, since reading begins nothing anew. A replica goes
// by the end that it knew: it asks for a probe then, and that does.
func TestTheStoresClockStepsBackWhileOpen(t *testing.T) {
	for _, step := range []time.Duration{-time.Second, -time.Minute, -time.Hour, time.Hour} {
		t.Run(step.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				clock := &storeClock{start: time.Now()}
				w := makeWorld(t, func() port.Stores { return memory.New(memory.Options{Now: clock.now}).Stores() })
				w.now = clock.now
				const recovery = 4 * time.Second
				nodes := w.nodes(3, domain.CircuitBreaker{RecoveryTimeout: recovery})
				trip(nodes...)
				for _, n := range nodes {
					n.wantFleet(domain.StateOpen)
				}
				clock.move(step)
				start := time.Now()
				for w.view().State != domain.StateClosed {
					if waited := time.Since(start); waited > 4*recovery {
						t.Fatalf("it is %s after %v: %+v", w.view().State, waited, nodes[0].Status())
					}
					for _, n := range nodes {
						n.calls(1, domain.Success)
					}
					time.Sleep(50 * time.Millisecond)
				}
			})
		})
	}
}
