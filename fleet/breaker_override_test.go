package fleet_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet"
)

// ordering is a line for orders that replicas bring. Nobody but they uses it.
type ordering struct{ *line }

func (l ordering) Order(ctx context.Context, in []port.Order, out []port.OrderReply) {
	execute, err := l.pass(ctx, func(*traffic) {})
	if execute {
		s, _ := l.world.stores()
		s.Operator.Order(context.WithoutCancel(ctx), in, out)
	}
	l.end(ctx)
	if err != nil {
		for i := range out {
			out[i] = port.OrderReply{Err: &domain.StoreError{Op: "order", Name: in[i].Breaker.Name, Err: err}}
		}
	}
}

func (ordering) Explain(context.Context, port.ID) (s breaker.Snapshot, err error) {
	return s, errors.ErrUnsupported
}

func (ordering) Records(context.Context, port.ID) ([]breaker.Record, error) {
	return nil, errors.ErrUnsupported
}

func (ordering) Breakers(context.Context) ([]port.ID, error) { return nil, errors.ErrUnsupported }

// order is an operator's word, straight to the store.
func (w *world) order(o breaker.Order) (serial uint64) {
	w.tb.Helper()
	s, _ := w.stores()
	var out [1]port.OrderReply
	s.Operator.Order(context.Background(), []port.Order{{Breaker: port.ID{Name: breakerName}, Order: o}}, out[:])
	if out[0].Err != nil {
		w.tb.Fatal(out[0].Err)
	}
	return out[0].Serial
}

func (w *world) force(f domain.Force, lasting time.Duration) {
	w.tb.Helper()
	w.order(breaker.Order{Force: f, ForMicro: lasting.Microseconds(), By: "ann", Reason: "a drill"})
	synctest.Wait()
}

// TestCase28ForcedOpen: every call is refused, a probe too, by all replicas at once;
// when it is over the breaker is what it was underneath.
func TestCase28ForcedOpen(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		nodes := w.nodes(3, domain.CircuitBreaker{})
		trip(nodes...)
		w.force(domain.ForceOpen, time.Minute)
		for range 2 {
			for _, n := range nodes {
				n.wantState(domain.StateOpen, domain.ScopeOperator)
				err := n.call(domain.Success)
				wantOpen(t, err, domain.ScopeOperator, time.Nanosecond, time.Minute)
				if said, _ := errors.AsType[*domain.CircuitOpenError](err); said == nil || said.Reason != "a drill" {
					t.Errorf("refused: %v; want the operator's reason in it", err)
				}
			}
			time.Sleep(40 * time.Second) // past the recovery time: a probe would be due
		}
		if given, _ := w.leases(); given != 0 {
			t.Errorf("%d probes went out while an operator forbade them", given)
		}
		for _, n := range nodes { // it ended 20 s ago
			n.wantState(domain.StateOpen, domain.ScopeFleet)
			if got := n.count(domain.EventOverride); got != 2 {
				t.Errorf("%d events of an override; want its begin and its end", got)
			}
		}
		nodes[0].patient().Report(domain.Success)
		nodes[1].patient().Report(domain.Success)
		time.Sleep(time.Second)
		for _, n := range nodes {
			n.wantState(domain.StateClosed, domain.ScopeReplica)
			n.wantEvents()
		}
	})
}

// TestForced: what passes, is counted, votes and opens under each force, while every
// call fails; and what a call meets when the force has ended.
func TestForced(t *testing.T) {
	for _, tt := range []struct {
		force       domain.Force
		passed      int   // of 30 calls by two replicas each
		counted     int64 // by each of them
		underneath  domain.State
		turns       int // of the local layer, that were told
		callsTillIt int // how many further failures pass, once it is over
	}{
		{domain.ForceClosed, 60, 30, domain.StateClosed, 0, 1}, // the row that was counted is long enough
		{domain.ForceDisabled, 60, 0, domain.StateClosed, 0, 5},
		{domain.ForceMetricsOnly, 60, 0, domain.StateOpen, 2, 0}, // the layer tripped, and was taken over
	} {
		t.Run(tt.force.String(), func(t *testing.T) {
			inEachWorld(t, func(t *testing.T, w *world) {
				nodes := w.nodes(2, domain.CircuitBreaker{})
				meet(nodes...)
				time.Sleep(domain.DefaultWindow)
				w.force(tt.force, 8*time.Second)
				passed := 0
				for range 30 {
					for _, n := range nodes {
						passed += n.calls(1, domain.Failure)
					}
				}
				time.Sleep(time.Second)
				synctest.Wait()
				if passed != tt.passed {
					t.Errorf("%d calls passed; want %d", passed, tt.passed)
				}
				for _, n := range nodes {
					n.wantState(domain.StateClosed, domain.ScopeOperator)
					n.wantFleet(tt.underneath)
					if got := n.Status().Calls; got != tt.counted {
						t.Errorf("%d calls were counted; want %d", got, tt.counted)
					}
					if got := n.told(domain.ScopeReplica); len(got) != tt.turns {
						t.Errorf("the local layer told %v; want %d turns", got, tt.turns)
					}
				}
				time.Sleep(10 * time.Second)
				if got := nodes[0].calls(10, domain.Failure); got != tt.callsTillIt {
					t.Errorf("afterwards %d failures passed; want %d", got, tt.callsTillIt)
				}
			})
		})
	}
}

