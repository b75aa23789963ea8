package orchestrator_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
)

// tripping opens after n failures in a row, for 30 s.
func tripping(n int) hold.CircuitBreaker { return hold.CircuitBreaker{FailureThreshold: n} }

// recovery is how long such a breaker is open.
const recovery = hold.DefaultRecoveryTimeout

// TestCase8Rejections: an open breaker refuses at once, the function does not
// run, and refusals are not counted.
func TestCase8Rejections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{})
		g := newGuard(t, o, "g", tripping(3))
		b := failing(errBackend)
		for range 3 {
			_, err := orchestrator.Do(t.Context(), g, b.call)
			wantIs(t, err, errBackend)
		}
		before := findBreaker(t, o, "g").Status()
		if before.State != hold.StateOpen {
			t.Fatalf("after 3 failures it is %s", before.State)
		}
		for range 10 {
			start := time.Now()
			got, err := orchestrator.Do(t.Context(), g, b.call)
			wantElapsed(t, start, 0)
			wantIs(t, err, hold.ErrCircuitOpen)
			open, ok := errors.AsType[*hold.CircuitOpenError](err)
			if !ok || open.Name != "g" || open.RetryAfter <= 0 || open.RetryAfter > recovery || got != 0 {
				t.Errorf("Do = %d, %#v; want no value, and when to come back", got, err)
			}
		}
		b.wants(t, 3)
		after := findBreaker(t, o, "g").Status()
		before.Epoch = after.Epoch // the first look at the fleet's layer may come in between
		if after != before {
			t.Errorf("refusals changed the breaker: %+v; before: %+v", after, before)
		}
	})
}

// TestCase20InnerRefusalReturnsTheProbe: a call that a limit refuses says
// nothing about the dependency, and does not use up a probe.
func TestCase20InnerRefusalReturnsTheProbe(t *testing.T) {
	for name, sharing := range map[string]hold.Sharing{"local": hold.ShareLocal, "fleet": hold.ShareAny} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrchestrator(t, orchestrator.Config{})
				b := hold.CircuitBreaker{FailureThreshold: 1, Probes: 1, SuccessThreshold: 1, Sharing: sharing}
				g := newGuard(t, o, "g", hold.Combine(b, hold.RateLimit{Limit: hold.Per(1, time.Hour)}))
				fn := failing(errBackend, nil)
				_, _ = orchestrator.Do(t.Context(), g, fn.call)
				time.Sleep(time.Second) // for the fleet to hear
				if s := findBreaker(t, o, "g").Status(); s.State != hold.StateOpen {
					t.Fatalf("it is %s", s.State)
				}
				time.Sleep(recovery + recovery/10) // where nothing is shared it is a little longer
				for range 5 {
					_, err := orchestrator.Do(t.Context(), g, fn.call)
					wantIs(t, err, hold.ErrRateLimited)
					wantIsNot(t, err, hold.ErrCircuitOpen)
					time.Sleep(time.Second) // for the store to have the probe back
				}
				fn.wants(t, 1)
				time.Sleep(time.Hour) // a token
				if _, err := orchestrator.Do(t.Context(), g, fn.call); err != nil {
					t.Errorf("the probe that was left: %v", err)
				}
			})
		})
	}
}

// TestInnerRefusalIsIgnoredByEveryOuterBreaker: whatever refuses further in, no
// breaker counts it, nor anything that never came to the function.
func TestInnerRefusalIsIgnoredByEveryOuterBreaker(t *testing.T) {
	keyed := hold.RateLimit{Name: "keyed", Limit: hold.PerSecond(1), Keyed: true}
	hourly := hold.RateLimit{Limit: hold.Per(1, time.Hour)}
	for name, tt := range map[string]struct {
		inner hold.Policy
		call  []orchestrator.Call
		want  error
	}{
		"a limit without tokens":   {hourly, nil, hold.ErrRateLimited},
		"a cost above the burst":   {hourly, []orchestrator.Call{orchestrator.Cost(2)}, hold.ErrCostTooHigh},
		"a missing key":            {keyed, nil, hold.ErrKeyMissing},
		"a limit inside a timeout": {hold.Combine(hold.Timeout{Duration: time.Second}, hourly), nil, hold.ErrRateLimited},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrchestrator(t, orchestrator.Config{})
				outer, inner := tripping(1), tripping(1)
				outer.Name, inner.Name = "outer", "inner"
				g := newGuard(t, o, "g", hold.Combine(outer, inner, tt.inner))
				for range 3 {
					_, _ = orchestrator.Do(t.Context(), g, answer, tt.call...)
				}
				_, err := orchestrator.Do(t.Context(), g, answer, tt.call...)
				wantIs(t, err, tt.want)
				for _, name := range []string{"outer", "inner"} {
					if s := findBreaker(t, o, name).Status(); s.State != hold.StateClosed || s.Failures != 0 {
						t.Errorf("the %s breaker is %s after %d failures", name, s.State, s.Failures)
					}
				}
			})
		})
	}
}

