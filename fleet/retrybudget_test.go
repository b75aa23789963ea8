package fleet_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/store/memory"
)

func (w *watched) budget(p domain.RetryBudget) *fleet.RetryBudget {
	w.t.Helper()
	b, err := w.RetryBudget(p)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

// What this replica's calls earn is spent on retries, and lapses.
func TestAShareOfCalls(t *testing.T) {
	for _, tt := range []struct {
		name  string
		ratio float64
		steps []budgetStep
	}{
		{"nothing is there before a call", 1, []budgetStep{{0, 0, 0}, {0, 1, 1}, {0, 0, 0}}},
		{"a tenth of ten calls is one", 0.1, []budgetStep{{0, 9, 0}, {0, 1, 1}, {0, 19, 1}, {0, 1, 1}}},
		{"thirds do not drift", 1.0 / 3, []budgetStep{{0, 3000, 999}, {0, 1, 1}}},
		{"what is not used lapses, but for one", 0.1, []budgetStep{{0, 100, 0}, {10 * time.Second, 0, 1}, {0, 0, 0}}},
		{"and not before", 0.1, []budgetStep{{0, 100, 0}, {9 * time.Second, 0, 10}}},
		{"who calls seldom gets there, too", 0.1, []budgetStep{
			{0, 1, 0},
			{time.Minute, 1, 0},
			{time.Minute, 1, 0},
			{time.Minute, 1, 0},
			{time.Minute, 1, 0},
			{time.Minute, 1, 0},
			{time.Minute, 1, 0},
			{time.Minute, 1, 0},
			{time.Minute, 1, 0},
			{time.Minute, 1, 1},
		}},
		{"what was spent does not come back", 0.5, []budgetStep{{0, 10, 5}, {time.Second, 0, 0}, {time.Second, 2, 1}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := join(t, port.Stores{}, fleet.Config{}).budget(domain.RetryBudget{Name: "b", Ratio: tt.ratio})
				for i, s := range tt.steps {
					time.Sleep(s.after)
					for range s.calls {
						b.Earn()
					}
					if s.want == 0 && s.calls > 0 {
						continue // only earned
					}
					got := 0
					for got <= s.want && b.Spend(t.Context(), nil) {
						got++
					}
					if got != s.want {
						t.Fatalf("step %d: %d retries; want %d", i, got, s.want)
					}
				}
			})
		})
	}
}

// A budgetStep is so many calls, and then as many retries as there are; of calls that
// want none they are not asked for.
type budgetStep struct {
	after time.Duration
	calls int
	want  int
}

// The floor is one for the fleet: what one replica took another has not.
func TestTheFloorOfABudget(t *testing.T) {
	onEachStore(t, func(t *testing.T, stores port.Stores) {
		p := domain.RetryBudget{Name: "b", PerSecond: 5}
		one, other := join(t, stores, fleet.Config{}), join(t, stores, fleet.Config{})
		budgets := []*fleet.RetryBudget{one.budget(p), other.budget(p)}
		spent := 0
		for i := range 20 {
			if budgets[i%2].Spend(t.Context(), nil) {
				spent++
			}
		}
		if spent != 5 {
			t.Errorf("%d retries at once; want 5", spent)
		}
		one.wantKinds(domain.EventBudgetEmpty)
		other.wantKinds(domain.EventBudgetEmpty)
		for range 100 {
			time.Sleep(100 * time.Millisecond)
			for _, b := range budgets {
				if b.Spend(t.Context(), nil) {
					spent++
				}
			}
		}
		if spent < 50 || spent > 55 {
			t.Errorf("%d retries in 10 s; want 5 and 5 a second", spent)
		}
		one.wantKinds() // it was told
		time.Sleep(2 * time.Minute)
		for range 10 {
			budgets[0].Spend(t.Context(), nil)
		}
		one.wantKinds(domain.EventBudgetEmpty)
	})
}

