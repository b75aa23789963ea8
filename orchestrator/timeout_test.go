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

// hang waits for ctx, as a function that honours it does.
func hang(ctx context.Context) (int, error) {
	<-ctx.Done()
	return 0, ctx.Err()
}

// hangAndSayWhy waits likewise, and returns the cause.
func hangAndSayWhy(ctx context.Context) (int, error) {
	<-ctx.Done()
	return 0, context.Cause(ctx)
}

func TestTimeout(t *testing.T) {
	sleepThen := func(d time.Duration, err error) func(context.Context) (int, error) {
		return func(context.Context) (int, error) {
			time.Sleep(d)
			return 7, err
		}
	}
	for _, tt := range []struct {
		name string
		fn   func(context.Context) (int, error)
		took time.Duration
		late bool  // a TimeoutError is wanted
		want error // nil: none
	}{
		{"in time", answer, 0, false, nil},
		{"its own error in time", sleepThen(0, errBackend), 0, false, errBackend},
		{"a function that honours its context", hang, time.Second, true, context.DeadlineExceeded},
		{"one that says why", hangAndSayWhy, time.Second, true, hold.ErrTimeout},
		{"one that does not, and fails", sleepThen(time.Minute, errBackend), time.Minute, true, errBackend},
		{"one that does not, and succeeds", sleepThen(time.Minute, nil), time.Minute, false, nil},
		{"a deadline of the function's own", sleepThen(0, context.DeadlineExceeded), 0, false, context.DeadlineExceeded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrchestrator(t, orchestrator.Config{})
				start := time.Now()
				_, err := orchestrator.Do(t.Context(), newGuard(t, o, "g", hold.Timeout{Duration: time.Second}), tt.fn)
				wantElapsed(t, start, tt.took)
				if tt.want == nil && err != nil {
					t.Errorf("error %v; want none", err)
				}
				if tt.want != nil {
					wantIs(t, err, tt.want)
				}
				if late, ok := errors.AsType[*hold.TimeoutError](err); ok != tt.late || ok && late.After != time.Second {
					t.Errorf("error %v; want a TimeoutError after 1s: %t", err, tt.late)
				}
			})
		})
	}
}

// TestCallersEndIsTheCallersError: whose deadline it was decides, not whose
// context the function saw.
func TestCallersEndIsTheCallersError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{})
		g := newGuard(t, o, "g", hold.Timeout{Duration: time.Minute})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := orchestrator.Do(ctx, g, hang)
		wantIs(t, err, context.DeadlineExceeded)
		wantIsNot(t, err, hold.ErrTimeout)

		cancelled, stop := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, stop)
		_, err = orchestrator.Do(cancelled, g, hang)
		wantIs(t, err, context.Canceled)
		wantIsNot(t, err, hold.ErrTimeout)

		// A caller's own TimeoutError, from a guard of someone else's, is theirs too.
		theirs, end := context.WithTimeoutCause(t.Context(), time.Second, &hold.TimeoutError{After: time.Second})
		defer end()
		_, err = orchestrator.Do(theirs, g, hang)
		if _, ok := errors.AsType[*hold.TimeoutError](err); ok {
			t.Errorf("error %v; want the context's own", err)
		}
	})
}

// TestNestedTimeouts: the error is that of the deadline that passed.
func TestNestedTimeouts(t *testing.T) {
	for name, timeouts := range map[string][2]time.Duration{
		"the outer one is nearer": {time.Second, time.Minute},
		"the inner one is nearer": {time.Minute, time.Second},
		"they are equal":          {time.Second, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrchestrator(t, orchestrator.Config{})
				g := newGuard(t, o, "g", hold.Combine(hold.Timeout{Duration: timeouts[0]}, hold.Timeout{Duration: timeouts[1]}))
				_, err := orchestrator.Do(t.Context(), g, hang)
				late, ok := errors.AsType[*hold.TimeoutError](err)
				if !ok || late.After != time.Second {
					t.Fatalf("error %v; want a TimeoutError after 1s", err)
				}
				if _, twice := errors.AsType[*hold.TimeoutError](late.Err); twice && timeouts[0] != timeouts[1] {
					t.Errorf("both timeouts claim it: %v", late.Err)
				}
			})
		})
	}
}

