package orchestrator_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
)

// Case 47: when everything fails, retries stay below the share of the calls and what the
// fleet has a second; every first try is made, and panics cost no more than they took.
func TestCase47RetryBudget(t *testing.T) {
	for name, tt := range map[string]struct {
		budget  hold.RetryBudget
		retries int // of 1,000 calls in 100 s
	}{
		"a tenth":             {hold.RetryBudget{Ratio: 0.1}, 100},
		"a floor":             {hold.RetryBudget{PerSecond: 2}, 2*100 + 2},
		"a tenth and a floor": {hold.RetryBudget{Ratio: 0.1, PerSecond: 2}, 100 + 2*100 + 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrchestrator(t, orchestrator.Config{})
				retry := exactly(3, time.Millisecond)
				retry.Budget = tt.budget
				g := newGuard(t, o, "g", retry)
				b := failing(errBackend)
				stopped := 0
				for range 1000 {
					_, err := orchestrator.Do(t.Context(), g, b.call)
					wantIs(t, err, errBackend)
					if empty, ok := errors.AsType[*hold.BudgetExhaustedError](err); ok {
						stopped++
						if empty.Name != "g" || hold.IsRetryable(err) {
							t.Fatalf("%+v, retryable %v", empty, hold.IsRetryable(err))
						}
					}
					time.Sleep(100*time.Millisecond - time.Duration(b.calls%3)*time.Millisecond)
				}
				if retries := b.calls - 1000; retries > tt.retries || retries < tt.retries*9/10 {
					t.Errorf("%d retries; want %d, or nearly", retries, tt.retries)
				}
				if stopped < 500 {
					t.Errorf("%d series were stopped", stopped)
				}
			})
		})
	}
}

// One budget bounds all guards that name it, and nested retries earn once.
func TestABudgetIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{})
		retry := exactly(10, time.Millisecond)
		retry.Budget = hold.RetryBudget{Name: "shared", Ratio: 0.5}
		one, other := newGuard(t, o, "one", retry), newGuard(t, o, "other", hold.Combine(retry, hold.Timeout{Duration: time.Second}, retry))
		b := failing(errBackend)
		for range 10 {
			_, _ = orchestrator.Do(t.Context(), one, b.call)
			_, _ = orchestrator.Do(t.Context(), other, b.call)
		}
		b.wants(t, 20+10)
	})
}

func TestBudgetsOfGuards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{})
		with := func(b hold.RetryBudget) hold.Policy {
			r := exactly(2, time.Millisecond)
			r.Budget = b
			return r
		}
		g := newGuard(t, o, "g", with(hold.RetryBudget{Ratio: 0.5}))
		if _, err := o.Guard("h", with(hold.RetryBudget{Name: "g", Ratio: 0.6})); !errors.Is(err, hold.ErrConflict) {
			t.Errorf("other numbers for one budget: %v", err)
		}
		if _, err := orchestrator.ExecuteWithPolicy(t.Context(), o, with(hold.RetryBudget{Ratio: 0.5}), answer); !errors.Is(err, hold.ErrInvalidPolicy) {
			t.Errorf("a budget without a name: %v", err)
		}
		if err := o.Update("g", with(hold.RetryBudget{Ratio: 1})); err != nil {
			t.Fatal(err)
		}
		b := failing(errBackend)
		_, err := orchestrator.Do(t.Context(), g, b.call)
		wantIs(t, err, hold.ErrRetryExhausted)
		b.wants(t, 2)
		// A pause that would outlive the call costs nothing.
		slowly := exactly(2, time.Hour)
		slowly.Budget = hold.RetryBudget{Ratio: 1}
		if err := o.Update("g", hold.Combine(hold.Timeout{Duration: time.Second}, slowly)); err != nil {
			t.Fatal(err)
		}
		_, _ = orchestrator.Do(t.Context(), g, b.call)
		if err := o.Update("g", with(hold.RetryBudget{Ratio: 0.001, Name: "g"})); err != nil {
			t.Fatal(err)
		}
		b = failing(errBackend)
		_, _ = orchestrator.Do(t.Context(), g, b.call)
		b.wants(t, 2)
	})
}
