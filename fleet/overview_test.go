package fleet_test

import (
	"slices"
	"testing"
	"testing/synctest"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/store/memory"
)

// TestOverview: all parts are there, in the order of their names, and none of those that
// are this library's own.
func TestOverview(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := join(t, memory.New(memory.Options{}).Stores(), fleet.Config{})
		for _, name := range []string{"z", "a"} {
			r.limiter(domain.RateLimit{Name: name, Limit: domain.PerSecond(1)})
			if _, err := r.Breaker(domain.CircuitBreaker{Name: name}); err != nil {
				t.Fatal(err)
			}
			r.bulkhead(domain.Bulkhead{Name: name, MaxConcurrent: 3})
			if _, err := r.KeyedBreaker(domain.CircuitBreaker{Name: "keyed-" + name, Keyed: true, Sharing: domain.ShareLocal}); err != nil {
				t.Fatal(err)
			}
		}
		budget, err := r.RetryBudget(domain.RetryBudget{Name: "spare", Ratio: 0.1, PerSecond: 2})
		if err != nil {
			t.Fatal(err)
		}
		budget.Spend(t.Context(), nil) // which makes a limit of its own
		look := r.Overview()
		var names []string
		names = append(names, look.Limits...)
		for _, b := range look.Breakers {
			names = append(names, b.Name)
		}
		for _, k := range look.Keyed {
			names = append(names, k.Name)
		}
		for _, b := range look.Bulkheads {
			names = append(names, b.Name)
			if b.Room != 3 {
				t.Errorf("bulkhead %+v", b)
			}
		}
		if want := []string{"a", "z", "a", "z", "keyed-a", "keyed-z", "a", "z"}; !slices.Equal(names, want) {
			t.Errorf("it lists %q; want %q", names, want)
		}
		if look.Health.StoreDown || look.Breakers[0].State != domain.StateClosed {
			t.Errorf("it sees %+v", look)
		}
	})
}
