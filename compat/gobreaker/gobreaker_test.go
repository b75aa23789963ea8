package gobreaker_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/compat/gobreaker"
	"github.com/holdfast-go/holdfast/domain"
	rules "github.com/holdfast-go/holdfast/domain/breaker"
	"github.com/holdfast-go/holdfast/domain/port"
)

// TestLife tells one breaker's life, by the default rule and by one of its own: to its
// user they are the same.
func TestLife(t *testing.T) {
	for name, ready := range map[string]func(gobreaker.Counts) bool{
		"shared": nil,
		"local":  func(c gobreaker.Counts) bool { return c.ConsecutiveFailures > 5 },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var changes []string
				cb := newBreaker(t, join(t, newStores()), gobreaker.Settings{
					Name: "b", MaxRequests: 2, Timeout: time.Second, ReadyToTrip: ready,
					OnStateChange: func(name string, from, to gobreaker.State) {
						changes = append(changes, fmt.Sprintf("%s: %v to %v", name, from, to))
					},
				})
				for i, step := range []struct {
					after time.Duration
					err   error // of the function
					want  error // of Execute
					state gobreaker.State
					row   uint32 // of failures
				}{
					{0, errBackend, errBackend, gobreaker.StateClosed, 1},
					{0, nil, nil, gobreaker.StateClosed, 0}, // ends the row
					{0, errBackend, errBackend, gobreaker.StateClosed, 1},
					{0, errBackend, errBackend, gobreaker.StateClosed, 2},
					{0, errBackend, errBackend, gobreaker.StateClosed, 3},
					{0, errBackend, errBackend, gobreaker.StateClosed, 4},
					{0, errBackend, errBackend, gobreaker.StateClosed, 5},
					{0, errBackend, errBackend, gobreaker.StateOpen, 0}, // six: counts begin anew
					{0, nil, gobreaker.ErrOpenState, gobreaker.StateOpen, 0},
					{999 * time.Millisecond, nil, gobreaker.ErrOpenState, gobreaker.StateOpen, 0},
					{time.Millisecond, errBackend, errBackend, gobreaker.StateOpen, 0}, // one failed trial
					{time.Second, nil, nil, gobreaker.StateHalfOpen, 0},
					{0, nil, nil, gobreaker.StateClosed, 0}, // the second success
					{0, errBackend, errBackend, gobreaker.StateClosed, 1},
				} {
					time.Sleep(step.after)
					if got := run(cb, step.err); got != step.want { //nolint:errorlint // users compare by ==
						t.Errorf("step %d: %v; want %v", i, got, step.want)
					}
					if state, counts := cb.State(), cb.Counts(); state != step.state || counts.ConsecutiveFailures != step.row {
						t.Errorf("step %d: %v, %+v; want %v, %d in a row", i, state, counts, step.state, step.row)
					}
				}
				want := []string{
					"b: closed to open", "b: open to half-open", "b: half-open to open",
					"b: open to half-open", "b: half-open to closed",
				}
				if !slices.Equal(changes, want) {
					t.Errorf("changes %q; want %q", changes, want)
				}
			})
		})
	}
}

// TestFleet has three replicas, of which a third never calls the dependency.
func TestFleet(t *testing.T) {
	for _, row := range []struct {
		name  string
		ready func(gobreaker.Counts) bool
		want  gobreaker.State // of the third
	}{
		{"the default rule is shared", nil, gobreaker.StateOpen},
		{"a closure is local", func(c gobreaker.Counts) bool { return c.ConsecutiveFailures > 5 }, gobreaker.StateClosed},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stores, settings := newStores(), gobreaker.Settings{Name: "b", ReadyToTrip: row.ready}
				a, b, c := newBreaker(t, join(t, stores), settings), newBreaker(t, join(t, stores), settings), newBreaker(t, join(t, stores), settings)
				runTimes(t, c, 1, nil)
				runTimes(t, a, 6, errBackend)
				runTimes(t, b, 6, errBackend)
				wantState(t, a, gobreaker.StateOpen)
				wantState(t, b, gobreaker.StateOpen)
				time.Sleep(3 * time.Second)
				wantState(t, c, row.want)
			})
		})
	}
}