// TestOpenBreakerInside: a breaker around an open one does not open with it.
func TestOpenBreakerInside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{})
		outer, inner := tripping(5), tripping(2)
		outer.Name, inner.Name = "outer", "inner"
		g := newGuard(t, o, "g", hold.Combine(outer, inner))
		for range 10 {
			_, _ = orchestrator.Do(t.Context(), g, failing(errBackend).call)
		}
		wantClosed(t, o, "outer", 2, 2)
		if s := findBreaker(t, o, "inner").Status(); s.State != hold.StateOpen {
			t.Errorf("the inner breaker is %s", s.State)
		}
	})
}

// TestCase21CallersContextDone: nothing is counted, no token is taken.
func TestCase21CallersContextDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{})
		g := newGuard(t, o, "g", hold.Combine(tripping(1), hold.RateLimit{Limit: hold.Per(5, time.Hour)}))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		b := failing(errBackend)
		for range 3 {
			_, err := orchestrator.Do(ctx, g, b.call)
			wantIs(t, err, context.Canceled)
		}
		b.wants(t, 0)
		wantClosed(t, o, "g", 0, 0)
		if got := remaining(t, o, "g", ""); got != 5 {
			t.Errorf("%d tokens remain; want all 5", got)
		}
	})
}

// TestCase22CallerEndsMidCall: by default a caller who goes away says nothing
// about the dependency; a classifier may see it otherwise, for a cancellation
// and a deadline each on its own.
func TestCase22CallerEndsMidCall(t *testing.T) {
	cancelled := func(t *testing.T) context.Context {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		return ctx
	}
	deadline := func(t *testing.T) context.Context {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		t.Cleanup(cancel)
		return ctx
	}
	reason := func(t *testing.T) context.Context {
		t.Helper()
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(errOther) })
		return ctx
	}
	counting := func(what error) orchestrator.GuardOption {
		return orchestrator.Classify(func(err error) hold.Outcome {
			if errors.Is(err, what) {
				return hold.Failure
			}
			return hold.Classify(err)
		})
	}
	for _, tt := range []struct {
		name     string
		ctx      func(*testing.T) context.Context
		fn       func(context.Context) (int, error)
		opts     []orchestrator.GuardOption
		failures int64
	}{
		{"cancelled", cancelled, hang, nil, 0},
		{"past its deadline", deadline, hang, nil, 0},
		{"for a reason of its own", reason, hangAndSayWhy, nil, 0},
		{"while the function wraps it", deadline, func(ctx context.Context) (int, error) {
			<-ctx.Done()
			return 0, fmt.Errorf("query: %w", ctx.Err())
		}, nil, 0},
		{"while the function says something else", cancelled, func(ctx context.Context) (int, error) {
			<-ctx.Done()
			return 0, errBackend
		}, nil, 0},
		{"cancelled, which is to count", cancelled, hang, []orchestrator.GuardOption{counting(context.Canceled)}, 1},
		{"past its deadline, where cancelled is to count", deadline, hang, []orchestrator.GuardOption{counting(context.Canceled)}, 0},
		{"past its deadline, which is to count", deadline, hang, []orchestrator.GuardOption{counting(context.DeadlineExceeded)}, 1},
		{"cancelled, where a deadline is to count", cancelled, hang, []orchestrator.GuardOption{counting(context.DeadlineExceeded)}, 0},
	} {
		for shape, policy := range map[string]hold.Policy{
			"breaker":          tripping(9),
			"breaker(timeout)": hold.Combine(tripping(9), hold.Timeout{Duration: 5 * time.Second}),
			"timeout(breaker)": hold.Combine(hold.Timeout{Duration: 5 * time.Second}, tripping(9)),
			"retry(breaker)":   hold.Combine(hold.Retry{}, tripping(9)),
		} {
			t.Run(tt.name+", "+shape, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o := newOrchestrator(t, orchestrator.Config{})
					g := newGuard(t, o, "g", policy, tt.opts...)
					if _, err := orchestrator.Do(tt.ctx(t), g, tt.fn); err == nil {
						t.Error("no error")
					}
					wantClosed(t, o, "g", tt.failures, tt.failures)
				})
			})
		}
	}
}

