package orchestrator_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
)

func TestLimitRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{})
		g := newGuard(t, o, "g", hold.RateLimit{Limit: hold.PerSecond(2)})
		b := failing(nil)
		for range 2 {
			if _, err := orchestrator.Do(t.Context(), g, b.call); err != nil {
				t.Error(err)
			}
		}
		_, err := orchestrator.Do(t.Context(), g, b.call)
		b.wants(t, 2)
		limited, ok := errors.AsType[*hold.RateLimitedError](err)
		if want := (hold.RateLimitedError{Name: "g", RetryAfter: 500 * time.Millisecond}); !ok || *limited != want {
			t.Fatalf("error %#v; want %#v", err, want)
		}
		time.Sleep(limited.RetryAfter)
		if _, err := orchestrator.Do(t.Context(), g, b.call); err != nil {
			t.Errorf("after the time it said: %v", err)
		}
	})
}

// TestTheBandThatRefusesIsNamed: case 17 of limits, as a caller sees it.
func TestTheBandThatRefusesIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{})
		g := newGuard(t, o, "g", hold.RateLimit{Limit: hold.PerSecond(2), Also: hold.Bands{hold.PerMinute(3)}})
		b := failing(nil)
		for _, want := range []*hold.RateLimitedError{
			nil, nil, {Name: "g", RetryAfter: 500 * time.Millisecond}, nil, {Name: "g", Band: 1, RetryAfter: 19500 * time.Millisecond}, nil,
		} {
			_, err := orchestrator.Do(t.Context(), g, b.call)
			limited, ok := errors.AsType[*hold.RateLimitedError](err)
			if ok != (want != nil) || (ok && *limited != *want) {
				t.Fatalf("error %#v; want %#v", err, want)
			}
			if ok {
				time.Sleep(limited.RetryAfter)
			}
		}
	})
}

// TestKeysAndCosts: what a call says about all limits, and about one of them.
func TestKeysAndCosts(t *testing.T) {
	const burst = 100
	limit := func(name string, keyed bool) hold.RateLimit {
		return hold.RateLimit{Name: name, Keyed: keyed, Limit: hold.Per(1, time.Hour).WithBurst(burst)}
	}
	policy := hold.Combine(limit("global", false), limit("tenant", true), limit("user", true))
	type left struct{ global, tenant, user int64 }
	say := func(call ...orchestrator.Call) []orchestrator.Call { return call }
	key, keyOf, cost, costOf := orchestrator.Key, orchestrator.KeyOf, orchestrator.Cost, orchestrator.CostOf
	for _, tt := range []struct {
		name string
		call []orchestrator.Call
		want left // at the keys "t" and "u"
		err  error
	}{
		{"one key for both", say(key("t"), keyOf("user", "u")), left{99, 99, 99}, nil},
		{"in any order", say(keyOf("user", "u"), key("t")), left{99, 99, 99}, nil},
		{"each its own", say(keyOf("tenant", "t"), keyOf("user", "u"), cost(3)), left{97, 97, 97}, nil},
		{"a cost for one", say(costOf("tenant", 7), key("t"), keyOf("user", "u"), cost(2)), left{98, 93, 98}, nil},
		{"a cost of nothing", say(key("t"), cost(0)), left{100, 100, 100}, nil},
		{"a call that says nothing", say(orchestrator.Call{}, key("t"), keyOf("user", "u")), left{99, 99, 99}, nil},
		{"another key", say(key("x")), left{99, 100, 100}, nil},
		{"no key", nil, left{100, 100, 100}, hold.ErrKeyMissing},
		{"an empty key", say(key("")), left{100, 100, 100}, hold.ErrKeyMissing},
		{"a key for one only", say(keyOf("tenant", "t")), left{100, 100, 100}, hold.ErrKeyMissing},
		{"a cost above the burst", say(key("t"), costOf("tenant", 101)), left{100, 100, 100}, hold.ErrCostTooHigh},
		{"a key for a limit that is not there", say(key("t"), keyOf("usr", "u")), left{100, 100, 100}, hold.ErrInvalidPolicy},
		{"a cost for one that is not there", say(key("t"), costOf("usr", 1)), left{100, 100, 100}, hold.ErrInvalidPolicy},
		{"a key for one without keys", say(key("t"), keyOf("global", "g")), left{100, 100, 100}, hold.ErrInvalidPolicy},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrchestrator(t, orchestrator.Config{})
				b := failing(nil)
				_, err := orchestrator.Do(t.Context(), newGuard(t, o, "g", policy), b.call, tt.call...)
				if tt.err == nil {
					b.wants(t, 1)
					if err != nil {
						t.Error(err)
					}
				} else {
					b.wants(t, 0)
					wantIs(t, err, tt.err)
				}
				got := left{remaining(t, o, "global", ""), remaining(t, o, "tenant", "t"), remaining(t, o, "user", "u")}
				if got != tt.want {
					t.Errorf("remaining %+v; want %+v", got, tt.want)
				}
			})
		})
	}
}

