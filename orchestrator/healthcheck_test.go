package orchestrator_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
)

// A breaker recovers by its health check, on one replica; callers are never let through
// to find out, and are from the moment on that it is well.
func TestHealthCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := fleetOf(t, 2, memory.New(memory.Options{}).Stores(), orchestrator.Config{})
		var down atomic.Bool
		var checks [2]atomic.Int32
		guards := make([]*orchestrator.Guard, 2)
		down.Store(true)
		dependency := func(context.Context) error {
			if down.Load() {
				return errBackend
			}
			return nil
		}
		for i, o := range all {
			guards[i] = newGuard(t, o, "payments", hold.CircuitBreaker{})
			if err := o.HealthCheck("payments", func(ctx context.Context) error {
				checks[i].Add(1)
				return dependency(ctx)
			}); err != nil {
				t.Fatal(err)
			}
		}
		var harmed atomic.Int32
		load := func(d time.Duration) {
			var done sync.WaitGroup
			for _, g := range guards {
				done.Go(func() {
					for start := time.Now(); time.Since(start) < d; time.Sleep(10 * time.Millisecond) {
						if err := orchestrator.Run(t.Context(), g, dependency); errors.Is(err, errBackend) {
							harmed.Add(1)
						}
					}
				})
			}
			done.Wait()
		}
		load(time.Second)
		if n := harmed.Swap(0); n < 10 || n > 20 {
			t.Errorf("%d calls failed until it opened", n)
		}
		load(5 * time.Minute)
		if n := harmed.Load(); n != 0 {
			t.Errorf("%d calls were let through while it was down", n)
		}
		if a, b := checks[0].Load(), checks[1].Load(); a+b < 3 || a+b > 20 {
			t.Errorf("it was checked %d and %d times", a, b)
		}
		down.Store(false)
		load(5 * time.Minute)
		for i, o := range all {
			if s := findBreaker(t, o, "payments").Status(); s.State != hold.StateClosed {
				t.Errorf("replica %d: it is %s", i, s.State)
			}
			if err := orchestrator.Run(t.Context(), guards[i], dependency); err != nil {
				t.Error(err)
			}
		}
		before := checks[0].Load() + checks[1].Load()
		load(5 * time.Minute)
		if checks[0].Load()+checks[1].Load() != before {
			t.Error("it was checked while it was closed")
		}
	})
}

// How the errors of a check are read: as those of calls; its own end is a failure, and
// that of its replica says nothing.
func TestHowChecksAreRead(t *testing.T) {
	for name, tt := range map[string]struct {
		classify func(error) hold.Outcome
		check    func(ctx context.Context) error
		want     hold.State
	}{
		"it is well":           {nil, func(context.Context) error { return nil }, hold.StateClosed},
		"it fails":             {nil, func(context.Context) error { return errBackend }, hold.StateOpen},
		"the error is ignored": {nil, func(context.Context) error { return hold.MarkIgnored(errBackend) }, hold.StateHalfOpen},
		"so says a classifier": {
			func(err error) hold.Outcome {
				if errors.Is(err, errOther) {
					return hold.Ignored
				}
				return hold.Failure
			},
			func(context.Context) error { return errOther }, hold.StateHalfOpen,
		},
		"it takes too long, and says that it was cancelled": {
			nil, func(ctx context.Context) error { <-ctx.Done(); return context.Canceled }, hold.StateOpen,
		},
		"it panics": {nil, func(context.Context) error { panic("boom") }, hold.StateOpen},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := fleetOf(t, 1, memory.New(memory.Options{}).Stores(), orchestrator.Config{Classify: tt.classify})[0]
				g := newGuard(t, o, "b", hold.CircuitBreaker{Sharing: hold.ShareAny, MaxHalfOpen: time.Hour, SuccessThreshold: 1, ProbeLease: 5 * time.Second})
				if err := o.HealthCheck("b", tt.check); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				for range 6 {
					_, _ = orchestrator.Do(t.Context(), g, failing(errBackend).call)
					synctest.Wait()
				}
				if s := findBreaker(t, o, "b").Status(); s.Fleet != hold.StateOpen {
					t.Fatalf("it is %s", s.Fleet)
				}
				time.Sleep(38 * time.Second)
				if s := findBreaker(t, o, "b").Status(); s.Fleet != tt.want {
					t.Errorf("it is %s; want %s", s.Fleet, tt.want)
				}
			})
		})
	}
}

// What cannot be checked says why.
func TestHealthChecksThatAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		well := func(context.Context) error { return nil }
		o := newOrchestrator(t, orchestrator.Config{})
		newGuard(t, o, "b", hold.CircuitBreaker{})
		newGuard(t, o, "own", hold.CircuitBreaker{Sharing: hold.ShareLocal})
		stores := memory.New(memory.Options{}).Stores()
		stores.Locks = port.LockStore(nil)
		without := fleetOf(t, 1, stores, orchestrator.Config{})[0]
		newGuard(t, without, "b", hold.CircuitBreaker{})
		for _, tt := range []struct {
			name    string
			o       *orchestrator.Orchestrator
			breaker string
			check   func(context.Context) error
			want    error
		}{
			{"no check", o, "b", nil, hold.ErrInvalidPolicy},
			{"no breaker", o, "c", well, hold.ErrInvalidPolicy},
			{"not shared", o, "own", well, hold.ErrInvalidPolicy},
			{"no locks", without, "b", well, hold.ErrInvalidPolicy},
			{"the first", o, "b", well, nil},
			{"a second", o, "b", well, hold.ErrConflict},
			{"where nothing opens", orchestrator.Bypass(), "b", well, nil},
		} {
			if err := tt.o.HealthCheck(tt.breaker, tt.check); !errors.Is(err, tt.want) {
				t.Errorf("%s: %v; want %v", tt.name, err, tt.want)
			}
		}
	})
}