// TestDeadlinesThatCount: a deadline that the function made itself, or that the
// guard made, is the dependency being slow, wherever the timeout stands.
func TestDeadlinesThatCount(t *testing.T) {
	own := func(ctx context.Context) (int, error) {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		return hang(ctx)
	}
	quiet := func(ctx context.Context) (int, error) {
		<-ctx.Done()
		return 0, context.Canceled // as some clients say for any end
	}
	for _, tt := range []struct {
		name   string
		policy hold.Policy
		fn     func(context.Context) (int, error)
	}{
		{"the function's own", tripping(9), own},
		{"a timeout inside", hold.Combine(tripping(9), hold.Timeout{Duration: 5 * time.Second}), hang},
		{"a timeout outside", hold.Combine(hold.Timeout{Duration: 5 * time.Second}, tripping(9)), hang},
		{"a timeout inside, called a cancellation", hold.Combine(tripping(9), hold.Timeout{Duration: 5 * time.Second}), quiet},
		{"a timeout outside, called a cancellation", hold.Combine(hold.Timeout{Duration: 5 * time.Second}, tripping(9)), quiet},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrchestrator(t, orchestrator.Config{})
				_, err := orchestrator.Do(t.Context(), newGuard(t, o, "g", tt.policy), tt.fn)
				wantIs(t, err, context.DeadlineExceeded)
				wantClosed(t, o, "g", 1, 1)
			})
		})
	}
}

// TestCase23Wrapped: marks and typed errors are seen through wrapping, and the
// caller gets its own error.
func TestCase23Wrapped(t *testing.T) {
	for _, tt := range []struct {
		name            string
		err             error
		calls, failures int64
	}{
		{"any error", errBackend, 1, 1},
		{"ignored", hold.MarkIgnored(errBackend), 0, 0},
		{"ignored, wrapped", fmt.Errorf("reading: %w", hold.MarkIgnored(errBackend)), 0, 0},
		{"permanent, which is about retries only", hold.MarkPermanent(errBackend), 1, 1},
		{"a nested guard's refusal", fmt.Errorf("reading: %w", &hold.RateLimitedError{Name: "other"}), 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrchestrator(t, orchestrator.Config{})
				_, err := orchestrator.Do(t.Context(), newGuard(t, o, "g", tripping(9)), failing(tt.err).call)
				if err != tt.err { //nolint:errorlint // identity is the point
					t.Errorf("error %v; want %v itself", err, tt.err)
				}
				wantClosed(t, o, "g", tt.calls, tt.failures)
			})
		})
	}
}

// TestLocalFailureOpensThisReplicaOnly: the local layer trips, the fleet's
// does not hear of it.
func TestLocalFailureOpensThisReplicaOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{})
		b := tripping(3)
		b.Sharing = hold.ShareAny
		g := newGuard(t, o, "g", b)
		for range 3 {
			_, _ = orchestrator.Do(t.Context(), g, failing(hold.MarkLocal(errBackend)).call)
		}
		time.Sleep(5 * time.Second)
		if s := findBreaker(t, o, "g").Status(); s.Local != hold.StateOpen || s.Fleet != hold.StateClosed {
			t.Errorf("this replica is %s, the fleet %s", s.Local, s.Fleet)
		}
	})
}

