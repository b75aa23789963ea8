package fleet_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
)

var shareEvents = []domain.EventKind{domain.EventShareExceeded, domain.EventShareRestored}

// Up to exactly the share that may be open, open keys refuse all; one more, and all of
// them let a probe through, until they are few enough again. Both edges are told once.
func TestShareThatMayBeOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := joinKeyed(t, domain.CircuitBreaker{MaxOpenShare: 0.3, FailureThreshold: 1, RecoveryTimeout: 10 * time.Second})
		keys := names("k", 10)
		r.call(domain.Success, keys...)
		r.call(domain.Failure, keys[:3]...)
		time.Sleep(time.Second)
		for _, key := range keys[:3] {
			r.refuse(key, 9*time.Second)
		}
		synctest.Wait()
		r.wantTold(shareEvents)

		r.call(domain.Failure, keys[3])
		r.refuse(keys[3], time.Second) // it opened just now
		synctest.Wait()
		r.wantTold(shareEvents, "open share exceeded: 4 of 10 keys are open: they let probes through")
		for _, key := range keys[:3] { // a tenth of the recovery time ago
			probe := r.admit(key)
			r.refuse(key, 9*time.Second) // one at a time
			probe.Report(domain.Failure)
			r.refuse(key, time.Second)
			r.wantState("open", key)
		}
		time.Sleep(time.Second)
		r.call(domain.Success, keys[0])
		r.wantState("half-open", keys[0])
		r.wantKeys(10, 4) // half-open counts
		r.call(domain.Success, keys[0])
		r.wantState("closed", keys[0])
		r.wantKeys(10, 3)
		r.refuse(keys[1], 8*time.Second) // few enough are open again, and so they refuse all
		synctest.Wait()
		r.wantTold(shareEvents, "open share restored: 3 of 10 keys are open")
	})
}

// One key may always be open; and unless a share is given, all may.
func TestWithoutAShare(t *testing.T) {
	for share, open := range map[float64]int{0.001: 1, 0: 20, 1: 20} {
		synctest.Test(t, func(t *testing.T) {
			r := joinKeyed(t, domain.CircuitBreaker{MaxOpenShare: share, FailureThreshold: 1, RecoveryTimeout: 10 * time.Second})
			keys := names("k", open)
			r.call(domain.Failure, keys...)
			time.Sleep(time.Second)
			for _, key := range keys {
				r.refuse(key, 9*time.Second)
			}
			synctest.Wait()
			r.wantTold(shareEvents)
		})
	}
}

// The share is that of keys that were called in the last minute: those that were called
// earlier count neither as open nor as closed.
func TestShareOfKeysCalledLately(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := joinKeyed(t, domain.CircuitBreaker{MaxOpenShare: 0.5, FailureThreshold: 1, RecoveryTimeout: time.Hour})
		r.call(domain.Success, "a", "b", "c")
		time.Sleep(30 * time.Second)
		r.call(domain.Failure, "x", "y", "z")
		r.wantKeys(6, 3)
		time.Sleep(30*time.Second - 1)
		r.refuse("x", time.Hour-30*time.Second+1)
		time.Sleep(6 * time.Minute) // and so long is more than a tenth of the hour
		r.call(domain.Success, "d")
		r.wantKeys(1, 0)
		r.refuse("x", time.Hour-6*time.Minute-30*time.Second+1)
		r.wantKeys(2, 1)
		synctest.Wait()
		r.wantTold(shareEvents)
		r.call(domain.Failure, "d")
		r.wantKeys(2, 2)
		synctest.Wait()
		r.wantTold(shareEvents, "open share exceeded: 2 of 2 keys are open: they let probes through")
		r.call(domain.Success, "x") // let through
		time.Sleep(time.Minute)
		r.call(domain.Success, "e")
		synctest.Wait()
		r.wantTold(shareEvents, "open share restored: 0 of 1 keys are open")
	})
}

// When the trouble of all ends, all keys are closed again long before their time.
func TestCommonTroubleEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := joinKeyed(t, domain.CircuitBreaker{MaxOpenShare: 0.5, FailureThreshold: 1, Probes: 3, RecoveryTimeout: time.Minute})
		keys := names("k", 50)
		r.call(domain.Failure, keys...)
		passed := 0
		start := time.Now()
		for now := range 30 * 10 { // tenths of a second
			time.Sleep(100 * time.Millisecond)
			sick := now < 200
			for _, key := range keys {
				p, err := r.breaker.Acquire(t.Context(), key)
				switch {
				case err != nil:
				case sick:
					passed++
					p.Report(domain.Failure)
				default:
					p.Report(domain.Success)
				}
			}
		}
		r.wantState("closed", keys...)
		if passed != 3*len(keys) { // after 6, 12 and 18 s
			t.Errorf("in 20 s of trouble %d calls of %d keys went through; want 3 of each", passed, len(keys))
		}
		if took := time.Since(start); took > 30*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// What an operator opened stays shut, however many keys are open.
func TestOperatorsAreObeyedBeyondTheShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := joinKeyed(t, domain.CircuitBreaker{MaxOpenShare: 0.5, FailureThreshold: 1, RecoveryTimeout: 10 * time.Second})
		r.call(domain.Failure, "a", "b")
		time.Sleep(time.Second)
		_, err := r.breaker.RefusedBy(domain.ScopeOperator, "a")
		if after, _ := domain.RetryAfter(err); !errors.Is(err, domain.ErrCircuitOpen) || after != time.Hour {
			t.Errorf("shut by an operator: %v; want it refused as long as that says", err)
		}
		p, err := r.breaker.RefusedBy(domain.ScopeReplica, "a")
		if err != nil || p == (fleet.Permit{}) {
			t.Errorf("shut by its own layer: %v; want it let through", err)
		}
		p.Report(domain.Ignored)
		if kept := fleet.Kept(r.replica); kept["calls out"] != 0 {
			t.Errorf("%d calls are out", kept["calls out"])
		}
	})
}
