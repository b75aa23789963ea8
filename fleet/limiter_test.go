package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/store/memory"
)

// cases.md part 1, 37 and 40: a fresh bucket gives its burst at once, then its
// rate, and never more than burst + rate·t in any interval; there is no edge of
// a window or a second around which it gives a burst twice.
func TestCase37And40FreshBucketThenItsRate(t *testing.T) {
	for _, limit := range []domain.Limit{
		domain.PerSecond(40),
		domain.PerSecond(40).WithBurst(7),
		domain.Per(7, 3*time.Second).WithBurst(20),
		domain.Per(3, time.Second).WithBurst(1), // thirds
		domain.PerMinute(20).WithBurst(5),
	} {
		t.Run(limit.String(), func(t *testing.T) {
			onEachStore(t, func(t *testing.T, stores port.Stores) {
				l := join(t, stores, fleet.Config{}).limiter(domain.RateLimit{Name: "api", Limit: limit})
				seen := &envelope{limit: limit}
				burst := limit.WithDefaults().Burst
				for range burst {
					if d := allow(t, l, ""); !d.Allowed || d.Degraded {
						t.Fatalf("a fresh bucket refused: %+v", d)
					}
					seen.admit()
				}
				if d := allow(t, l, ""); d.Allowed {
					t.Fatalf("more than a burst of %d at once", burst)
				}
				// To one who never stops asking it gives its rate, all of it.
				const periods = 4
				taken := int64(0)
				for start := time.Now(); time.Since(start) < periods*limit.Period; {
					d := allow(t, l, "")
					if !d.Allowed {
						time.Sleep(d.RetryAfter)
						continue
					}
					seen.admit()
					taken++
				}
				if want := periods * limit.Tokens; taken != want && taken != want-1 {
					t.Errorf("%d admitted in %d periods; want %d", taken, periods, want)
				}
				// And to one who comes just after an edge, and just before one.
				rng := rand.New(rand.NewPCG(1, uint64(burst)))
				for range 8 {
					time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second)))
					for allow(t, l, "").Allowed {
						seen.admit()
					}
					time.Sleep(time.Duration(rng.Int64N(int64(time.Second))))
					for allow(t, l, "").Allowed {
						seen.admit()
					}
				}
				if x := seen.excess(); x > 0 {
					t.Errorf("%v tokens above burst + rate·t in the worst interval", x)
				}
			})
		})
	}
}

// Waiting exactly RetryAfter succeeds, and less does not, also where a token
// takes long or is not a round number of µs (cases.md part 1, 42).
func TestCase42WaitingExactlyRetryAfter(t *testing.T) {
	for _, limit := range []domain.Limit{
		domain.PerHour(1).WithBurst(1),
		domain.Per(1, 30*24*time.Hour).WithBurst(1),
		domain.Per(3, time.Second).WithBurst(1),
		domain.Per(7, time.Millisecond).WithBurst(2),
		domain.Per(2, 3*time.Microsecond).WithBurst(1),
		domain.PerSecond(1_000_000).WithBurst(1),
	} {
		t.Run(limit.String(), func(t *testing.T) {
			onEachStore(t, func(t *testing.T, stores port.Stores) {
				stores.Members = nil // months of beats take their time, also in a bubble
				l := join(t, stores, fleet.Config{}).limiter(domain.RateLimit{Name: "api", Limit: limit})
				for range limit.Burst {
					allow(t, l, "")
				}
				for i := range 5 {
					d := allow(t, l, "")
					if d.Allowed || d.RetryAfter <= 0 {
						t.Fatalf("round %d: %+v; want a refusal that says when", i, d)
					}
					if d.RetryAfter > time.Duration(int64(limit.Period)/limit.Tokens)+time.Microsecond {
						t.Fatalf("round %d: retry after %v; a token takes less", i, d.RetryAfter)
					}
					time.Sleep(d.RetryAfter - time.Microsecond)
					if d := allow(t, l, ""); d.Allowed {
						t.Fatalf("round %d: allowed 1 µs early", i)
					} else if d.RetryAfter != time.Microsecond {
						t.Fatalf("round %d: 1 µs before its time: retry after %v", i, d.RetryAfter)
					}
					time.Sleep(time.Microsecond)
					if d := allow(t, l, ""); !d.Allowed {
						t.Fatalf("round %d: refused after waiting exactly RetryAfter: %+v", i, d)
					}
				}
			})
		})
	}
}