// TestCase32RetryAroundBreaker: each attempt is recorded. An open breaker ends
// the series; where it is to be retried, refusals use up attempts.
func TestCase32RetryAroundBreaker(t *testing.T) {
	policy := hold.Combine(exactly(7, time.Second), tripping(3))
	t.Run("open is final", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			o := newOrchestrator(t, orchestrator.Config{})
			start, b := time.Now(), failing(errBackend)
			_, err := orchestrator.Do(t.Context(), newGuard(t, o, "g", policy), b.call)
			b.wants(t, 3)
			wantElapsed(t, start, 3*time.Second)
			wantIs(t, err, hold.ErrCircuitOpen)
			wantIsNot(t, err, hold.ErrRetryExhausted)
		})
	})
	t.Run("open is retried", func(t *testing.T) {
		// Attempts 1 to 3 fail and open it; 4 is refused and waits the 30 s that
		// it is told; 5 is a probe, fails and reopens it for 60 s; 6 is refused
		// and waits; 7 is a probe again.
		synctest.Test(t, func(t *testing.T) {
			o := newOrchestrator(t, orchestrator.Config{})
			start, b := time.Now(), failing(errBackend)
			g := newGuard(t, o, "g", policy, orchestrator.RetryIf(func(error) bool { return true }))
			_, err := orchestrator.Do(t.Context(), g, b.call)
			b.wants(t, 5)
			wantIs(t, err, hold.ErrRetryExhausted, errBackend)
			if exhausted, ok := errors.AsType[*hold.RetryExhaustedError](err); !ok || exhausted.Attempts != 7 {
				t.Errorf("error %v; want 7 attempts", err)
			}
			if got, least := time.Since(start), 3*recovery; got < least {
				t.Errorf("it took %s; want at least the two recoveries, %s", got, least)
			}
		})
	})
}

// TestCase33BreakerAroundRetry: one outcome per series, however long.
func TestCase33BreakerAroundRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{})
		g := newGuard(t, o, "g", hold.Combine(tripping(3), exactly(4, time.Second)))
		b := failing(errBackend)
		for i := range 3 {
			wantClosed(t, o, "g", int64(i), int64(i))
			_, err := orchestrator.Do(t.Context(), g, b.call)
			wantIs(t, err, hold.ErrRetryExhausted)
		}
		b.wants(t, 12)
		if s := findBreaker(t, o, "g").Status(); s.State != hold.StateOpen {
			t.Errorf("after 3 series it is %s", s.State)
		}
	})
}

// TestCase33SuccessAtLastIsASuccess: what the series came to is what counts.
func TestCase33SuccessAtLastIsASuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{})
		g := newGuard(t, o, "g", hold.Combine(tripping(1), exactly(4, time.Second)))
		if _, err := orchestrator.Do(t.Context(), g, failing(errBackend, errBackend, nil).call); err != nil {
			t.Error(err)
		}
		wantClosed(t, o, "g", 1, 0)
	})
}

// TestCase36NestedBreakers: two breakers that watch for different errors; only
// the one whose error it is opens, in either order.
func TestCase36NestedBreakers(t *testing.T) {
	only := func(what error) func(error) hold.Outcome {
		return func(err error) hold.Outcome {
			if errors.Is(err, what) {
				return hold.Failure
			}
			return hold.Ignored
		}
	}
	x, y := tripping(2), tripping(2)
	x.Name, y.Name = "x", "y"
	for name, policy := range map[string]hold.Policy{"x(y)": hold.Combine(x, y), "y(x)": hold.Combine(y, x)} {
		for _, tt := range []struct {
			err          error
			wantX, wantY hold.State
		}{
			{errBackend, hold.StateOpen, hold.StateClosed},
			{errOther, hold.StateClosed, hold.StateOpen},
		} {
			t.Run(fmt.Sprintf("%s, %v", name, tt.err), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o := newOrchestrator(t, orchestrator.Config{})
					g := newGuard(t, o, "g", policy,
						orchestrator.ClassifyFor("x", only(errBackend)), orchestrator.ClassifyFor("y", only(errOther)))
					for range 3 {
						_, _ = orchestrator.Do(t.Context(), g, failing(tt.err).call)
					}
					if got := findBreaker(t, o, "x").Status().State; got != tt.wantX {
						t.Errorf("x is %s; want %s", got, tt.wantX)
					}
					if got := findBreaker(t, o, "y").Status().State; got != tt.wantY {
						t.Errorf("y is %s; want %s", got, tt.wantY)
					}
				})
			})
		}
	}
}