// TestOperators are obeyed by breakers of either rule, whatever these think.
func TestOperators(t *testing.T) {
	for name, ready := range map[string]func(gobreaker.Counts) bool{
		"shared": nil,
		"local":  func(c gobreaker.Counts) bool { return c.ConsecutiveFailures > 5 },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stores := newStores()
				cb := newBreaker(t, join(t, stores), gobreaker.Settings{Name: "b", Timeout: time.Hour, ReadyToTrip: ready})
				order := func(force domain.Force) {
					in := [1]port.Order{{Breaker: port.ID{Name: "b"}, Order: rules.Order{Force: force, ForMicro: time.Minute.Microseconds(), By: "me", Reason: "a drill"}}}
					var out [1]port.OrderReply
					if stores.Operator.Order(t.Context(), in[:], out[:]); out[0].Err != nil {
						t.Fatal(out[0].Err)
					}
					time.Sleep(2 * time.Second)
				}
				runTimes(t, cb, 1, nil)
				order(domain.ForceOpen)
				wantState(t, cb, gobreaker.StateOpen)
				if err := run(cb, nil); err != gobreaker.ErrOpenState { //nolint:errorlint // users compare by ==
					t.Errorf("forced open: %v", err)
				}
				time.Sleep(time.Minute)
				runTimes(t, cb, 6, errBackend)
				wantState(t, cb, gobreaker.StateOpen)
				order(domain.ForceClosed)
				wantState(t, cb, gobreaker.StateClosed)
				runTimes(t, cb, 10, errBackend)
				time.Sleep(time.Minute)
				wantState(t, cb, gobreaker.StateOpen) // as it was before
			})
		})
	}
}

func TestTrialsAreBounded(t *testing.T) {
	for name, ready := range map[string]func(gobreaker.Counts) bool{
		"shared": nil,
		"local":  func(gobreaker.Counts) bool { return true },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cb, err := gobreaker.NewTwoStepCircuitBreaker[string](join(t, newStores()), gobreaker.Settings{Name: "b", ReadyToTrip: ready})
				if err != nil {
					t.Fatal(err)
				}
				for cb.State() == gobreaker.StateClosed {
					done, err := cb.Allow()
					if err != nil {
						t.Fatal(err)
					}
					done(errBackend)
				}
				time.Sleep(time.Minute)
				done, err := cb.Allow()
				if err != nil {
					t.Fatal(err)
				}
				if _, err := cb.Allow(); err != gobreaker.ErrTooManyRequests { //nolint:errorlint // users compare by ==
					t.Errorf("a second one: %v; want ErrTooManyRequests", err)
				}
				done(nil)
				done(errBackend) // the first one counts
				if cb.State() != gobreaker.StateClosed || cb.Name() != "b" || cb.Counts() != (gobreaker.Counts{}) {
					t.Errorf("%s is %v, %+v; want b closed, nothing counted", cb.Name(), cb.State(), cb.Counts())
				}
			})
		})
	}
}