// cases.md part 2, 6: a denied cost charges nothing.
func TestLimitCase6ADeniedCostChargesNothing(t *testing.T) {
	onEachStore(t, func(t *testing.T, stores port.Stores) {
		one := join(t, stores, fleet.Config{}).limiter(domain.RateLimit{Name: "one", Limit: domain.PerHour(5)})
		for i, want := range []struct {
			cost, left int64
			allowed    bool
		}{{3, 2, true}, {3, 2, false}, {2, 0, true}, {1, 0, false}} {
			d := allowN(t, one, "", want.cost)
			if d.Allowed != want.allowed || d.Remaining != want.left {
				t.Errorf("step %d: AllowN(%d) = %+v; want %v, %d left", i, want.cost, d, want.allowed, want.left)
			}
		}
	})
}

// cases.md part 1, 38: n permits in one call are n calls of one.
func TestCase38Costs(t *testing.T) {
	onEachStore(t, func(t *testing.T, stores port.Stores) {
		r := join(t, stores, fleet.Config{})
		limit := domain.PerHour(5)
		one := r.limiter(domain.RateLimit{Name: "one", Limit: limit})
		allowN(t, one, "", 3)
		many := r.limiter(domain.RateLimit{Name: "many", Limit: limit})
		for range 3 {
			allow(t, many, "")
		}
		if got, want := peek(t, many, ""), peek(t, one, ""); got != want || got.Remaining != 2 {
			t.Errorf("after three calls: %+v; after one call of 3: %+v; want 2 left after both", got, want)
		}
		whole := r.limiter(domain.RateLimit{Name: "whole", Limit: limit})
		if d := allowN(t, whole, "", 5); !d.Allowed {
			t.Error("a cost of exactly the burst was refused")
		}
	})
}

// cases.md part 2, 7: a cost above the burst is an error at once and for ever,
// which takes nothing and makes no store call; so is a negative one.
func TestLimitCase7CostsThatCannotBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, stores := newFaulty(memory.New(memory.Options{}).Stores())
		l := join(t, stores, fleet.Config{}).limiter(domain.RateLimit{Name: "api", Limit: domain.PerHour(5)})
		for _, cost := range []int64{6, 1 << 62, -1, -1 << 63} {
			d, err := l.AllowN(t.Context(), "", cost)
			if err == nil || d != (domain.Decision{}) {
				t.Errorf("AllowN(%d) = %+v, %v; want an error", cost, d, err)
			}
			if high := errors.Is(err, domain.ErrCostTooHigh); high != (cost > 0) {
				t.Errorf("AllowN(%d): %v; is ErrCostTooHigh: %v", cost, err, high)
			}
			if cost > 0 && domain.IsRetryable(err) {
				t.Errorf("%v is retryable", err)
			}
		}
		if n := store.asked.Load(); n != 0 {
			t.Errorf("%d store calls; want none", n)
		}
		if d := allowN(t, l, "", 5); !d.Allowed {
			t.Error("they took tokens")
		}
	})
}

// A cost above the burst of the numbers in force, which are another replica's.
func TestCostAboveTheBurstInForce(t *testing.T) {
	onEachStore(t, func(t *testing.T, stores port.Stores) {
		strict := join(t, stores, fleet.Config{}).limiter(domain.RateLimit{Name: "api", Limit: domain.PerHour(5), Version: 2})
		loose := join(t, stores, fleet.Config{}).limiter(domain.RateLimit{Name: "api", Limit: domain.PerHour(50), Version: 1})
		allow(t, strict, "")
		if d, err := loose.AllowN(t.Context(), "", 6); !errors.Is(err, domain.ErrCostTooHigh) {
			t.Errorf("AllowN(6) = %+v, %v; want ErrCostTooHigh: the burst in force is 5", d, err)
		}
		if d := allowN(t, loose, "", 4); !d.Allowed {
			t.Errorf("AllowN(4) = %+v; want it allowed: nothing was taken", d)
		}
	})
}