// TestGuardInsideItself: one guard around itself has the same deadline twice,
// and still tells them apart.
func TestGuardInsideItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{})
		g := newGuard(t, o, "g", hold.Timeout{Duration: time.Minute})
		var inner error
		_, outer := orchestrator.Do(t.Context(), g, func(ctx context.Context) (int, error) {
			time.Sleep(time.Second) // so that the outer deadline passes first
			_, inner = orchestrator.Do(ctx, g, hang)
			return 0, inner
		})
		if _, ok := errors.AsType[*hold.TimeoutError](inner); ok {
			t.Errorf("the inner call's error is %v; want the context's own, as the outer deadline passed", inner)
		}
		wantIs(t, outer, hold.ErrTimeout)
	})
}

// TestCase34RetryAroundTimeout: each attempt has a deadline of its own.
func TestCase34RetryAroundTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{})
		g := newGuard(t, o, "g", hold.Combine(exactly(3, time.Minute), hold.Timeout{Duration: time.Second}))
		start, runs := time.Now(), 0
		_, err := orchestrator.Do(t.Context(), g, func(ctx context.Context) (int, error) {
			runs++
			return hang(ctx)
		})
		if runs != 3 {
			t.Errorf("the function ran %d times; want 3", runs)
		}
		wantElapsed(t, start, 3*time.Second+2*time.Minute)
		wantIs(t, err, hold.ErrRetryExhausted, hold.ErrTimeout, context.DeadlineExceeded)
	})
}

// TestCase34TimeoutAroundRetry: one deadline for all. It cuts the attempt in
// progress, and a pause that would pass it ends at once.
func TestCase34TimeoutAroundRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{})
		g := newGuard(t, o, "g", hold.Combine(hold.Timeout{Duration: 10 * time.Second}, exactly(9, time.Second)))
		start := time.Now()
		_, err := orchestrator.Do(t.Context(), g, func(ctx context.Context) (int, error) {
			select {
			case <-ctx.Done():
				return 0, ctx.Err()
			case <-time.After(4 * time.Second): // 0 to 4, 5 to 9, 10 never
				return 0, errBackend
			}
		})
		wantElapsed(t, start, 9*time.Second)
		wantIs(t, err, context.DeadlineExceeded, errBackend)
		wantIsNot(t, err, hold.ErrRetryExhausted)

		start = time.Now()
		_, err = orchestrator.Do(t.Context(), g, hang)
		wantElapsed(t, start, 10*time.Second)
		wantIs(t, err, hold.ErrTimeout)
		wantIsNot(t, err, hold.ErrRetryExhausted)
	})
}

// TestCase34PauseIsInterrupted: a caller that goes away during a pause inside a
// timeout is heard at once.
func TestCase34PauseIsInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{})
		g := newGuard(t, o, "g", hold.Combine(hold.Timeout{Duration: time.Hour}, exactly(2, time.Minute)))
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		_, err := orchestrator.Do(ctx, g, failing(errBackend).call)
		wantElapsed(t, start, time.Second)
		wantIs(t, err, context.Canceled, errBackend)
		wantIsNot(t, err, hold.ErrTimeout)
	})
}

