package ratelimit_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/compat/ratelimit"
	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
)

// join makes one more replica of the fleet whose state is in stores.
func join(t *testing.T, stores port.Stores) *orchestrator.Orchestrator {
	t.Helper()
	o, err := orchestrator.New(stores, orchestrator.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return o
}

func newStores() port.Stores { return memory.New(memory.Options{}).Stores() }

// story runs in a bubble, with one replica's limiter.
func story(t *testing.T, tell func(t *testing.T, l *ratelimit.Limiter)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { tell(t, ratelimit.NewLimiter(join(t, newStores()))) })
}

type ask func(ctx context.Context, key string, limit ratelimit.Limit, n int) (*ratelimit.Result, error)

func TestResults(t *testing.T) {
	limit := ratelimit.Limit{Rate: 1, Period: time.Second, Burst: 4}
	story(t, func(t *testing.T, l *ratelimit.Limiter) {
		allow := func(ctx context.Context, key string, limit ratelimit.Limit, _ int) (*ratelimit.Result, error) {
			return l.Allow(ctx, key, limit)
		}
		for i, row := range []struct {
			after time.Duration
			ask   ask
			n     int
			want  ratelimit.Result
		}{
			{0, l.AllowN, 0, ratelimit.Result{Allowed: 0, Remaining: 4, RetryAfter: -1}},
			{0, allow, 1, ratelimit.Result{Allowed: 1, Remaining: 3, RetryAfter: -1, ResetAfter: time.Second}},
			{0, l.AllowN, 2, ratelimit.Result{Allowed: 2, Remaining: 1, RetryAfter: -1, ResetAfter: 3 * time.Second}},
			{0, l.AllowN, 2, ratelimit.Result{Allowed: 0, Remaining: 1, RetryAfter: time.Second, ResetAfter: 3 * time.Second}}, // all or none
			{0, l.AllowAtMost, 3, ratelimit.Result{Allowed: 1, Remaining: 0, RetryAfter: -1, ResetAfter: 4 * time.Second}},
			{0, l.AllowAtMost, 3, ratelimit.Result{Allowed: 0, Remaining: 0, RetryAfter: time.Second, ResetAfter: 4 * time.Second}},
			{0, l.AllowAtMost, 0, ratelimit.Result{Allowed: 0, Remaining: 0, RetryAfter: -1, ResetAfter: 4 * time.Second}}, // only asks
			{time.Second, allow, 1, ratelimit.Result{Allowed: 1, Remaining: 0, RetryAfter: -1, ResetAfter: 4 * time.Second}},
			{10 * time.Second, l.AllowAtMost, 9, ratelimit.Result{Allowed: 4, Remaining: 0, RetryAfter: -1, ResetAfter: 4 * time.Second}}, // above the burst
		} {
			time.Sleep(row.after)
			row.want.Limit = limit
			got, err := row.ask(t.Context(), "k", limit, row.n)
			if err != nil || *got != row.want {
				t.Errorf("step %d: got %+v, %v; want %+v", i, got, err, row.want)
			}
		}
	})
}

func TestMisuse(t *testing.T) {
	two := ratelimit.PerSecond(2)
	story(t, func(t *testing.T, l *ratelimit.Limiter) {
		for _, row := range []struct {
			name  string
			key   string
			limit ratelimit.Limit
			ask   ask
			n     int
			want  error // nil: any
		}{
			{"no limit at all", "k", ratelimit.Limit{}, l.AllowN, 1, domain.ErrInvalidPolicy},
			{"no burst", "k", ratelimit.Limit{Rate: 1, Period: time.Second}, l.AllowN, 1, domain.ErrInvalidPolicy},
			{"a period of nothing", "k", ratelimit.Limit{Rate: 1, Burst: 1}, l.AllowAtMost, 1, domain.ErrInvalidPolicy},
			{"half a microsecond", "k", ratelimit.Limit{Rate: 1, Burst: 1, Period: 500}, l.AllowN, 1, domain.ErrInvalidPolicy},
			{"no key", "", two, l.AllowN, 1, domain.ErrKeyMissing},
			{"more than there can ever be", "k", two, l.AllowN, 3, domain.ErrCostTooHigh},
			{"tokens put back", "k", two, l.AllowN, -1, nil},
			{"at most less than none", "k", two, l.AllowAtMost, -1, nil},
		} {
			got, err := row.ask(t.Context(), row.key, row.limit, row.n)
			if got != nil || err == nil || row.want != nil && !errors.Is(err, row.want) {
				t.Errorf("%s: got %+v, %v; want %v", row.name, got, err, row.want)
			}
		}
	})
}