// cases.md part 2, 8: cost 0 is a look. It writes nothing and takes nothing.
func TestLimitCase8Peek(t *testing.T) {
	onEachStore(t, func(t *testing.T, stores port.Stores) {
		l := join(t, stores, fleet.Config{}).limiter(domain.RateLimit{Name: "api", Limit: domain.Per(2, 2*time.Second)})
		look := func(allowed bool, left int64, retry time.Duration) {
			t.Helper()
			want := domain.Decision{Allowed: allowed, Remaining: left, RetryAfter: retry}
			if got := peek(t, l, ""); got != want {
				t.Errorf("Peek = %+v; want %+v", got, want)
			}
			if got := allowN(t, l, "", 0); got != want {
				t.Errorf("AllowN(0) = %+v; want %+v", got, want)
			}
		}
		for range 3 {
			look(true, 2, 0)
		}
		allow(t, l, "")
		look(true, 1, 0)
		allow(t, l, "")
		look(false, 0, time.Second)
		allow(t, l, "") // remembered for a second
		time.Sleep(300 * time.Millisecond)
		look(false, 0, 700*time.Millisecond) // not from memory: it says when the token comes
	})
	t.Run("no key", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			stores, server := onMiniredis(t)
			l := join(t, stores, fleet.Config{}).limiter(domain.RateLimit{Name: "api", Limit: domain.PerSecond(2)})
			peek(t, l, "")
			if server.Exists("test:{bapi}") {
				t.Error("a peek made a key")
			}
			allow(t, l, "")
			ttl := server.TTL("test:{bapi}")
			time.Sleep(time.Second)
			left := server.TTL("test:{bapi}")
			peek(t, l, "")
			if got := server.TTL("test:{bapi}"); got != left || left >= ttl {
				t.Errorf("a peek changed the TTL from %v to %v", left, got)
			}
		})
	})
}

// cases.md part 2, 11: polling does not slow refill.
func TestLimitCase11PollingDoesNotSlowRefill(t *testing.T) {
	onEachStore(t, func(t *testing.T, stores port.Stores) {
		l := join(t, stores, fleet.Config{}).limiter(domain.RateLimit{Name: "api", Limit: domain.Per(1, 10*time.Second)})
		allow(t, l, "")
		start := time.Now()
		for i := 1; i <= 9; i++ {
			time.Sleep(time.Second)
			if d := allow(t, l, ""); d.Allowed || d.RetryAfter != time.Duration(10-i)*time.Second {
				t.Fatalf("after %d s: %+v", i, d)
			}
		}
		time.Sleep(time.Second)
		if d := allow(t, l, ""); !d.Allowed {
			t.Errorf("after %v of polling: %+v; want the token", time.Since(start), d)
		}
	})
}

// cases.md part 2, 15: 64 callers × 200 on one key: an exact count and no error.
func TestLimitCase15ManyCallersCountExactly(t *testing.T) {
	for _, store := range bubbleStores() {
		t.Run(store.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const callers, each, burst = 64, 200, 10_000
				limiters := make([]*fleet.Limiter, 4) // replicas
				stores := store.make(t)
				for i := range limiters {
					limiters[i] = join(t, stores, fleet.Config{}).limiter(domain.RateLimit{Name: "api", Limit: domain.PerHour(1).WithBurst(burst)})
				}
				var allowed, denied, failed atomic.Int64
				var all sync.WaitGroup
				for i := range callers {
					all.Go(func() {
						for range each {
							switch d, err := limiters[i%len(limiters)].Allow(t.Context(), ""); {
							case err != nil || d.Degraded:
								failed.Add(1)
							case d.Allowed:
								allowed.Add(1)
							default:
								denied.Add(1)
							}
						}
					})
				}
				all.Wait()
				if allowed.Load() != burst || denied.Load() != callers*each-burst || failed.Load() != 0 {
					t.Errorf("%d allowed, %d denied, %d failed; want %d, %d, 0",
						allowed.Load(), denied.Load(), failed.Load(), burst, callers*each-burst)
				}
			})
		})
	}
}

