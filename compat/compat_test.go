package compat_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/compat"
	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
)

var errDown = errors.New("down")

// The functions as values: go fix would inline calls of them.
var (
	newClient      = compat.New
	retry          = compat.Retry[int]
	circuitBreaker = compat.CircuitBreaker[int]
	rateLimited    = compat.RateLimited[int]
	breakerPolicy  = compat.BreakerPolicy
	limitPolicy    = compat.LimitPolicy
)

// older runs older code in a bubble.
func older(t *testing.T, code func(t *testing.T, c *orchestrator.Orchestrator)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		orch, err := orchestrator.New(memory.New(memory.Options{}).Stores(), orchestrator.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer orch.Close(context.Background())
		code(t, newClient(orch))
	})
}

// failing fails so often, and then returns how often it was called.
func failing(times int) (fn func(context.Context) (int, error), calls *int) {
	calls = new(int)
	return func(context.Context) (int, error) {
		*calls++
		if *calls <= times {
			return 0, errDown
		}
		return *calls, nil
	}, calls
}

// TestRetry: maxRetries are those after the first call.
func TestRetry(t *testing.T) {
	for _, tt := range []struct {
		story                        string
		maxRetries, failures, called int
		err                          error
		least, most                  time.Duration // as pauses are 500 ms, 1 s, 2 s …, give or take half
	}{
		{"no failure", 3, 0, 1, nil, 0, 0},
		{"the last one helps", 3, 3, 4, nil, 1750 * time.Millisecond, 5250 * time.Millisecond},
		{"none helps", 3, 9, 4, hold.ErrRetryExhausted, 1750 * time.Millisecond, 5250 * time.Millisecond},
		{"no retries", 0, 9, 1, hold.ErrRetryExhausted, 0, 0},
	} {
		t.Run(tt.story, func(t *testing.T) {
			older(t, func(t *testing.T, c *orchestrator.Orchestrator) {
				fn, calls := failing(tt.failures)
				begin := time.Now()
				_, err := retry(t.Context(), c, tt.maxRetries, fn)
				if took := time.Since(begin); took < tt.least || took > tt.most {
					t.Errorf("it took %v", took)
				}
				if !errors.Is(err, tt.err) || *calls != tt.called {
					t.Errorf("%v after %d calls", err, *calls)
				}
			})
		})
	}
	older(t, func(t *testing.T, c *orchestrator.Orchestrator) {
		begin := time.Now()
		fn, _ := failing(1000)
		if _, err := retry(t.Context(), c, 1000, fn); !errors.Is(err, hold.ErrRetryExhausted) || time.Since(begin) > time.Minute {
			t.Errorf("the series has a minute: %v after %v", err, time.Since(begin))
		}
	})
}

// TestCircuitBreaker: it counts what it lets through, wherever it is called, and is known by
// its name.
func TestCircuitBreaker(t *testing.T) {
	older(t, func(t *testing.T, c *orchestrator.Orchestrator) {
		fn, calls := failing(5)
		for range 5 {
			if _, err := circuitBreaker(t.Context(), c, "payments", fn); !errors.Is(err, errDown) {
				t.Fatal(err)
			}
		}
		if _, err := circuitBreaker(t.Context(), c, "payments", fn); !errors.Is(err, hold.ErrCircuitOpen) || *calls != 5 {
			t.Errorf("%v after %d calls", err, *calls)
		}
		if n, err := circuitBreaker(t.Context(), c, "other", fn); err != nil || n != 6 {
			t.Errorf("the breaker of another name: %d, %v", n, err)
		}
		// A layer of the replica's own opens for up to a tenth longer.
		time.Sleep(33 * time.Second)
		for n := range 3 {
			if _, err := circuitBreaker(t.Context(), c, "payments", fn); err != nil {
				t.Errorf("success %d: %v", n, err)
			}
		}
		if breaker, ok := c.CircuitBreaker("payments"); !ok || breaker.Status().State != hold.StateClosed {
			t.Error("three successes do not close it")
		}
		if _, err := c.Breaker(breakerPolicy("payments")); err != nil {
			t.Errorf("BreakerPolicy is another policy: %v", err)
		}
	})
}

// TestRateLimited: a burst, then the rate.
func TestRateLimited(t *testing.T) {
	older(t, func(t *testing.T, c *orchestrator.Orchestrator) {
		fn, calls := failing(0)
		for range 10 {
			if _, err := rateLimited(t.Context(), c, "sms", 100, 10, fn); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := rateLimited(t.Context(), c, "sms", 100, 10, fn); !errors.Is(err, hold.ErrRateLimited) || *calls != 10 {
			t.Errorf("%v after %d calls", err, *calls)
		}
		time.Sleep(10 * time.Millisecond)
		if _, err := rateLimited(t.Context(), c, "sms", 100, 10, fn); err != nil {
			t.Error(err)
		}
		if _, err := c.Limiter(limitPolicy("sms", 100, 10)); err != nil {
			t.Errorf("LimitPolicy is another policy: %v", err)
		}
		if _, err := rateLimited(t.Context(), c, "sms", 50, 10, fn); !errors.Is(err, hold.ErrConflict) {
			t.Errorf("one name has two numbers: %v", err)
		}
	})
}

// TestInvalid: what cannot be meant is refused, and the function does not run.
func TestInvalid(t *testing.T) {
	older(t, func(t *testing.T, c *orchestrator.Orchestrator) {
		fn, calls := failing(0)
		_, noRate := rateLimited(t.Context(), c, "sms", 0, 10, fn)
		_, noName := circuitBreaker(t.Context(), c, "", fn)
		_, retries := retry(t.Context(), c, -9, fn)
		for _, err := range []error{noRate, noName, retries} {
			if !errors.Is(err, hold.ErrInvalidPolicy) || *calls != 0 {
				t.Errorf("%v after %d calls", err, *calls)
			}
		}
	})
}

// TestNested: the older code's own order, with every part at work: an open breaker ends the
// retries.
func TestNested(t *testing.T) {
	older(t, func(t *testing.T, c *orchestrator.Orchestrator) {
		fn, calls := failing(99)
		_, err := retry(t.Context(), c, 9, func(ctx context.Context) (int, error) {
			return circuitBreaker(ctx, c, "payments", func(ctx context.Context) (int, error) {
				return rateLimited(ctx, c, "payments", 100, 10, fn)
			})
		})
		if !errors.Is(err, hold.ErrCircuitOpen) || *calls != 5 {
			t.Errorf("%v after %d calls", err, *calls)
		}
	})
}