// TestContextOfATimeout looks at the context that a function gets: it keeps the
// promises of package context although it is not one of that package's.
func TestContextOfATimeout(t *testing.T) {
	type key struct{}
	in := func(t *testing.T, parent func(*testing.T) context.Context, look func(t *testing.T, ctx context.Context)) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			o := newOrchestrator(t, orchestrator.Config{})
			g := newGuard(t, o, "g", hold.Timeout{Duration: time.Minute})
			err := orchestrator.Run(parent(t), g, func(ctx context.Context) error {
				look(t, ctx)
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	plain := func(t *testing.T) context.Context {
		t.Helper()
		return context.WithValue(t.Context(), key{}, "value")
	}
	ended := func(t *testing.T, ctx context.Context, err, cause error) {
		t.Helper()
		if ctx.Err() != err || !errors.Is(context.Cause(ctx), cause) { //nolint:errorlint // Err returns the sentinels themselves
			t.Errorf("Err() = %v, Cause = %v; want %v, %v", ctx.Err(), context.Cause(ctx), err, cause)
		}
		select {
		case <-ctx.Done():
		default:
			t.Error("Done() is not closed")
		}
	}

	t.Run("before its end", func(t *testing.T) {
		in(t, plain, func(t *testing.T, ctx context.Context) {
			t.Helper()
			if at, ok := ctx.Deadline(); !ok || time.Until(at) != time.Minute {
				t.Errorf("Deadline() = %s, %t; want in 1m", at, ok)
			}
			if ctx.Err() != nil || context.Cause(ctx) != nil || ctx.Value(key{}) != "value" {
				t.Errorf("Err() = %v, Cause = %v, Value = %v", ctx.Err(), context.Cause(ctx), ctx.Value(key{}))
			}
			first := ctx.Done()
			if again := ctx.Done(); again != first {
				t.Error("Done() changes")
			}
		})
	})
	t.Run("a caller's nearer deadline", func(t *testing.T) {
		nearer := func(t *testing.T) context.Context {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			t.Cleanup(cancel)
			return ctx
		}
		in(t, nearer, func(t *testing.T, ctx context.Context) {
			t.Helper()
			if at, ok := ctx.Deadline(); !ok || time.Until(at) != time.Second {
				t.Errorf("Deadline() = %s, %t; want in 1s", at, ok)
			}
			time.Sleep(time.Second + 1)
			ended(t, ctx, context.DeadlineExceeded, context.DeadlineExceeded)
		})
	})
	t.Run("at its end, to one who only asks then", func(t *testing.T) {
		in(t, plain, func(t *testing.T, ctx context.Context) {
			t.Helper()
			time.Sleep(time.Minute)
			if cause := context.Cause(ctx); !errors.Is(cause, hold.ErrTimeout) {
				t.Errorf("Cause = %v before anything else was asked", cause)
			}
			ended(t, ctx, context.DeadlineExceeded, hold.ErrTimeout)
		})
	})
	t.Run("a caller that goes away", func(t *testing.T) {
		why := errors.New("the caller's reason")
		leaving := func(t *testing.T) context.Context {
			t.Helper()
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(time.Second, func() { cancel(why) })
			return ctx
		}
		in(t, leaving, func(t *testing.T, ctx context.Context) {
			t.Helper()
			time.Sleep(time.Second + 1)
			ended(t, ctx, context.Canceled, why)
			time.Sleep(time.Hour) // its own deadline does not change that any more
			ended(t, ctx, context.Canceled, why)
		})
	})
	t.Run("children", func(t *testing.T) {
		in(t, plain, func(t *testing.T, ctx context.Context) {
			t.Helper()
			child, cancel := context.WithCancel(context.WithValue(ctx, "k", 1)) //nolint:revive,staticcheck // any key will do
			defer cancel()
			heard := make(chan struct{})
			context.AfterFunc(ctx, func() { close(heard) })
			<-heard
			ended(t, child, context.DeadlineExceeded, hold.ErrTimeout)
		})
	})
	t.Run("after the call", func(t *testing.T) {
		for _, waitedFor := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				o := newOrchestrator(t, orchestrator.Config{})
				var kept context.Context
				g := newGuard(t, o, "g", hold.Timeout{Duration: time.Minute})
				_, err := orchestrator.Do(plain(t), g, func(ctx context.Context) (int, error) {
					kept = ctx //nolint:fatcontext // to look at it afterwards
					if waitedFor {
						ctx.Done()
					}
					return 0, nil
				})
				if err != nil {
					t.Error(err)
				}
				ended(t, kept, context.Canceled, context.Canceled)
				if kept.Value(key{}) != "value" {
					t.Error("its values are gone")
				}
				time.Sleep(time.Hour)
				ended(t, kept, context.Canceled, context.Canceled)
			})
		}
	})
	t.Run("as text", func(t *testing.T) {
		in(t, plain, func(t *testing.T, ctx context.Context) {
			t.Helper()
			if fmt.Sprint(ctx) == "" {
				t.Error("no text")
			}
		})
	})
}