func TestOutcomes(t *testing.T) {
	is := func(target error) func(error) bool { return func(err error) bool { return errors.Is(err, target) } }
	failure := gobreaker.Counts{Requests: 1, TotalFailures: 1, ConsecutiveFailures: 1}
	success := gobreaker.Counts{Requests: 1, TotalSuccesses: 1, ConsecutiveSuccesses: 1}
	exclusion := gobreaker.Counts{Requests: 1, TotalExclusions: 1}
	for _, row := range []struct {
		name             string
		success, exclude func(error) bool
		err              error
		want             gobreaker.Counts
	}{
		{"no error", nil, nil, nil, success},
		{"an error", nil, nil, errBackend, failure},
		{"a cancellation", nil, nil, context.Canceled, exclusion},
		{"one that says so itself", nil, nil, domain.MarkIgnored(errBackend), exclusion},
		{"one that IsSuccessful takes", is(errBackend), nil, errBackend, success},
		{"a cancellation that it does not take", is(errBackend), nil, context.Canceled, failure},
		{"no error, which it does not take", is(errBackend), nil, nil, failure},
		{"one that IsExcluded takes", nil, is(errBackend), errBackend, exclusion},
		{"a cancellation that it does not take either", nil, is(errBackend), context.Canceled, failure},
		{"no error, beside IsExcluded", nil, is(errBackend), nil, success},
		{"IsExcluded is asked first", is(errBackend), is(errBackend), errBackend, exclusion},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cb := newBreaker(t, join(t, newStores()), gobreaker.Settings{Name: "b", IsSuccessful: row.success, IsExcluded: row.exclude})
				if err := run(cb, row.err); err != row.err { //nolint:errorlint // it comes back as it was
					t.Errorf("Execute = %v; want %v", err, row.err)
				}
				if got := cb.Counts(); got != row.want {
					t.Errorf("Counts() = %+v; want %+v", got, row.want)
				}
			})
		})
	}
}

// TestReplicasOwnTrouble counts here and opens here, and is no vote.
func TestReplicasOwnTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores, settings := newStores(), gobreaker.Settings{Name: "b", IsSuccessful: func(err error) bool { return err == nil }}
		a, b, c := newBreaker(t, join(t, stores), settings), newBreaker(t, join(t, stores), settings), newBreaker(t, join(t, stores), settings)
		runTimes(t, c, 1, nil)
		own := domain.MarkLocal(errBackend)
		runTimes(t, a, 6, own)
		runTimes(t, b, 6, own)
		wantState(t, a, gobreaker.StateOpen)
		time.Sleep(3 * time.Second)
		wantState(t, c, gobreaker.StateClosed)
	})
}

func TestCountsLeave(t *testing.T) {
	for _, row := range []struct {
		name   string
		bucket time.Duration
		want   []uint32 // requests after 0, 1 … seconds, with one call each second
	}{
		{"all at once", 0, []uint32{1, 2, 3, 1, 2, 3, 1}},
		{"bit by bit", time.Second, []uint32{1, 2, 3, 3, 3, 3, 3}},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cb := newBreaker(t, join(t, newStores()), gobreaker.Settings{Name: "b", Interval: 3 * time.Second, BucketPeriod: row.bucket})
				for i, want := range row.want {
					runTimes(t, cb, 1, nil)
					if got := cb.Counts(); got.Requests != want || got.TotalSuccesses != want {
						t.Errorf("after %d s: %+v; want %d", i, got, want)
					}
					time.Sleep(time.Second)
				}
				for range 3 {
					cb.State()
					time.Sleep(time.Second)
				}
				if got := cb.Counts(); got != (gobreaker.Counts{}) {
					t.Errorf("in the end: %+v; want none", got)
				}
			})
		})
	}
}

// TestLateResults counts no call that began before the counts did.
func TestLateResults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cb, err := gobreaker.NewTwoStepCircuitBreaker[string](join(t, newStores()), gobreaker.Settings{
			Name: "b", Interval: time.Second, ReadyToTrip: func(gobreaker.Counts) bool { return true },
		})
		if err != nil {
			t.Fatal(err)
		}
		done, err := cb.Allow()
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		done(errBackend)
		if got := cb.Counts(); got != (gobreaker.Counts{}) || cb.State() != gobreaker.StateClosed {
			t.Errorf("%v, %+v; want closed, and nothing counted", cb.State(), got)
		}
	})
}

