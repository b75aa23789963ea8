package fleet_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/domain"
)

// fails makes a call that fails, after which the dependency asks to be left alone.
func (n *node) fails(o domain.Outcome, wait time.Duration) {
	n.tb.Helper()
	permit, err := n.Acquire(context.Background())
	if err != nil {
		n.tb.Fatal(err)
	}
	permit.ReportAfter(o, wait)
}

// TestCase26LeftAlone: what the dependency asks a call for holds in the replica's layer
// and in the fleet's; of a call that did not fail, it says nothing.
func TestCase26LeftAlone(t *testing.T) {
	inEachWorld(t, func(_ *testing.T, w *world) {
		nodes := w.nodes(2, domain.CircuitBreaker{})
		meet(nodes...)
		nodes[0].fails(domain.Success, 4*time.Minute)
		nodes[0].fails(domain.LocalFailure, 4*time.Minute)
		nodes[0].calls(1, domain.Success)
		nodes[0].calls(domain.DefaultFailureThreshold, domain.Failure)
		nodes[0].wantRest(30 * time.Second)
		nodes[1].fails(domain.Failure, 2*time.Minute)
		nodes[1].calls(domain.DefaultFailureThreshold-1, domain.Failure)
		synctest.Wait()
		for _, n := range nodes {
			n.wantFleet(domain.StateOpen)
			n.wantRest(2 * time.Minute)
		}
		time.Sleep(2 * time.Minute)
		for _, n := range nodes {
			n.patient().ReportAfter(domain.Failure, 3*time.Minute)
		}
		synctest.Wait()
		for _, n := range nodes {
			n.wantFleet(domain.StateOpen)
			n.wantRest(3 * time.Minute)
		}
	})
}

// TestCase26LeftAloneByOne: the same where nothing is shared.
func TestCase26LeftAloneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newWorld(t).node(domain.CircuitBreaker{Sharing: domain.ShareLocal})
		n.fails(domain.Failure, 2*time.Minute)
		n.calls(domain.DefaultFailureThreshold-1, domain.Failure)
		n.wantRest(2 * time.Minute)
	})
}

// wantRest checks how long it stays open.
func (n *node) wantRest(want time.Duration) {
	n.tb.Helper()
	if got := n.Status().RetryAfter; got < want-time.Second || got > want+time.Second {
		n.tb.Errorf("it stays open for %v; want %v", got, want)
	}
}

// TestStagger: layers that are alone stay open for up to a tenth longer, by chance each
// time, and shared ones no longer than they are to.
func TestStagger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		policy := domain.CircuitBreaker{Sharing: domain.ShareLocal}
		lasts := make(map[time.Duration]bool)
		nodes := w.nodes(5, policy)
		for range 4 {
			for _, n := range nodes {
				n.calls(domain.DefaultFailureThreshold, domain.Failure)
				rest := n.Status().RetryAfter
				if rest < 30*time.Second || rest > 33*time.Second {
					t.Errorf("it stays open for %v; want 30 s to 33 s", rest)
				}
				lasts[rest] = true
			}
			time.Sleep(33 * time.Second)
			for _, n := range nodes {
				n.calls(domain.DefaultSuccessThreshold, domain.Success)
				n.wantState(domain.StateClosed, domain.ScopeReplica)
			}
		}
		if len(lasts) < 10 { // of 20: thousandths meet, and seldom more than a few
			t.Errorf("only %d lengths of 20: %v", len(lasts), lasts)
		}
		shared := w.node(domain.CircuitBreaker{})
		shared.calls(domain.DefaultFailureThreshold, domain.Failure)
		if rest := shared.Status().RetryAfter; rest != 30*time.Second {
			t.Errorf("a shared one stays open for %v", rest)
		}
	})
}
