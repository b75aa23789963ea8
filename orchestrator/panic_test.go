package orchestrator_test

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
)

// exits are the ways in which a function may end without returning.
var exits = map[string]func(){
	"panic":  func() { panic(errBackend) },
	"Goexit": runtime.Goexit,
}

// leaves runs fn under g on a goroutine of its own, and returns what it panicked
// with; nil after a Goexit.
func leaves(t *testing.T, g *orchestrator.Guard, fn func(context.Context) (int, error)) (value any) {
	t.Helper()
	var wg sync.WaitGroup
	wg.Go(func() {
		defer func() { value = recover() }()
		_, err := orchestrator.Do(t.Context(), g, fn)
		t.Errorf("Do returned %v", err)
	})
	wg.Wait()
	return value
}

// TestCase17PanicCountsAsFailure: it passes through with the same value, counts
// as a failure, and leaves nothing behind.
func TestCase17PanicCountsAsFailure(t *testing.T) {
	for name, exit := range exits {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrchestrator(t, orchestrator.Config{})
				inner := tripping(2)
				inner.Name = "inner"
				g := newGuard(t, o, "g", hold.Combine(
					hold.Retry{}, tripping(2), hold.Timeout{Duration: time.Second}, inner, hold.RateLimit{Limit: hold.PerSecond(9)},
				))
				var kept context.Context
				value := leaves(t, g, func(ctx context.Context) (int, error) {
					kept = ctx //nolint:fatcontext // to look at it afterwards
					exit()
					return 0, nil
				})
				if name == "panic" && value != errBackend { //nolint:errorlint // the same value
					t.Errorf("it panicked with %v; want the function's value", value)
				}
				for _, b := range []string{"g", "inner"} {
					wantClosed(t, o, b, 1, 1)
				}
				if kept.Err() == nil {
					t.Error("the function's context goes on")
				}
				leaves(t, g, func(context.Context) (int, error) {
					exit()
					return 0, nil
				})
				_, err := orchestrator.Do(t.Context(), g, answer)
				wantIs(t, err, hold.ErrCircuitOpen)
			})
		})
	}
}

// TestCase18PanicInAProbe: the breaker opens again, and admits a probe again
// after the delay.
func TestCase18PanicInAProbe(t *testing.T) {
	for name, exit := range exits {
		for sharing, shared := range map[string]hold.Sharing{"local": hold.ShareLocal, "fleet": hold.ShareAny} {
			t.Run(name+", "+sharing, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o := newOrchestrator(t, orchestrator.Config{})
					g := newGuard(t, o, "g", hold.CircuitBreaker{FailureThreshold: 1, SuccessThreshold: 1, Sharing: shared})
					_, _ = orchestrator.Do(t.Context(), g, failing(errBackend).call)
					time.Sleep(recovery + 5*time.Second)
					ran := false
					leaves(t, g, func(context.Context) (int, error) {
						ran = true
						exit()
						return 0, nil
					})
					if !ran {
						t.Fatal("there was no probe")
					}
					time.Sleep(time.Second)
					if s := findBreaker(t, o, "g").Status(); s.State != hold.StateOpen {
						t.Fatalf("after the probe it is %s", s.State)
					}
					_, err := orchestrator.Do(t.Context(), g, answer)
					wantIs(t, err, hold.ErrCircuitOpen)
					time.Sleep(2*recovery + 5*time.Second)
					if _, err := orchestrator.Do(t.Context(), g, answer); err != nil {
						t.Errorf("the next probe: %v", err)
					}
				})
			})
		}
	}
}

// TestPanicOfAClassifier: user code that is called on the way out may panic
// too. The failure counts, nothing is left held.
func TestPanicOfAClassifier(t *testing.T) {
	for name, opt := range map[string]orchestrator.GuardOption{
		"Classify": orchestrator.Classify(func(error) hold.Outcome { panic(errOther) }),
		"RetryIf":  orchestrator.RetryIf(func(error) bool { panic(errOther) }),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrchestrator(t, orchestrator.Config{})
				outer, inner := tripping(9), tripping(9)
				outer.Name, inner.Name = "outer", "inner"
				policy := hold.Combine(outer, hold.Retry{MaxAttempts: 1}, inner)
				g := newGuard(t, o, "g", policy, opt, orchestrator.ClassifyFor("inner", hold.Classify))
				if value := leaves(t, g, failing(errBackend).call); value != errOther { //nolint:errorlint // the same value
					t.Errorf("it panicked with %v", value)
				}
				wantClosed(t, o, "inner", 1, 1)
				wantClosed(t, o, "outer", 1, 1)
			})
		})
	}
}

// TestPanicBeforeTheFunctionRan: what never came to the dependency is not held
// against it.
func TestPanicBeforeTheFunctionRan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{})
		policy := hold.Combine(tripping(1), hold.Retry{}, hold.RateLimit{Limit: hold.PerHour(1)})
		g := newGuard(t, o, "g", policy, orchestrator.RetryIf(func(error) bool { panic(errOther) }))
		if _, err := orchestrator.Do(t.Context(), g, answer); err != nil {
			t.Fatal(err)
		}
		leaves(t, g, answer) // refused by the limit, and RetryIf is asked about that
		wantClosed(t, o, "g", 1, 0)
	})
}