// Remaining says what was left after each caller, also within a flight.
func TestRemainingWithinAFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, stores := newFaulty(memory.New(memory.Options{}).Stores())
		l := join(t, stores, fleet.Config{}).limiter(domain.RateLimit{Name: "api", Limit: domain.PerHour(20)})
		open := make(chan struct{})
		store.set(func(_ context.Context, execute func()) error { <-open; execute(); return nil })
		costs := []int64{1, 2, 2, 2, 0, 5, 9, 3, 1}
		left := []int64{19, 17, 15, 13, 13, 8, 8, 5, 4}
		decisions := make([]domain.Decision, len(costs))
		var all sync.WaitGroup
		for i, cost := range costs {
			all.Go(func() { decisions[i] = allowN(t, l, "", cost) })
			synctest.Wait() // in this order
		}
		close(open)
		all.Wait()
		for i, d := range decisions {
			if d.Remaining != left[i] || d.Allowed != (costs[i] != 9) {
				t.Errorf("caller %d, cost %d: %+v; want %d left", i, costs[i], d, left[i])
			}
		}
		if n := store.asked.Load(); n != 2 {
			t.Errorf("%d store calls; want 2", n)
		}
		var asked strings.Builder
		for _, r := range store.requests() {
			fmt.Fprintf(&asked, " %d×%d", r.Count, r.Cost)
		}
		if want := " 1×1 3×2 1×0 1×5 1×9 1×3 1×1"; asked.String() != want {
			t.Errorf("asked%s; want%s", &asked, want)
		}
	})
}

// cases.md part 1, 41: a store clock that steps back refills nothing, a denied
// call adds nothing, and a step forward is worth one burst at most.
func TestCase41TheStoresClockSteps(t *testing.T) {
	var skew atomic.Int64
	synctest.Test(t, func(t *testing.T) {
		now := func() time.Time { return time.Now().Add(time.Duration(skew.Load())) }
		stores := byFlights(memory.New(memory.Options{Now: now}).Stores())
		l := join(t, stores, fleet.Config{}).limiter(domain.RateLimit{Name: "api", Limit: domain.PerSecond(10)})
		drain := func() (n int) {
			for allow(t, l, "").Allowed {
				n++
			}
			return n
		}
		if n := drain(); n != 10 {
			t.Fatalf("a burst of %d", n)
		}
		for _, step := range []time.Duration{-time.Second, -10 * time.Second, -time.Hour, time.Second, 2 * time.Second} {
			skew.Add(int64(step))
			time.Sleep(time.Second) // also ends the memory of the denial
			n := drain()
			most := 10 // a second's worth, and a forward step is worth a burst at most, which is the same here
			if n > most {
				t.Errorf("after a step of %v: %d admitted in a second; want %d at most", step, n, most)
			}
		}
		// It is never blocked longer than the step allowed for.
		skew.Add(-int64(4 * time.Second))
		time.Sleep(5 * time.Second)
		if n := drain(); n < 9 {
			t.Errorf("5 s after a step of 4 s back: %d admitted; want 10", n)
		}
	})
}

// cases.md part 1, 54: making or restarting a replica changes nothing shared.
func TestCase54MakingAReplicaChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores, server := onMiniredis(t)
		first := join(t, stores, fleet.Config{})
		l := first.limiter(domain.RateLimit{Name: "api", Limit: domain.PerHour(10)})
		synctest.Wait()
		if keys := server.Keys(); len(keys) != 0 {
			t.Errorf("making a limit made keys: %v", keys)
		}
		for range 7 {
			allow(t, l, "")
		}
		first.close()
		before := server.Dump()
		second := join(t, stores, fleet.Config{})
		l = second.limiter(domain.RateLimit{Name: "api", Limit: domain.PerHour(10)})
		synctest.Wait()
		if after := server.Dump(); after != before {
			t.Errorf("a restart changed the state from\n%s\nto\n%s", before, after)
		}
		if d := peek(t, l, ""); d.Remaining != 3 {
			t.Errorf("after a restart %d tokens are left; want 3", d.Remaining)
		}
	})
}
