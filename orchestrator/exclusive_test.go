package orchestrator_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/internal/leaktest"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
)

// fleetOf joins some replicas of one fleet.
func fleetOf(t *testing.T, n int, stores port.Stores, c orchestrator.Config) []*orchestrator.Orchestrator {
	t.Helper()
	leaktest.Check(t)
	all := make([]*orchestrator.Orchestrator, n)
	for i := range all {
		o, err := orchestrator.New(stores, c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := o.Close(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
		})
		all[i] = o
	}
	return all
}

// An operation runs once in the fleet at a time, and each time with a higher token. One
// that is refused counts nothing against the dependency, and the lock is free after any
// end of a call.
func TestExclusiveStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen summaries
		all := fleetOf(t, 2, memory.New(memory.Options{}).Stores(), orchestrator.Config{Observer: &seen})
		p := hold.Combine(hold.CircuitBreaker{}, hold.Exclusive{}, hold.Timeout{Duration: 5 * time.Second})
		guards := []*orchestrator.Guard{newGuard(t, all[0], "g", p), newGuard(t, all[1], "g", p)}
		var tokens []uint64
		end := func() error { return nil }
		run := func(g *orchestrator.Guard) {
			var done sync.WaitGroup
			done.Go(func() { // Goexit ends it
				defer func() { _ = recover() }()
				_ = orchestrator.Run(t.Context(), g, func(ctx context.Context) error {
					token, ok := orchestrator.Fence(ctx)
					if !ok {
						t.Error("there is no token")
					}
					tokens = append(tokens, token)
					for here, g := range map[bool]*orchestrator.Guard{g == guards[0]: guards[0], g == guards[1]: guards[1]} {
						_, err := orchestrator.Do(t.Context(), g, answer)
						held, ok := errors.AsType[*hold.ExclusiveError](err)
						if !ok || *held != (hold.ExclusiveError{Name: "g", Here: here}) {
							t.Errorf("error %v; want it held, here: %t", err, here)
						}
					}
					return end()
				})
			})
			done.Wait()
		}
		for i, e := range []func() error{
			end, func() error { return errBackend }, func() error { panic("boom") }, func() error { runtime.Goexit(); return nil }, end,
		} {
			end = e
			run(guards[i%2])
		}
		for i := 1; i < len(tokens); i++ {
			if tokens[i] <= tokens[i-1] {
				t.Errorf("the tokens do not grow: %v", tokens)
			}
		}
		if len(tokens) != 5 {
			t.Errorf("it ran %d times; want 5", len(tokens))
		}
		if first := seen.all()[0]; first.RefusedBy != orchestrator.PartExclusive || first.RefusedName != "g" || first.Attempts != 0 {
			t.Errorf("%+v; want that the exclusive refused", first)
		}
		wantClosed(t, all[0], "g", 3, 1)
		wantClosed(t, all[1], "g", 2, 2)
		if _, ok := orchestrator.Fence(t.Context()); ok {
			t.Error("there is a token outside of any guard")
		}
	})
}

// What an end of the hold means to the caller, and to breakers around it and inside.
func TestHowAHoldEnds(t *testing.T) {
	for _, tt := range []struct {
		name      string
		ends      func(o *orchestrator.Orchestrator, cancel context.CancelFunc)
		err       error // what the function returns; nil: what its context says
		want, not error
		inside    hold.Outcome // what the breaker inside counts
		around    hold.Outcome
	}{
		{"it takes longer than MaxHold", func(*orchestrator.Orchestrator, context.CancelFunc) {}, nil, hold.ErrTimeout, hold.ErrLockLost, hold.Failure, hold.Failure},
		{
			"the replica closes", func(o *orchestrator.Orchestrator, _ context.CancelFunc) { _ = o.Close(context.Background()) },
			nil, hold.ErrLockLost, hold.ErrTimeout, hold.Ignored, hold.Ignored,
		},
		{
			"and what the function says is kept", func(o *orchestrator.Orchestrator, _ context.CancelFunc) { _ = o.Close(context.Background()) },
			errBackend, errBackend, hold.ErrTimeout, hold.Ignored, hold.Ignored,
		},
		{
			"the caller leaves", func(_ *orchestrator.Orchestrator, cancel context.CancelFunc) { cancel() },
			nil, context.Canceled, hold.ErrLockLost, hold.Ignored, hold.Ignored,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				outcomes := make(map[string]hold.Outcome)
				sees := func(breaker string) orchestrator.GuardOption {
					return orchestrator.ClassifyFor(breaker, func(err error) hold.Outcome {
						outcomes[breaker] = hold.Classify(err)
						return outcomes[breaker]
					})
				}
				o := fleetOf(t, 1, memory.New(memory.Options{}).Stores(), orchestrator.Config{})[0]
				g := newGuard(t, o, "g", hold.Combine(
					hold.CircuitBreaker{Name: "around", ProbeLease: time.Minute}, hold.Exclusive{MaxHold: 10 * time.Second}, hold.CircuitBreaker{Name: "inside"},
				), sees("around"), sees("inside"))
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				time.AfterFunc(9*time.Second, func() { tt.ends(o, cancel) })
				err := orchestrator.Run(ctx, g, func(ctx context.Context) error {
					<-ctx.Done()
					if tt.err != nil {
						return tt.err
					}
					return ctx.Err()
				})
				wantIs(t, err, tt.want)
				wantIsNot(t, err, tt.not)
				if outcomes["inside"] != tt.inside || outcomes["around"] != tt.around {
					t.Errorf("the breakers inside and around saw %v; want %s and %s", outcomes, tt.inside, tt.around)
				}
			})
		})
	}
}

