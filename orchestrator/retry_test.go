package orchestrator_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
)

func TestCase43RetryAttempts(t *testing.T) {
	permanent := hold.MarkPermanent(errBackend)
	for _, tt := range []struct {
		name      string
		retry     hold.Retry
		errs      []error
		runs      int
		exhausted bool
		want      error
	}{
		{"success at once", exactly(3, time.Second), []error{nil}, 1, false, nil},
		{"success at last", exactly(3, time.Second), []error{errBackend, errBackend, nil}, 3, false, nil},
		{"attempts run out", exactly(3, time.Second), []error{errBackend}, 3, true, errBackend},
		{"three by default", hold.Retry{}, []error{errBackend}, 3, true, errBackend},
		{"one attempt, which has run out", exactly(1, time.Second), []error{errBackend}, 1, true, errBackend},
		{"no count goes on until it works", exactly(-1, time.Second), append(make100(errBackend), nil), 101, false, nil},
		{"no count still honours what is final", exactly(-1, time.Second), []error{errBackend, permanent}, 2, false, errBackend},
		{"a permanent error comes back as it came", exactly(3, time.Second), []error{permanent}, 1, false, errBackend},
		{"a cancellation is final", exactly(3, time.Second), []error{context.Canceled}, 1, false, context.Canceled},
		{"the last error counts", exactly(2, time.Second), []error{errBackend, errOther}, 2, true, errOther},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrchestrator(t, orchestrator.Config{})
				b := failing(tt.errs...)
				_, err := orchestrator.Do(t.Context(), newGuard(t, o, "g", tt.retry), b.call)
				b.wants(t, tt.runs)
				if tt.want == nil {
					if err != nil {
						t.Errorf("error %v; want none", err)
					}
					return
				}
				wantIs(t, err, tt.want)
				if exhausted, ok := errors.AsType[*hold.RetryExhaustedError](err); ok != tt.exhausted {
					t.Errorf("error %v; want exhausted: %t", err, tt.exhausted)
				} else if ok && exhausted.Attempts != tt.runs {
					t.Errorf("%v; want %d attempts", err, tt.runs)
				}
			})
		})
	}
}

func make100(err error) []error {
	errs := make([]error, 100)
	for i := range errs {
		errs[i] = err
	}
	return errs
}

// TestFunctionsErrorComesBackAsItCame: the very same value, not a copy.
func TestFunctionsErrorComesBackAsItCame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{})
		own := hold.MarkPermanent(errBackend)
		g := newGuard(t, o, "g", hold.Combine(
			hold.Timeout{Duration: time.Second}, hold.Retry{}, hold.CircuitBreaker{}, hold.RateLimit{Limit: hold.PerSecond(9)},
		))
		_, err := orchestrator.Do(t.Context(), g, failing(own).call)
		if err != own { //nolint:errorlint // identity is the point
			t.Errorf("error %v; want the function's own", err)
		}
	})
}

// TestLastValueComesBack: the value is that of the attempt whose error it
// comes with.
func TestLastValueComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{})
		g := newGuard(t, o, "g", exactly(3, time.Second))
		if got, err := orchestrator.Do(t.Context(), g, failing(errBackend, nil).call); got != 2 || err != nil {
			t.Errorf("Do = %d, %v; want the second attempt's 2", got, err)
		}
		if got, err := orchestrator.Do(t.Context(), g, failing(errBackend).call); got != 3 || err == nil {
			t.Errorf("Do = %d, %v; want the third attempt's 3 beside its error", got, err)
		}
		limited := newGuard(t, o, "limited", hold.Combine(exactly(2, time.Second), hold.RateLimit{Limit: hold.Per(1, time.Hour)}))
		if got, err := orchestrator.Do(t.Context(), limited, failing(errBackend).call); got != 0 || !errors.Is(err, hold.ErrRateLimited) {
			t.Errorf("Do = %d, %v; want no value beside a refusal", got, err)
		}
	})
}