// TestForcedClosedWhileOpen: an open breaker lets calls pass, and is open again when
// the operator ends it before its time.
func TestForcedClosedWhileOpen(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		nodes := w.nodes(2, domain.CircuitBreaker{})
		trip(nodes...)
		w.force(domain.ForceClosed, time.Hour)
		if got := nodes[0].calls(10, domain.Success); got != 10 {
			t.Errorf("%d of 10 calls passed", got)
		}
		w.order(breaker.Order{By: "ann"})
		synctest.Wait()
		wantOpen(t, nodes[0].call(domain.Success), domain.ScopeFleet, time.Second, 30*time.Second)
	})
}

// TestOverrideReachesAll: by a push at once; where pushes are lost within MaxStaleness,
// and where nothing was called for long before the first call.
func TestOverrideReachesAll(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		nodes := w.nodes(3, domain.CircuitBreaker{})
		nodes[1].line.setDeaf(true)
		meet(nodes[0], nodes[1])
		time.Sleep(2 * time.Minute)
		meet(nodes[1])
		w.force(domain.ForceOpen, time.Hour)
		nodes[0].wantState(domain.StateOpen, domain.ScopeOperator)
		nodes[1].wantState(domain.StateClosed, domain.ScopeReplica)
		time.Sleep(fleet.DefaultMaxStaleness)
		nodes[1].wantState(domain.StateOpen, domain.ScopeOperator)
		wantOpen(t, nodes[2].call(domain.Success), domain.ScopeOperator, 59*time.Minute, time.Hour)
		wantOpen(t, w.node(domain.CircuitBreaker{}).call(domain.Success), domain.ScopeOperator, 59*time.Minute, time.Hour)
	})
}

// TestOverrideWithoutStore: it runs to its own end on the replica's clock, and no
// further.
func TestOverrideWithoutStore(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		n := w.node(domain.CircuitBreaker{})
		meet(n)
		w.force(domain.ForceOpen, time.Minute)
		n.line.set(refusing)
		time.Sleep(59 * time.Second)
		wantOpen(t, n.call(domain.Success), domain.ScopeOperator, time.Nanosecond, time.Second)
		time.Sleep(time.Second)
		if err := n.call(domain.Success); err != nil {
			t.Errorf("after its end: %v", err)
		}
	})
}

// TestOverrideOutlivesAFlush: a replica that knows it brings it again, with what is
// left of its time; and one that was cut off does not bring back what was ended
// meanwhile.
func TestOverrideOutlivesAFlush(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		nodes := w.nodes(2, domain.CircuitBreaker{})
		meet(nodes...)
		w.force(domain.ForceOpen, time.Hour)
		time.Sleep(10 * time.Minute)
		meet(nodes...)
		w.flush()
		time.Sleep(2 * fleet.DefaultMaxStaleness)
		got := w.view().Order
		if got.Force != domain.ForceOpen || got.By != "ann" || got.Reason != "a drill" || micros(got.ForMicro) > 50*time.Minute {
			t.Errorf("after a flush: %+v; want the order with less than 50 minutes left", got)
		}
		wantOpen(t, w.node(domain.CircuitBreaker{}).call(domain.Success), domain.ScopeOperator, 49*time.Minute, 50*time.Minute)

		nodes[1].line.set(refusing)
		w.order(breaker.Order{By: "bob"})
		synctest.Wait()
		w.flush()
		nodes[1].line.set(healthy)
		time.Sleep(10 * time.Second)
		for i, n := range nodes {
			if err := n.call(domain.Success); err != nil {
				t.Errorf("replica %d, after the order was ended and all was lost: %v", i, err)
			}
		}
	})
}

func micros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

// TestReset: both layers begin afresh, also where a replica's own trouble opened
// them.
func TestReset(t *testing.T) {
	inEachWorld(t, func(_ *testing.T, w *world) {
		nodes := w.nodes(3, domain.CircuitBreaker{})
		trip(nodes[:2]...)
		meet(nodes[2])
		w.order(breaker.Order{Reset: true, By: "ann", Reason: "mended"})
		synctest.Wait()
		for _, n := range nodes {
			n.wantState(domain.StateClosed, domain.ScopeReplica)
		}
		nodes[2].calls(domain.DefaultFailureThreshold, domain.LocalFailure)
		nodes[2].wantState(domain.StateOpen, domain.ScopeReplica)
		w.order(breaker.Order{Reset: true, By: "ann", Reason: "mended again"})
		synctest.Wait()
		for _, n := range nodes {
			n.wantState(domain.StateClosed, domain.ScopeReplica)
			n.wantEvents()
		}
	})
}
