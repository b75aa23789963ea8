package orchestrator_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
)

// A slow backend takes its time: each try as long, and with the error, that the test says.
// It honours its context.
type slowBackend struct {
	tries []slowTry

	mu        sync.Mutex
	begun     []time.Duration // since start
	cancelled int
	start     time.Time
}

type slowTry struct {
	takes time.Duration
	err   error
}

func slow(tries ...slowTry) *slowBackend { return &slowBackend{tries: tries, start: time.Now()} }

func (b *slowBackend) call(ctx context.Context) (int, error) {
	b.mu.Lock()
	b.begun = append(b.begun, time.Since(b.start))
	n := len(b.begun)
	try := b.tries[min(n, len(b.tries))-1]
	b.mu.Unlock()
	select {
	case <-time.After(try.takes):
		return n, try.err
	case <-ctx.Done():
		b.mu.Lock()
		b.cancelled++
		b.mu.Unlock()
		return n, context.Cause(ctx)
	}
}

const ms = time.Millisecond

func TestHedge(t *testing.T) {
	first, second, third := errors.New("first"), errors.New("second"), errors.New("third")
	for _, tt := range []struct {
		name      string
		hedge     hold.Hedge
		tries     []slowTry
		value     int
		err       error
		took      time.Duration
		begun     []time.Duration
		cancelled int
	}{
		{"a quick answer needs no company", hold.Hedge{Delay: 50 * ms}, []slowTry{{50*ms - 1, nil}}, 1, nil, 50*ms - 1, []time.Duration{0}, 0},
		{
			"a slow one is overtaken, and cancelled",
			hold.Hedge{Delay: 50 * ms},
			[]slowTry{{time.Second, nil}, {10 * ms, nil}},
			2, nil, 60 * ms,
			[]time.Duration{0, 50 * ms},
			1,
		},
		{
			"or wins after all",
			hold.Hedge{Delay: 50 * ms},
			[]slowTry{{70 * ms, nil}, {time.Second, nil}},
			1, nil, 70 * ms,
			[]time.Duration{0, 50 * ms},
			1,
		},
		{
			"there are no more than allowed",
			hold.Hedge{Delay: 50 * ms, MaxHedges: 2},
			[]slowTry{{time.Second, nil}, {time.Second, nil}, {5 * ms, nil}},
			3, nil, 105 * ms,
			[]time.Duration{0, 50 * ms, 100 * ms},
			2,
		},
		{
			"a failure at once is a failure",
			hold.Hedge{Delay: 50 * ms},
			[]slowTry{{10 * ms, first}},
			1, first, 10 * ms,
			[]time.Duration{0},
			0,
		},
		{
			"a failure waits for those under way",
			hold.Hedge{Delay: 50 * ms},
			[]slowTry{{60 * ms, first}, {30 * ms, nil}},
			2, nil, 80 * ms,
			[]time.Duration{0, 50 * ms},
			0,
		},
		{
			"and starts no further ones",
			hold.Hedge{Delay: 50 * ms, MaxHedges: 5},
			[]slowTry{{200 * ms, nil}, {10 * ms, second}},
			1, nil, 200 * ms,
			[]time.Duration{0, 50 * ms},
			0,
		},
		{
			"when all fail, the first one's error counts",
			hold.Hedge{Delay: 50 * ms, MaxHedges: 2},
			[]slowTry{{300 * ms, first}, {120 * ms, second}, {60 * ms, third}},
			1, first, 300 * ms,
			[]time.Duration{0, 50 * ms, 100 * ms},
			0,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrchestrator(t, orchestrator.Config{})
				tt.hedge.Budget.Ratio = 1
				for range 10 { // earned before
					if _, err := orchestrator.DoIdempotent(t.Context(), newGuard(t, o, "g", tt.hedge), answer); err != nil {
						t.Fatal(err)
					}
				}
				b := slow(tt.tries...)
				value, err := orchestrator.DoIdempotent(t.Context(), newGuard(t, o, "g", tt.hedge), b.call)
				if value != tt.value || !errors.Is(err, tt.err) {
					t.Errorf("%d, %v; want %d, %v", value, err, tt.value, tt.err)
				}
				wantElapsed(t, b.start, tt.took)
				if !slices.Equal(b.begun, tt.begun) || b.cancelled != tt.cancelled {
					t.Errorf("tries began at %v and %d were cancelled; want %v and %d", b.begun, b.cancelled, tt.begun, tt.cancelled)
				}
			})
		})
	}
}