// TestClassifierOrder: the breaker's own, then the guard's, then the
// configuration's, then domain.Classify. None is asked about a success.
func TestClassifierOrder(t *testing.T) {
	says := func(o hold.Outcome) func(error) hold.Outcome {
		return func(err error) hold.Outcome {
			if err == nil {
				panic("asked about a success")
			}
			return o
		}
	}
	ignored := says(hold.Ignored)
	for _, tt := range []struct {
		name     string
		config   func(error) hold.Outcome
		opts     []orchestrator.GuardOption
		failures int64
	}{
		{"none", nil, nil, 1},
		{"configured", ignored, nil, 0},
		{"the guard's wins", ignored, []orchestrator.GuardOption{orchestrator.Classify(says(hold.Failure))}, 1},
		{"the breaker's wins", ignored, []orchestrator.GuardOption{
			orchestrator.ClassifyFor("g", says(hold.Failure)), orchestrator.Classify(ignored),
		}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := newOrchestrator(t, orchestrator.Config{Classify: tt.config})
			g := newGuard(t, o, "g", tripping(9), tt.opts...)
			_, _ = orchestrator.Do(t.Context(), g, failing(errBackend, nil).call)
			if got := findBreaker(t, o, "g").Status().Failures; got != tt.failures {
				t.Errorf("%d failures; want %d", got, tt.failures)
			}
			if _, err := orchestrator.Do(t.Context(), g, answer); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestProbeEndsWithItsLease: past it the fleet lets another probe through, so
// the call must not go on.
func TestProbeEndsWithItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{})
		g := newGuard(t, o, "g", hold.CircuitBreaker{FailureThreshold: 1, Sharing: hold.ShareAny, ProbeLease: 4 * time.Second})
		_, _ = orchestrator.Do(t.Context(), g, failing(errBackend).call)
		time.Sleep(recovery + 5*time.Second)
		if s := findBreaker(t, o, "g").Status(); s.Fleet == hold.StateClosed {
			t.Fatalf("the fleet is %s", s.Fleet)
		}
		start := time.Now()
		_, err := orchestrator.Do(t.Context(), g, func(ctx context.Context) (int, error) {
			if at, ok := ctx.Deadline(); !ok || time.Until(at) > 4*time.Second {
				t.Errorf("the probe's deadline is %s, %t; want within its lease", at, ok)
			}
			return hang(ctx)
		})
		wantIs(t, err, context.DeadlineExceeded)
		if got := time.Since(start); got > 4*time.Second {
			t.Errorf("the probe took %s; its lease is 4s", got)
		}
	})
}

// TestCase26RetryAfterOfTheDependency: the breaker stays open as long as the dependency
// asked by its last failure, in the replica's own layer and in the fleet's.
func TestCase26RetryAfterOfTheDependency(t *testing.T) {
	for name, sharing := range map[string]hold.Sharing{"local": hold.ShareLocal, "fleet": hold.ShareAny} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrchestrator(t, orchestrator.Config{})
				g := newGuard(t, o, "g", hold.CircuitBreaker{FailureThreshold: 2, Sharing: sharing})
				fn := failing(errBackend, hold.MarkRetryAfter(errBackend, 2*time.Minute), nil)
				for range 2 {
					_, err := orchestrator.Do(t.Context(), g, fn.call)
					wantIs(t, err, errBackend)
				}
				time.Sleep(time.Second) // for the fleet to hear
				for range 118 {
					_, err := orchestrator.Do(t.Context(), g, fn.call)
					wantIs(t, err, hold.ErrCircuitOpen)
					time.Sleep(time.Second)
				}
				time.Sleep(2 * time.Second)
				if _, err := orchestrator.Do(t.Context(), g, fn.call); err != nil {
					t.Errorf("after two minutes: %v", err)
				}
			})
		})
	}
}

// TestCase35FallbackSeesTheRefusal: a call that a Timeout inside ended counts as a
// failure; and who falls back learns that the breaker refused, for how long, and that
// nothing was called.
func TestCase35FallbackSeesTheRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{})
		g := newGuard(t, o, "g", hold.Combine(
			hold.CircuitBreaker{FailureThreshold: 2, Sharing: hold.ShareLocal}, hold.Timeout{Duration: time.Second},
		))
		called := 0
		withFallback := func() (string, error) {
			got, err := orchestrator.Do(t.Context(), g, func(ctx context.Context) (string, error) {
				called++
				<-ctx.Done()
				return "", ctx.Err()
			})
			if open, ok := errors.AsType[*hold.CircuitOpenError](err); ok && open.RetryAfter > 0 {
				return "from memory", nil
			}
			return got, err
		}
		for range 2 {
			_, err := withFallback()
			wantIs(t, err, hold.ErrTimeout)
		}
		if got, err := withFallback(); got != "from memory" || err != nil || called != 2 {
			t.Errorf("falling back: %q, %v after %d calls; want what is in memory, and no third call", got, err, called)
		}
	})
}