func TestRetryPauses(t *testing.T) {
	asks := func(d time.Duration) error { return hold.MarkRetryAfter(errBackend, d) }
	for _, tt := range []struct {
		name  string
		retry hold.Retry
		errs  []error
		want  time.Duration // in all
	}{
		{"between attempts only", exactly(3, time.Second), []error{errBackend}, 2 * time.Second},
		{"growing", hold.Retry{MaxAttempts: 4, Backoff: hold.Linear(time.Second, time.Second)}, []error{errBackend}, 6 * time.Second},
		{"no earlier than the dependency asked", exactly(2, time.Second), []error{asks(time.Minute)}, time.Minute},
		{"nor earlier than the backoff", exactly(2, time.Minute), []error{asks(time.Second)}, time.Minute},
		{"what one error asked for does not stay", exactly(3, time.Second), []error{asks(time.Minute), errBackend}, 61 * time.Second},
		{"asked for a time that has passed", exactly(2, time.Second), []error{asks(-time.Hour)}, time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrchestrator(t, orchestrator.Config{})
				start := time.Now()
				_, err := orchestrator.Do(t.Context(), newGuard(t, o, "g", tt.retry), failing(tt.errs...).call)
				wantIs(t, err, hold.ErrRetryExhausted)
				wantElapsed(t, start, tt.want)
			})
		})
	}
}

func TestRetryIfReplacesIsRetryable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{})
		onlyOther := orchestrator.RetryIf(func(err error) bool { return errors.Is(err, errOther) })
		g := newGuard(t, o, "g", exactly(3, time.Second), onlyOther)
		b := failing(errBackend)
		_, err := orchestrator.Do(t.Context(), g, b.call)
		b.wants(t, 1)
		wantIsNot(t, err, hold.ErrRetryExhausted)

		b = failing(hold.MarkPermanent(errOther))
		_, err = orchestrator.Do(t.Context(), g, b.call)
		b.wants(t, 3)
		wantIs(t, err, hold.ErrRetryExhausted)
	})
}

// TestCase44ContextDoneBeforeStart: nothing is begun, whatever the policy.
func TestCase44ContextDoneBeforeStart(t *testing.T) {
	why := errors.New("the caller's reason")
	for name, policy := range map[string]hold.Policy{
		"none":  hold.None{},
		"retry": hold.Retry{},
		"limit": hold.RateLimit{Limit: hold.PerSecond(5)},
		"all": hold.Combine(
			hold.Timeout{Duration: time.Second}, hold.Retry{}, hold.CircuitBreaker{}, hold.RateLimit{Limit: hold.PerSecond(5)},
		),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrchestrator(t, orchestrator.Config{})
				g := newGuard(t, o, "g", policy)
				b := failing(nil)
				ctx, cancel := context.WithCancelCause(t.Context())
				cancel(why)
				_, err := orchestrator.Do(ctx, g, b.call)
				b.wants(t, 0)
				wantIs(t, err, context.Canceled, why)

				late, cancelLate := context.WithTimeout(t.Context(), -time.Second)
				defer cancelLate()
				_, err = orchestrator.Do(late, g, b.call)
				b.wants(t, 0)
				wantIs(t, err, context.DeadlineExceeded)
				wantIsNot(t, err, hold.ErrTimeout)
			})
		})
	}
}

// TestCase44CancelledDuringPause: it returns promptly, with both facts.
func TestCase44CancelledDuringPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{})
		g := newGuard(t, o, "g", exactly(3, time.Hour))
		why := errors.New("the caller's reason")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Minute, func() { cancel(why) })
		start, b := time.Now(), failing(errBackend)
		_, err := orchestrator.Do(ctx, g, b.call)
		b.wants(t, 1)
		wantElapsed(t, start, time.Minute)
		wantIs(t, err, context.Canceled, why, errBackend)
		wantIsNot(t, err, hold.ErrRetryExhausted)
	})
}

// TestCase44CancelledDuringAttempt: there is no other attempt, and the error has
// both facts where the function's own has only one.
func TestCase44CancelledDuringAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{})
		g := newGuard(t, o, "g", exactly(3, time.Second))
		runs := 0
		why := errors.New("the caller's reason")
		ctx, cancel := context.WithCancelCause(t.Context())
		err := orchestrator.Run(ctx, g, func(context.Context) error {
			runs++
			cancel(why)
			return errBackend
		})
		if runs != 1 {
			t.Errorf("the function ran %d times; want 1", runs)
		}
		wantIs(t, err, context.Canceled, why, errBackend)
	})
}