// Only who says that a function may run beside itself has it run so.
func TestWhoIsHedged(t *testing.T) {
	policy := hold.Hedge{Delay: 10 * ms, Budget: hold.RetryBudget{Name: "h", Ratio: 1}}
	for name, tt := range map[string]struct {
		call func(context.Context, *orchestrator.Orchestrator, *slowBackend) (int, error)
		want int
	}{
		"Do": {func(ctx context.Context, o *orchestrator.Orchestrator, b *slowBackend) (int, error) {
			g, err := o.Guard("g", policy)
			if err != nil {
				return 0, err
			}
			return orchestrator.Do(ctx, g, b.call)
		}, 1},
		"ExecuteWithPolicy": {func(ctx context.Context, o *orchestrator.Orchestrator, b *slowBackend) (int, error) {
			return orchestrator.ExecuteWithPolicy(ctx, o, policy, b.call)
		}, 1},
		"an operation": {func(ctx context.Context, o *orchestrator.Orchestrator, b *slowBackend) (int, error) {
			return orchestrator.Execute(ctx, o, slowOperation{b, policy})
		}, 1},
		"an operation that is not idempotent today": {func(ctx context.Context, o *orchestrator.Orchestrator, b *slowBackend) (int, error) {
			return orchestrator.Execute(ctx, o, repeatable{slowOperation{b, policy}, false})
		}, 1},
		"an idempotent operation": {func(ctx context.Context, o *orchestrator.Orchestrator, b *slowBackend) (int, error) {
			return orchestrator.Execute(ctx, o, repeatable{slowOperation{b, policy}, true})
		}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := slow(slowTry{time.Second, nil}, slowTry{})
				if _, err := tt.call(t.Context(), newOrchestrator(t, orchestrator.Config{}), b); err != nil {
					t.Fatal(err)
				}
				if len(b.begun) != tt.want {
					t.Errorf("it ran %d times; want %d", len(b.begun), tt.want)
				}
			})
		})
	}
}

type slowOperation struct {
	*slowBackend

	policy hold.Policy
}

func (o slowOperation) ResiliencePolicy() hold.Policy            { return o.policy }
func (o slowOperation) Execute(ctx context.Context) (int, error) { return o.call(ctx) }

type repeatable struct {
	slowOperation

	says bool
}

func (r repeatable) Idempotent() bool { return r.says }

// Hedges, and retries of the same budget, are a share of the calls.
func TestHedgesHaveABudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events eventList
		o := newOrchestrator(t, orchestrator.Config{Fleet: events.config()})
		g := newGuard(t, o, "g", hold.Hedge{Delay: 10 * ms}) // a tenth
		b := slow(slowTry{20 * ms, nil})
		for range 100 {
			if _, err := orchestrator.DoIdempotent(t.Context(), g, b.call); err != nil {
				t.Fatal(err)
			}
		}
		if extra := len(b.begun) - 100; extra != 10 {
			t.Errorf("%d hedges of 100 calls; want 10", extra)
		}
		synctest.Wait()
		if got := events.kinds(); !slices.Equal(got, []hold.EventKind{hold.EventBudgetEmpty}) {
			t.Errorf("events %v; want that the budget is empty, once", got)
		}
	})
}

