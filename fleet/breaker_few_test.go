package fleet_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/domain"
)

// The two ways in which fewer sick replicas than it looks like open a fleet, as
// docs/wrongly-open.md states them: who makes the rules stricter changes that page.

// TestTwoLivesOfOneReplica: a replica that is killed with its vote and starts again within
// Window is another one to the fleet. Its two votes open a fleet of three, not of four.
func TestTwoLivesOfOneReplica(t *testing.T) {
	for healthy, want := range map[int]domain.State{2: domain.StateOpen, 3: domain.StateClosed} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			all := w.nodes(healthy+1, domain.CircuitBreaker{})
			for range 3 {
				for _, n := range all {
					n.calls(domain.DefaultMinCalls, domain.Success)
				}
				meet(all...)
			}
			first := all[0]
			first.calls(domain.DefaultFailureThreshold, domain.Failure)
			synctest.Wait()
			first.line.set(hanging) // killed
			second := w.node(domain.CircuitBreaker{})
			second.calls(1, domain.Success)
			second.calls(domain.DefaultFailureThreshold, domain.Failure)
			synctest.Wait()
			if got := w.view().State; got != want {
				t.Errorf("two votes of one replica beside %d that are well: %s; want %s", healthy, got, want)
			}
		})
	}
}

// TestTwoJustAfterClosing: when the fleet has closed, nobody's window holds anything, and
// two replicas that fail at once are half of all that is said, of ten. With ten calls a
// second each they are not from the second after on, nor a window later.
func TestTwoJustAfterClosing(t *testing.T) {
	for later, want := range map[time.Duration]domain.State{
		0: domain.StateOpen, 1100 * time.Millisecond: domain.StateClosed, 2 * time.Second: domain.StateClosed, domain.DefaultWindow: domain.StateClosed,
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			all := w.nodes(10, domain.CircuitBreaker{})
			trip(all...)
			time.Sleep(domain.DefaultRecoveryTimeout)
			for w.view().State != domain.StateClosed {
				for _, n := range all {
					_ = n.call(domain.Success)
				}
				time.Sleep(10 * time.Millisecond)
			}
			for end := time.Now().Add(later); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
				for _, n := range all {
					n.calls(1, domain.Success)
				}
			}
			for _, n := range all[:2] {
				n.calls(domain.DefaultFailureThreshold, domain.Failure)
			}
			synctest.Wait()
			if got := w.view().State; got != want {
				t.Errorf("two of ten, %v after closing: %s; want %s", later, got, want)
			}
		})
	}
}