// Around a retry it is one hold for the series; inside, one for each attempt, and a
// refusal is an attempt.
func TestExclusiveAndRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{})
		for name, tt := range map[string]struct {
			policy hold.Policy
			tokens int
		}{
			"around": {hold.Combine(hold.Exclusive{}, exactly(3, time.Second)), 1},
			"inside": {hold.Combine(exactly(3, time.Second), hold.Exclusive{}), 3},
		} {
			g := newGuard(t, o, name, tt.policy)
			tokens, runs := make(map[uint64]bool), 0
			err := orchestrator.Run(t.Context(), g, func(ctx context.Context) error {
				token, _ := orchestrator.Fence(ctx)
				tokens[token] = true
				runs++
				return errBackend
			})
			wantIs(t, err, hold.ErrRetryExhausted, errBackend)
			if len(tokens) != tt.tokens || runs != 3 {
				t.Errorf("%s: %d runs under %d tokens; want 3 under %d", name, runs, len(tokens), tt.tokens)
			}
		}
		inside := newGuard(t, o, "inside", hold.Combine(exactly(3, time.Second), hold.Exclusive{}))
		start := time.Now()
		err := orchestrator.Run(t.Context(), inside, func(ctx context.Context) error {
			return orchestrator.Run(ctx, inside, func(context.Context) error { return nil })
		})
		wantIs(t, err, hold.ErrRetryExhausted, hold.ErrNotExclusive)
		wantElapsed(t, start, 3*2*time.Second+2*time.Second)
	})
}

// A policy that cannot be meant, or needs what the store has not, is refused when its
// guard is made; an Update is in force for the calls after it.
func TestExclusivesOfGuards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{})
		g := newGuard(t, o, "g", hold.Exclusive{MaxHold: time.Second})
		within := func(want time.Duration) {
			t.Helper()
			start := time.Now()
			_ = orchestrator.Run(t.Context(), g, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
			wantElapsed(t, start, want)
		}
		within(time.Second)
		if err := o.Update("g", hold.Combine(hold.Exclusive{MaxHold: 3 * time.Second})); err != nil {
			t.Fatal(err)
		}
		within(3 * time.Second)
		for name, tt := range map[string]struct {
			policy hold.Policy
			want   error
		}{
			"other numbers":      {hold.Exclusive{Name: "g"}, hold.ErrConflict},
			"twice":              {hold.Combine(hold.Exclusive{}, hold.Exclusive{}), hold.ErrInvalidPolicy},
			"invalid":            {hold.Exclusive{Lease: 1}, hold.ErrInvalidPolicy},
			"a name":             {hold.Exclusive{Name: "}"}, hold.ErrInvalidPolicy},
			"outlives a probe":   {hold.Combine(hold.CircuitBreaker{}, hold.Exclusive{}), hold.ErrInvalidPolicy},
			"waits for too long": {hold.Combine(hold.CircuitBreaker{}, hold.Exclusive{MaxWait: 20 * time.Second, MaxHold: time.Second}), hold.ErrInvalidPolicy},
			"holds not too long": {hold.Combine(hold.CircuitBreaker{Name: "a"}, hold.Exclusive{Name: "a", MaxHold: 5 * time.Second}), nil},
			"ends before its timeout": {
				hold.Combine(hold.CircuitBreaker{Name: "c"}, hold.Exclusive{Name: "c", MaxHold: 5 * time.Second}, hold.Timeout{Duration: time.Minute}), nil,
			},
			"nor does its timeout": {hold.Combine(hold.CircuitBreaker{Name: "b"}, hold.Exclusive{Name: "b"}, hold.Timeout{Duration: time.Second}), nil},
		} {
			if _, err := o.Guard("h."+string(name[0])+string(name[len(name)-1]), tt.policy); !errors.Is(err, tt.want) {
				t.Errorf("%s: %v; want %v", name, err, tt.want)
			}
		}
		bare, err := orchestrator.New(port.Stores{}, orchestrator.Config{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := bare.Guard("g", hold.Exclusive{}); !errors.Is(err, hold.ErrInvalidPolicy) {
			t.Errorf("a store without locks: %v", err)
		}
		if _, err := orchestrator.Bypass().Guard("g", hold.Exclusive{}); err != nil {
			t.Errorf("where nothing is protected: %v", err)
		}
		if _, err := orchestrator.ExecuteWithPolicy(t.Context(), o, hold.Exclusive{}, answer); !errors.Is(err, hold.ErrInvalidPolicy) {
			t.Errorf("without any name: %v", err)
		}
	})
}

// deadLocks is a store of locks that does not answer.
type deadLocks struct{}

func (deadLocks) Lock(ctx context.Context, _ port.ID, _ time.Duration) (port.Lock, bool, error) {
	<-ctx.Done()
	return nil, false, &hold.StoreError{Op: "lock take", Err: context.Cause(ctx)}
}

// Without the store nothing runs, within one StoreTimeout for all attempts together.
func TestExclusiveWithoutTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := fleetOf(t, 1, port.Stores{Locks: deadLocks{}}, orchestrator.Config{})[0]
		g := newGuard(t, o, "g", hold.Combine(exactly(5, time.Second), hold.Exclusive{MaxWait: time.Minute}))
		b, start := failing(nil), time.Now()
		_, err := orchestrator.Do(t.Context(), g, b.call)
		wantIs(t, err, hold.ErrStoreUnavailable, hold.ErrRetryExhausted)
		b.wants(t, 0)
		wantElapsed(t, start, 4*time.Second+fleet.DefaultStoreTimeout)
	})
}