// LimitFor is about the user's limits, and not asked about floors.
func TestNobodyIsAskedAboutFloors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		r := join(t, memory.New(memory.Options{}).Stores(), fleet.Config{LimitFor: func(string, string) (domain.Limit, bool) {
			asked++
			return domain.PerSecond(1000), true
		}})
		b, spent := r.budget(domain.RetryBudget{Name: "b", PerSecond: 5}), 0
		for range 50 {
			if b.Spend(t.Context(), nil) {
				spent++
			}
		}
		if spent != 5 || asked != 0 {
			t.Errorf("%d retries, %d questions; want 5 and none", spent, asked)
		}
	})
}

// In an outage a replica has its share of the floor, and its own calls' as ever.
func TestABudgetInAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, stores := newFaulty(memory.New(memory.Options{}).Stores())
		store.set(isBroken)
		b := join(t, stores, fleet.Config{ExpectedReplicas: 2}).budget(domain.RetryBudget{Name: "b", Ratio: 0.5, PerSecond: 10})
		for range 10 {
			b.Spend(t.Context(), nil)
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		for range 4 {
			b.Earn()
		}
		spent := 0
		for b.Spend(t.Context(), nil) {
			spent++
		}
		if spent != 2+5 {
			t.Errorf("%d retries; want 2 of its own and 5 of the floor's", spent)
		}
	})
}

func TestBudgetsAreParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := join(t, memory.New(memory.Options{}).Stores(), fleet.Config{})
		p := domain.RetryBudget{Name: "b", Ratio: 0.5}
		b := r.budget(p)
		if again := r.budget(p); again != b {
			t.Error("the same budget is made twice")
		}
		if found, ok := r.FindRetryBudget("b"); !ok || found != b {
			t.Error("it is not found")
		}
		for _, bad := range []domain.RetryBudget{{Name: "c"}, {Ratio: 1}, {Name: "c", Ratio: 2}, {Name: "c d", Ratio: 1}} {
			if _, err := r.RetryBudget(bad); !errors.Is(err, domain.ErrInvalidPolicy) {
				t.Errorf("%+v: %v", bad, err)
			}
		}
		if _, err := r.RetryBudget(domain.RetryBudget{Name: "b", Ratio: 0.6}); !errors.Is(err, domain.ErrConflict) {
			t.Errorf("other numbers: %v", err)
		}
		if _, err := join(t, port.Stores{}, fleet.Config{}).RetryBudget(domain.RetryBudget{Name: "b", PerSecond: 1}); !errors.Is(err, domain.ErrInvalidPolicy) {
			t.Errorf("a floor on no store: %v", err)
		}
		for range 4 {
			b.Earn()
		}
		for _, next := range []domain.RetryBudget{{Name: "b", PerSecond: 3}, {Name: "b", Ratio: 1}, {Name: "b", PerSecond: 2}} {
			if err := b.Update(next); err != nil || b.Policy() != next {
				t.Errorf("Update: %v, %+v", err, b.Policy())
			}
		}
		spent := 0
		for b.Spend(t.Context(), nil) {
			spent++
		}
		if spent != 2+2 {
			t.Errorf("%d retries; want what was earned before, and the new floor", spent)
		}
		for _, bad := range []domain.RetryBudget{{Name: "c", Ratio: 1}, {Name: "b"}, {Name: "b", Ratio: -1}} {
			if err := b.Update(bad); !errors.Is(err, domain.ErrInvalidPolicy) {
				t.Errorf("Update(%+v): %v", bad, err)
			}
		}
		if _, err := r.Limiter(domain.RateLimit{Name: "holdfast.retry", Limit: domain.PerSecond(1)}); !errors.Is(err, domain.ErrInvalidPolicy) {
			t.Errorf("a limit with the name of the floors: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		time.Sleep(time.Hour)
		if b.Spend(ctx, nil) {
			t.Error("a retry for nobody")
		}
	})
}