// Layers outside a hedge see one call, layers inside see each try.
func TestLayersAroundAHedge(t *testing.T) {
	hedge := hold.Hedge{Delay: 10 * ms, Budget: hold.RetryBudget{Ratio: 1}}
	limit := func(name string) hold.RateLimit {
		return hold.RateLimit{Name: name, Keyed: true, Limit: hold.Per(1, time.Hour).WithBurst(10)}
	}
	synctest.Test(t, func(t *testing.T) {
		var seen summaries
		o := newOrchestrator(t, orchestrator.Config{Observer: &seen})
		g := newGuard(t, o, "g", hold.Combine(
			hold.CircuitBreaker{Name: "outer"}, limit("outer"), hedge, limit("inner"), hold.CircuitBreaker{Name: "inner"}, hold.Timeout{Duration: time.Second},
		))
		b := slow(slowTry{time.Second / 2, nil}, slowTry{10 * ms, nil})
		key := []orchestrator.Call{orchestrator.KeyOf("outer", "a"), orchestrator.KeyOf("inner", "b"), orchestrator.CostOf("inner", 2)}
		if _, err := orchestrator.DoIdempotent(t.Context(), g, b.call, key...); err != nil {
			t.Fatal(err)
		}
		if outer, inner := remaining(t, o, "outer", "a"), remaining(t, o, "inner", "b"); outer != 9 || inner != 6 {
			t.Errorf("%d and %d tokens are left; want 9 and 6", outer, inner)
		}
		wantClosed(t, o, "outer", 1, 0)
		wantClosed(t, o, "inner", 1, 0) // the other try was cancelled, and says nothing
		if all := seen.all(); len(all) != 1 || all[0].Attempts != 2 || all[0].Outcome != hold.Success {
			t.Errorf("the observer saw %+v; want one call of two attempts", all)
		}
		for _, wrong := range []orchestrator.Call{orchestrator.KeyOf("nobody", "a"), orchestrator.CostOf("nobody", 1)} {
			if _, err := orchestrator.DoIdempotent(t.Context(), g, b.call, append(slices.Clone(key), wrong)...); !errors.Is(err, hold.ErrInvalidPolicy) {
				t.Errorf("a limit that is nowhere: %v", err)
			}
		}
	})
}

// What is refused inside is no answer of the dependency.
func TestAHedgeThatIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen summaries
		o := newOrchestrator(t, orchestrator.Config{Observer: &seen})
		g := newGuard(t, o, "g", hold.Combine(
			hold.CircuitBreaker{Name: "outer"}, hold.Hedge{Delay: 10 * ms, Budget: hold.RetryBudget{Ratio: 1}},
			hold.RateLimit{Name: "inner", Limit: hold.Per(1, time.Hour)},
		))
		b := slow(slowTry{})
		for range 2 {
			_, _ = orchestrator.DoIdempotent(t.Context(), g, b.call)
		}
		wantClosed(t, o, "outer", 1, 0)
		if last := seen.all()[1]; last.Attempts != 0 || last.RefusedBy != orchestrator.PartLimit || last.RefusedName != "inner" || last.Outcome != hold.Ignored {
			t.Errorf("%+v; want a call that a limit refused", last)
		}
	})
}

func TestRetriesOfAHedge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{})
		hedge := hold.Hedge{Delay: 10 * ms, Budget: hold.RetryBudget{Name: "b", Ratio: 1}}
		g := newGuard(t, o, "g", hold.Combine(exactly(2, time.Second), hedge))
		b := slow(slowTry{20 * ms, errBackend}, slowTry{20 * ms, errOther}, slowTry{time.Second, nil}, slowTry{0, nil})
		value, err := orchestrator.DoIdempotent(t.Context(), g, b.call)
		if want := []time.Duration{0, 10 * ms, 1030 * ms, 1040 * ms}; value != 4 || err != nil || !slices.Equal(b.begun, want) {
			t.Errorf("%d, %v, tries at %v; want the fourth to win, and %v", value, err, b.begun, want)
		}
		nested := newGuard(t, o, "nested", hold.Combine(hedge, hold.Hedge{Delay: 15 * ms, Budget: hold.RetryBudget{Name: "c", Ratio: 1}}))
		b = slow(slowTry{time.Second, nil})
		if _, err := orchestrator.DoIdempotent(t.Context(), nested, b.call); err != nil {
			t.Error(err)
		}
		if want := []time.Duration{0, 10 * ms, 15 * ms, 25 * ms}; !slices.Equal(b.begun, want) {
			t.Errorf("tries at %v; want %v", b.begun, want)
		}
	})
}

// The end of the caller's context ends all tries, and is what it is told.
func TestACallerLeavesAHedge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{})
		g := newGuard(t, o, "g", hold.Hedge{Delay: 10 * ms, Budget: hold.RetryBudget{Ratio: 1}})
		b := slow(slowTry{time.Second, nil})
		why := errors.New("gone")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 50*ms, why)
		defer cancel()
		if _, err := orchestrator.DoIdempotent(ctx, g, b.call); !errors.Is(err, why) {
			t.Errorf("%v; want %v", err, why)
		}
		wantElapsed(t, b.start, 50*ms)
		if b.cancelled != 2 {
			t.Errorf("%d tries were cancelled; want both", b.cancelled)
		}
	})
}

