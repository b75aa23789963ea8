package orchestrator_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
)

// A bulkhead refuses what it has no room for, counts nothing against the dependency, and
// has its room back after any end of a call.
func TestBulkheadStep(t *testing.T) {
	for _, everywhere := range []bool{false, true} {
		t.Run(map[bool]string{false: "local", true: "fleet"}[everywhere], func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var seen summaries
				o := newOrchestrator(t, orchestrator.Config{Observer: &seen})
				g := newGuard(t, o, "g", hold.Combine(
					hold.CircuitBreaker{}, hold.Bulkhead{MaxConcurrent: 2, Fleet: everywhere}, hold.Timeout{Duration: 5 * time.Second},
				))
				var all sync.WaitGroup
				for range 2 {
					all.Go(func() {
						_, _ = orchestrator.Do(t.Context(), g, func(context.Context) (int, error) {
							time.Sleep(time.Second)
							return 0, nil
						})
					})
				}
				synctest.Wait()
				_, err := orchestrator.Do(t.Context(), g, answer)
				full, ok := errors.AsType[*hold.BulkheadFullError](err)
				if !ok || full.Name != "g" || hold.Classify(err) != hold.Ignored || !hold.IsRetryable(err) {
					t.Errorf("error %v; want a full bulkhead", err)
				}
				if last := seen.all()[0]; last.RefusedBy != orchestrator.PartBulkhead || last.RefusedName != "g" || last.Attempts != 0 {
					t.Errorf("%+v; want that the bulkhead refused", last)
				}
				all.Wait()
				for _, end := range []func(){func() {}, func() { panic("boom") }, func() { panic("boom") }, func() {}} {
					func() {
						defer func() { _ = recover() }()
						_, _ = orchestrator.Do(t.Context(), g, func(context.Context) (int, error) { end(); return 0, nil })
					}()
				}
				b, err := o.Bulkhead(hold.Bulkhead{Name: "g", MaxConcurrent: 2, Fleet: everywhere})
				if err != nil || b.Status().Running != 0 {
					t.Errorf("%v, %+v; want nothing to run", err, b.Status())
				}
				wantClosed(t, o, "g", 6, 2)
			})
		})
	}
}

// Calls that wait for room go on when there is some; a changed bulkhead is in force for
// them, too, and one that cannot be changed changes nothing.
func TestBulkheadsOfGuards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{})
		g := newGuard(t, o, "g", hold.Bulkhead{MaxConcurrent: 1, MaxWait: time.Minute})
		start := time.Now()
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if _, err := orchestrator.Do(t.Context(), g, func(context.Context) (int, error) {
					time.Sleep(time.Second)
					return 0, nil
				}); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if err := o.Update("g", hold.Bulkhead{MaxConcurrent: 2, MaxWait: time.Minute}); err != nil {
			t.Fatal(err)
		}
		all.Wait()
		wantElapsed(t, start, 2*time.Second)
		if err := o.Update("g", hold.Bulkhead{MaxConcurrent: 2, Fleet: true}); !errors.Is(err, hold.ErrConflict) {
			t.Errorf("another kind of bulkhead: %v", err)
		}
		for want, p := range map[error]hold.Policy{
			hold.ErrConflict:      hold.Bulkhead{Name: "g", MaxConcurrent: 3},
			hold.ErrInvalidPolicy: hold.Combine(hold.Bulkhead{MaxConcurrent: 3}, hold.Bulkhead{MaxConcurrent: 3}),
		} {
			if _, err := o.Guard("h", p); !errors.Is(err, want) {
				t.Errorf("%v: %v; want %v", p, err, want)
			}
		}
		slow := hold.Bulkhead{Name: "slow", MaxConcurrent: 1, MaxWait: 20 * time.Second}
		if _, err := o.Guard("i", hold.Combine(hold.CircuitBreaker{}, slow, hold.Timeout{Duration: time.Second})); !errors.Is(err, hold.ErrInvalidPolicy) {
			t.Errorf("a probe that may wait for longer than its lease: %v", err)
		}
	})
}
