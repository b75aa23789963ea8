package fleet_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet"
)

// named are replicas that operators can tell apart: "a", "b" and so on.
func (w *world) named(count int, p domain.CircuitBreaker) []*node {
	w.tb.Helper()
	nodes := make([]*node, count)
	for i := range nodes {
		nodes[i] = w.nodeWith(p, fleet.Config{ID: string(rune('a' + i))})
	}
	return nodes
}

// votes are what each replica is seen to say, by its ID.
func (w *world) votes() map[string]breaker.Vote {
	w.tb.Helper()
	s, _ := w.stores()
	all, err := s.Operator.Explain(w.tb.Context(), port.ID{Name: breakerName})
	if err != nil {
		w.tb.Fatal(err)
	}
	votes := make(map[string]breaker.Vote)
	for _, v := range all.Votes {
		id, _, _ := strings.Cut(v.Replica, "-")
		votes[id] = v
	}
	return votes
}

// goOn has nodes make a call a second for that long.
func goOn(lasting time.Duration, nodes ...*node) {
	for range int(lasting / time.Second) {
		for _, n := range nodes {
			n.calls(1, domain.Success)
		}
		time.Sleep(time.Second)
	}
	synctest.Wait()
}

// TestOwnTroubleIsSeen: a replica whose own layer is open by its own trouble is seen to
// differ from the fleet, as long as that is so, and counts for nothing.
func TestOwnTroubleIsSeen(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		nodes := w.named(3, domain.CircuitBreaker{})
		meet(nodes...)
		nodes[0].calls(domain.DefaultFailureThreshold, domain.LocalFailure)
		for range 2 { // and until its layer lets calls through again
			goOn(11*time.Second, nodes[1:]...)
			got := w.votes()
			if a := got["a"]; !a.Open || a.Bad || a.Weight != 0 || a.ForMicro == 0 || a.Last != breaker.TroubleOwn {
				t.Errorf("the replica in trouble says %+v; want that it is open, by its own trouble, and no weight", a)
			}
			if got["b"].Open || got["c"].Open {
				t.Errorf("others are open, too: %+v", got)
			}
		}
		nodes[1].wantFleet(domain.StateClosed)
		time.Sleep(10 * time.Second)
		goOn(10*time.Second, nodes...)
		if a := w.votes()["a"]; a.Open || a.Weight == 0 {
			t.Errorf("after it recovered it says %+v", a)
		}
	})
}

// TestOldEvidenceIsSeen: what a replica saw of the dependency counts for a window; that its
// own layer is open for longer is seen. It takes one report.
func TestOldEvidenceIsSeen(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		nodes := w.named(2, domain.CircuitBreaker{})
		meet(nodes...)
		nodes[0].calls(domain.DefaultFailureThreshold, domain.Failure)
		synctest.Wait()
		if a := w.votes()["a"]; !a.Open || !a.Bad {
			t.Errorf("it tripped, and says %+v", a)
		}
		nodes[0].line.count()
		goOn(13*time.Second, nodes[1])
		if a := w.votes()["a"]; !a.Open || a.Bad || a.Weight != 0 || a.ForMicro < 15_000_000 {
			t.Errorf("a window later it says %+v", a)
		}
		goOn(15*time.Second, nodes[1])
		if sent := nodes[0].line.count().reports; sent != 1 {
			t.Errorf("it took %d reports; want 1", sent)
		}
		goOn(20*time.Second, nodes[1])
		if a, said := w.votes()["a"]; said {
			t.Errorf("nobody calls, and long after its end it says %+v", a)
		}
	})
}

// TestOwnTroubleIsSeenAfterATrip: the fleet's trip and recovery void what it told, and it
// is told again.
func TestOwnTroubleIsSeenAfterATrip(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		nodes := w.named(3, domain.CircuitBreaker{})
		meet(nodes...)
		nodes[0].calls(domain.DefaultFailureThreshold, domain.LocalFailure)
		time.Sleep(30 * time.Second)
		nodes[0].calls(1, domain.LocalFailure) // now for a minute
		for _, n := range nodes[1:] {
			n.calls(domain.DefaultFailureThreshold, domain.Failure)
		}
		synctest.Wait()
		nodes[1].wantFleet(domain.StateOpen)
		if got := w.votes(); len(got) != 0 {
			t.Errorf("of a fleet that is open they say %+v", got)
		}
		time.Sleep(30 * time.Second)
		for _, n := range nodes[1:] {
			n.patient().Report(domain.Success)
		}
		synctest.Wait()
		nodes[0].wantFleet(domain.StateClosed)
		goOn(5*time.Second, nodes[1:]...)
		if a := w.votes()["a"]; !a.Open || a.Bad || a.ForMicro == 0 {
			t.Errorf("after the fleet closed the replica in trouble says %+v", a)
		}
	})
}

// TestHoldingOpenIsSeen: after the fleet's state was lost, replicas that hold their own layer
// open are seen to, also if nobody calls.
func TestHoldingOpenIsSeen(t *testing.T) {
	inEachWorld(t, func(t *testing.T, w *world) {
		nodes := w.named(3, domain.CircuitBreaker{})
		trip(nodes...)
		nodes[0].wantFleet(domain.StateOpen)
		w.flush()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		votes := w.votes()
		for i, n := range nodes {
			n.wantState(domain.StateOpen, domain.ScopeReplica)
			if v := votes[string(rune('a'+i))]; !v.Open || v.Bad || v.ForMicro == 0 {
				t.Errorf("replica %d says %+v", i, v)
			}
		}
	})
}