// TestFleet has two replicas, which share each Limit, key by key.
func TestFleet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := newStores()
		here, there := ratelimit.NewLimiter(join(t, stores)), ratelimit.NewLimiter(join(t, stores))
		two, other := ratelimit.PerMinute(2), ratelimit.PerHour(2)
		for i, row := range []struct {
			limiter *ratelimit.Limiter
			key     string
			limit   ratelimit.Limit
			want    int
		}{
			{here, "a", two, 1},
			{there, "a", two, 1},
			{here, "a", two, 0},
			{there, "a", two, 0},
			{there, "b", two, 1},   // each key has its own
			{there, "a", other, 1}, // and under each Limit
		} {
			got, err := row.limiter.Allow(t.Context(), row.key, row.limit)
			if err != nil || got.Allowed != row.want {
				t.Errorf("step %d: got %+v, %v; want %d allowed", i, got, err, row.want)
			}
		}
	})
}

func TestReset(t *testing.T) {
	limit := ratelimit.PerHour(1)
	use := func(t *testing.T, l *ratelimit.Limiter, key string, want int) {
		t.Helper()
		if got, err := l.Allow(t.Context(), key, limit); err != nil || got.Allowed != want {
			t.Errorf("Allow(%q) = %+v, %v; want %d allowed", key, got, err, want)
		}
	}
	t.Run("a limit that was asked about", func(t *testing.T) {
		story(t, func(t *testing.T, l *ratelimit.Limiter) {
			use(t, l, "a", 1)
			use(t, l, "b", 1)
			use(t, l, "a", 0)
			if err := l.Reset(t.Context(), "a"); err != nil {
				t.Error(err)
			}
			use(t, l, "a", 1)
			use(t, l, "b", 0) // is another key
		})
	})
	t.Run("a limit that another replica uses", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			stores := newStores()
			user := ratelimit.NewLimiter(join(t, stores))
			use(t, user, "a", 1)
			if err := ratelimit.NewLimiter(join(t, stores)).Reset(t.Context(), "a"); !errors.Is(err, ratelimit.ErrNoLimits) {
				t.Errorf("Reset = %v; want ErrNoLimits: it knows of none", err)
			}
			use(t, user, "a", 0)
			if err := ratelimit.NewLimiter(join(t, stores), limit).Reset(t.Context(), "a"); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Second) // a denial is remembered no longer
			use(t, user, "a", 1)
		})
	})
	t.Run("a limit that cannot be meant", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := ratelimit.NewLimiter(join(t, newStores()), ratelimit.Limit{}, limit)
			use(t, l, "a", 1)
			if err := l.Reset(t.Context(), "a"); !errors.Is(err, domain.ErrInvalidPolicy) {
				t.Errorf("Reset = %v; want ErrInvalidPolicy", err)
			}
			use(t, l, "a", 1) // the good one was reset all the same
		})
	})
}

func TestLimitsAreBounded(t *testing.T) {
	story(t, func(t *testing.T, l *ratelimit.Limiter) {
		for rate := 1; rate <= ratelimit.MaxLimits; rate++ {
			if _, err := l.Allow(t.Context(), "k", ratelimit.PerHour(rate)); err != nil {
				t.Fatalf("limit %d: %v", rate, err)
			}
		}
		if _, err := l.Allow(t.Context(), "k", ratelimit.PerHour(ratelimit.MaxLimits+1)); !errors.Is(err, ratelimit.ErrTooManyLimits) {
			t.Errorf("one more: %v; want ErrTooManyLimits", err)
		}
		if _, err := l.Allow(t.Context(), "k", ratelimit.PerHour(1)); err != nil {
			t.Errorf("one that is known: %v", err)
		}
	})
}

func TestLimitText(t *testing.T) {
	for limit, want := range map[ratelimit.Limit]string{
		ratelimit.PerSecond(10): "10 req/s (burst 10)",
		ratelimit.PerMinute(10): "10 req/m (burst 10)",
		ratelimit.PerHour(10):   "10 req/h (burst 10)",

		{Rate: 1, Burst: 2, Period: 90 * time.Second}: "1 req/1m30s (burst 2)",
	} {
		if got := limit.String(); got != want || limit.IsZero() {
			t.Errorf("String() = %q; want %q", got, want)
		}
	}
	if !(ratelimit.Limit{}).IsZero() {
		t.Error("the zero Limit is not zero")
	}
}