// A panic, or the end of its goroutine, in any try comes out of the call once all tries
// have ended, and everything is released.
func TestPanicsOfHedges(t *testing.T) {
	for _, culprit := range []int{1, 2} {
		for _, exits := range []bool{false, true} {
			t.Run(fmt.Sprintf("try %d, exits %v", culprit, exits), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o := newOrchestrator(t, orchestrator.Config{})
					g := newGuard(t, o, "g", hold.Combine(
						hold.CircuitBreaker{Name: "outer", FailureThreshold: 1}, hold.Hedge{Delay: 10 * ms, Budget: hold.RetryBudget{Ratio: 1}},
						hold.Bulkhead{Name: "inner", MaxConcurrent: 2},
					))
					var mu sync.Mutex
					tries, ended := 0, 0
					ended2 := make(chan any, 1)
					go func() {
						returned := false
						defer func() {
							if p := recover(); !returned {
								ended2 <- p
							}
						}()
						_, _ = orchestrator.DoIdempotent(t.Context(), g, func(ctx context.Context) (int, error) {
							mu.Lock()
							tries++
							mine := tries
							mu.Unlock()
							defer func() {
								mu.Lock()
								ended++
								mu.Unlock()
							}()
							if mine != culprit {
								<-ctx.Done()
								return 0, ctx.Err()
							}
							time.Sleep(20 * ms)
							if exits {
								runtime.Goexit()
							}
							panic("boom")
						})
						returned = true
					}()
					if p := <-ended2; exits != (p == nil) || !exits && p != "boom" {
						t.Errorf("it ended with %v", p)
					}
					if ended != 2 {
						t.Errorf("%d of two tries have ended", ended)
					}
					if s := findBreaker(t, o, "outer").Status(); s.State != hold.StateOpen {
						t.Errorf("the breaker is %s; want it open", s.State)
					}
					b, err := o.Bulkhead(hold.Bulkhead{Name: "inner", MaxConcurrent: 2})
					if err != nil || b.Status().Running != 0 {
						t.Errorf("the bulkhead: %v, %+v; want nothing to run", err, b.Status())
					}
				})
			})
		}
	}
}

// A hedge shares a retry's budget: it takes its numbers where it has none, and calls earn
// also where they are not hedged.
func TestAHedgeBesideARetrysBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{})
		retry := exactly(2, ms)
		retry.Budget = hold.RetryBudget{Ratio: 0.2}
		for name, p := range map[string]hold.Policy{
			"outside": hold.Combine(hold.Hedge{Delay: 10 * ms}, retry), "inside": hold.Combine(retry, hold.Hedge{Delay: 10 * ms}),
		} {
			g := newGuard(t, o, name, p)
			for range 5 {
				if _, err := orchestrator.Do(t.Context(), g, answer); err != nil {
					t.Fatal(err)
				}
			}
			b := failing(errBackend)
			_, err := orchestrator.Do(t.Context(), g, b.call)
			wantIs(t, err, hold.ErrRetryExhausted)
			b.wants(t, 2)
		}
		other := hold.Hedge{Delay: 10 * ms, Budget: hold.RetryBudget{Ratio: 0.3}}
		for range 2 { // what is refused leaves nothing behind
			if _, err := o.Guard("clash", hold.Combine(retry, other)); !errors.Is(err, hold.ErrInvalidPolicy) {
				t.Errorf("two budgets of one name: %v", err)
			}
		}
		newGuard(t, o, "clash", other)
	})
}

// The first panic of several is the one that comes out.
func TestTheFirstPanicCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, newOrchestrator(t, orchestrator.Config{}), "g", hold.Hedge{Delay: 10 * ms, MaxHedges: 2, Budget: hold.RetryBudget{PerSecond: 9}})
		var mu sync.Mutex
		tries := 0
		said := make(chan any, 1)
		go func() {
			defer func() { said <- recover() }()
			_, _ = orchestrator.DoIdempotent(t.Context(), g, func(ctx context.Context) (int, error) {
				mu.Lock()
				tries++
				mine := tries
				mu.Unlock()
				if mine == 2 {
					time.Sleep(30 * ms)
					panic("boom")
				}
				<-ctx.Done()
				if mine == 3 {
					runtime.Goexit()
				}
				return 0, ctx.Err()
			})
		}()
		if p := <-said; p != "boom" {
			t.Errorf("%v came out", p)
		}
	})
}