// TestNegativeCostIsRefused: tokens cannot be given back by asking for less
// than none.
func TestNegativeCostIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{})
		g := newGuard(t, o, "g", hold.RateLimit{Limit: hold.Per(1, time.Hour).WithBurst(10)})
		b := failing(nil)
		if _, err := orchestrator.Do(t.Context(), g, b.call, orchestrator.Cost(-5)); err == nil {
			t.Error("a cost of -5 passes")
		}
		b.wants(t, 0)
	})
}

// TestKeyAtEachAttempt: a retry's later attempts carry the same key and cost.
func TestKeyAtEachAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{})
		g := newGuard(t, o, "g", hold.Combine(
			exactly(3, time.Second), hold.RateLimit{Keyed: true, Limit: hold.Per(1, time.Hour).WithBurst(100)},
		))
		_, _ = orchestrator.Do(t.Context(), g, failing(errBackend).call, orchestrator.Key("k"), orchestrator.Cost(10))
		if got := remaining(t, o, "g", "k"); got != 70 {
			t.Errorf("%d tokens remain; want 70", got)
		}
	})
}

// TestALimitInShadow: calls go through, and an observer sees which limit would
// have turned them away.
func TestALimitInShadow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		book := &notebook{}
		o := newOrchestrator(t, orchestrator.Config{Observer: book})
		g := newGuard(t, o, "g", hold.Combine(
			hold.RateLimit{Name: "tried", Limit: hold.PerSecond(1), Shadow: true},
			hold.RateLimit{Name: "kept", Limit: hold.PerSecond(2)},
		))
		b := failing(nil)
		for i, want := range []struct{ shadowed, refused string }{{"", ""}, {"tried", ""}, {"tried", "kept"}} {
			_, err := orchestrator.Do(t.Context(), g, b.call)
			s := book.ended[i]
			if s.ShadowedBy != want.shadowed || s.RefusedName != want.refused || (err != nil) != (want.refused != "") {
				t.Errorf("call %d: %v, shadowed by %q, refused by %q; want %+v", i, err, s.ShadowedBy, s.RefusedName, want)
			}
		}
		b.wants(t, 2)
	})
}

// Of several limits a call takes from all or none; a breaker's refusal costs what a
// call costs.
func TestSeveralLimitsAllOrNone(t *testing.T) {
	limit := func(name string, burst int64) hold.RateLimit {
		return hold.RateLimit{Name: name, Limit: hold.Per(1, time.Hour).WithBurst(burst)}
	}
	for name, tt := range map[string]struct {
		inner hold.Policy
		want  int64 // left in the outer limits after two calls
	}{
		"a limit refuses":   {limit("tight", 1), 9},
		"a breaker refuses": {hold.CircuitBreaker{Name: "b", FailureThreshold: 1}, 8},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrchestrator(t, orchestrator.Config{})
				g := newGuard(t, o, "g", hold.Combine(limit("global", 10), limit("tenant", 10), tt.inner))
				b := failing(errors.New("sick"))
				for range 2 {
					_, _ = orchestrator.Do(t.Context(), g, b.call)
				}
				b.wants(t, 1)
				for _, outer := range []string{"global", "tenant"} {
					if got := remaining(t, o, outer, ""); got != tt.want {
						t.Errorf("%d left of %s; want %d", got, outer, tt.want)
					}
				}
			})
		})
	}
}

// A limit with MaxWait waits for its tokens, and a call that would wait longer is
// refused at once. What it waits is not taken from the time for stores.
func TestMaxWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{})
		g := newGuard(t, o, "g", hold.RateLimit{Limit: hold.PerSecond(2), MaxWait: 1200 * time.Millisecond})
		b := failing(nil)
		start := time.Now()
		for i := range 6 {
			if _, err := orchestrator.Do(t.Context(), g, b.call); err != nil {
				t.Errorf("call %d: %v", i, err)
			}
		}
		b.wants(t, 6)
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("six calls took %s; want 2s", took)
		}
		l, ok := o.RateLimiter("g")
		if !ok {
			t.Fatal("no limiter")
		}
		for range 2 {
			if _, err := l.Reserve(t.Context(), "", 1); err != nil {
				t.Error(err)
			}
		}
		start = time.Now()
		_, err := orchestrator.Do(t.Context(), g, b.call)
		limited, ok := errors.AsType[*hold.RateLimitedError](err)
		if want := (hold.RateLimitedError{Name: "g", RetryAfter: 1500 * time.Millisecond}); !ok || *limited != want || time.Since(start) != 0 {
			t.Errorf("error %#v after %s; want %#v at once", err, time.Since(start), want)
		}
	})
}

// What an attempt used is spent, whatever becomes of the next one.
func TestALimitOutsideARetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{})
		hour := func(name string, burst int64) hold.RateLimit {
			return hold.RateLimit{Name: name, Limit: hold.Per(1, time.Hour).WithBurst(burst)}
		}
		retry := exactly(2, time.Millisecond)
		g := newGuard(t, o, "g", hold.Combine(hour("outer", 3), retry, hour("inner", 1)))
		b := failing(errBackend)
		_, _ = orchestrator.Do(t.Context(), g, b.call) // the second attempt is refused
		b.wants(t, 1)
		if got := remaining(t, o, "outer", ""); got != 2 {
			t.Errorf("%d tokens are left; want 2: the function ran", got)
		}
	})
}