// TestCase44PauseBeyondDeadline: waiting would be in vain, so it ends at once.
func TestCase44PauseBeyondDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{})
		g := newGuard(t, o, "g", exactly(3, time.Minute))
		for _, left := range []time.Duration{time.Second, time.Minute} {
			ctx, cancel := context.WithTimeout(t.Context(), left)
			start, b := time.Now(), failing(errBackend)
			_, err := orchestrator.Do(ctx, g, b.call)
			b.wants(t, 1)
			wantElapsed(t, start, 0)
			wantIs(t, err, context.DeadlineExceeded, errBackend)
			wantIsNot(t, err, hold.ErrRetryExhausted, hold.ErrTimeout)
			cancel()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute+1)
		defer cancel()
		b := failing(errBackend, nil)
		if _, err := orchestrator.Do(ctx, g, b.call); err != nil {
			t.Errorf("with a nanosecond left: %v", err)
		}
		b.wants(t, 2)
	})
}

// TestCase46MaxElapsed: an attempt that cannot begin in time is not waited for.
func TestCase46MaxElapsed(t *testing.T) {
	within := func(d, pause time.Duration) hold.Retry {
		return hold.Retry{MaxAttempts: hold.UnlimitedAttempts, MaxElapsed: d, Backoff: hold.Fixed(pause)}
	}
	for _, tt := range []struct {
		name  string
		retry hold.Retry
		err   error
		runs  int
		took  time.Duration
	}{
		{"pauses fit until they do not", within(10*time.Second, 3*time.Second), errBackend, 4, 9 * time.Second},
		{"one that would begin at the very end", within(9*time.Second, 3*time.Second), errBackend, 3, 6 * time.Second},
		{"not even one", within(time.Second, time.Minute), errBackend, 1, 0},
		{"the dependency asks for longer", within(10*time.Second, time.Second), hold.MarkRetryAfter(errBackend, time.Hour), 1, 0},
		{"for longer than there is", within(10*time.Second, time.Second), hold.MarkRetryAfter(errBackend, 1<<63-1), 1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrchestrator(t, orchestrator.Config{})
				start, b := time.Now(), failing(tt.err)
				_, err := orchestrator.Do(t.Context(), newGuard(t, o, "g", tt.retry), b.call)
				b.wants(t, tt.runs)
				wantElapsed(t, start, tt.took)
				wantIs(t, err, hold.ErrRetryExhausted, errBackend)
				if asked, ok := hold.RetryAfter(tt.err); ok {
					if got, still := hold.RetryAfter(err); !still || got != asked {
						t.Errorf("RetryAfter(%v) = %s, %t; want %s", err, got, still, asked)
					}
				}
			})
		})
	}
}

// TestCase46MaxElapsedCountsTheAttempts: the time that attempts took is part of
// the series.
func TestCase46MaxElapsedCountsTheAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{})
		g := newGuard(t, o, "g", hold.Retry{MaxAttempts: 9, MaxElapsed: 10 * time.Second, Backoff: hold.Fixed(time.Second)})
		runs := 0
		err := orchestrator.Run(t.Context(), g, func(context.Context) error {
			runs++
			time.Sleep(4 * time.Second)
			return errBackend
		})
		if runs != 2 {
			t.Errorf("the function ran %d times; want 2, from 0 s and 5 s", runs)
		}
		wantIs(t, err, hold.ErrRetryExhausted)
	})
}

func TestRetriesNest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{})
		g := newGuard(t, o, "g", hold.Combine(exactly(2, time.Minute), exactly(3, time.Second)))
		start, b := time.Now(), failing(errBackend)
		_, err := orchestrator.Do(t.Context(), g, b.call)
		b.wants(t, 6)
		wantElapsed(t, start, 2*2*time.Second+time.Minute)
		wantIs(t, err, hold.ErrRetryExhausted, errBackend)
	})
}

// TestRetryWaitsForTheLimit: a refusal by a limit is retried when it said.
func TestRetryWaitsForTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{})
		g := newGuard(t, o, "g", hold.Combine(exactly(2, time.Millisecond), hold.RateLimit{Limit: hold.PerMinute(1)}))
		start := time.Now()
		for range 3 {
			if _, err := orchestrator.Do(t.Context(), g, answer); err != nil {
				t.Fatal(err)
			}
		}
		wantElapsed(t, start, 2*time.Minute)
	})
}

// TestSynctestSeesNothingLeft: without parts there is nothing to close.
func TestGuardWithoutPartsStartsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := orchestrator.Bypass()
		if _, err := orchestrator.Do(t.Context(), newGuard(t, o, "g", hold.Retry{}), answer); err != nil {
			t.Error(err)
		}
		// The bubble would not end while a goroutine of o's were left.
	})
}