// TestWhatDoesNotReturn fails as an error does, and passes through.
func TestWhatDoesNotReturn(t *testing.T) {
	for name, leave := range map[string]func(){
		"a panic": func() { panic("as it was") },
		"goexit":  runtime.Goexit,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cb := newBreaker(t, join(t, newStores()), gobreaker.Settings{Name: "b"})
				for range 6 {
					ended := make(chan any, 1)
					go func() {
						defer func() { ended <- recover() }()
						_, _ = cb.Execute(func() (string, error) {
							leave()
							return "", nil
						})
					}()
					if got := <-ended; name == "a panic" && got != "as it was" {
						t.Errorf("recovered %v", got)
					}
				}
				wantState(t, cb, gobreaker.StateOpen)
			})
		})
	}
}

// TestWhoIsToldMayUseTheBreaker hears of changes with nothing locked, in order.
func TestWhoIsToldMayUseTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cb *breaker
		var seen []gobreaker.State
		cb = newBreaker(t, join(t, newStores()), gobreaker.Settings{Name: "b", OnStateChange: func(_ string, _, to gobreaker.State) {
			if to == gobreaker.StateOpen {
				time.Sleep(time.Minute)
				cb.State() // finds it half-open, of which is told next
			}
			seen = append(seen, to)
		}})
		runTimes(t, cb, 6, errBackend)
		if want := []gobreaker.State{gobreaker.StateOpen, gobreaker.StateHalfOpen}; !slices.Equal(seen, want) {
			t.Errorf("told %v; want %v", seen, want)
		}
	})
}

func TestSettingsThatAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := join(t, newStores())
		newBreaker(t, o, gobreaker.Settings{Name: "taken"})
		for _, row := range []struct {
			name     string
			settings gobreaker.Settings
			want     error
		}{
			{"no name", gobreaker.Settings{}, domain.ErrInvalidPolicy},
			{"a name with a space", gobreaker.Settings{Name: "HTTP GET"}, domain.ErrInvalidPolicy},
			{"too short a timeout", gobreaker.Settings{Name: "b", Timeout: time.Microsecond}, domain.ErrInvalidPolicy},
			{"too many buckets", gobreaker.Settings{Name: "b", Interval: time.Hour, BucketPeriod: time.Millisecond}, domain.ErrInvalidPolicy},
			{"another breaker of that name", gobreaker.Settings{Name: "taken", Timeout: time.Second}, domain.ErrConflict},
			{"the same once more", gobreaker.Settings{Name: "taken"}, nil},
		} {
			_, one := gobreaker.NewCircuitBreaker[int](o, row.settings)
			_, two := gobreaker.NewTwoStepCircuitBreaker[int](o, row.settings)
			if !errors.Is(one, row.want) || !errors.Is(two, row.want) {
				t.Errorf("%s: %v, %v; want %v", row.name, one, two, row.want)
			}
		}
	})
}

func TestRefusals(t *testing.T) {
	for _, err := range []error{gobreaker.ErrOpenState, gobreaker.ErrTooManyRequests} {
		if !errors.Is(err, domain.ErrCircuitOpen) || domain.IsRetryable(err) || domain.Classify(err) != domain.Ignored {
			t.Errorf("%v: guards around do not take it for a refusal by a breaker", err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		o := join(t, newStores())
		cb := newBreaker(t, o, gobreaker.Settings{Name: "b"})
		runTimes(t, cb, 6, errBackend)
		if err := o.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := run(cb, nil); !errors.Is(err, domain.ErrClosed) {
			t.Errorf("after Close: %v; want ErrClosed", err)
		}
	})
}

func TestStateText(t *testing.T) {
	for state, want := range map[gobreaker.State]string{
		gobreaker.StateClosed: "closed", gobreaker.StateHalfOpen: "half-open", gobreaker.StateOpen: "open", 7: "unknown state: 7",
	} {
		if got := state.String(); got != want {
			t.Errorf("String() = %q; want %q", got, want)
		}
	}
}
