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

// cells is a breaker that opens a key at its first failure.
func cells() hold.CircuitBreaker {
	return hold.CircuitBreaker{Name: "cells", Keyed: true, FailureThreshold: 1}
}

// wantKeyState checks the state of a key in a breaker; none is what has no breaker.
func wantKeyState(t *testing.T, o *orchestrator.Orchestrator, key, want string) {
	t.Helper()
	b, ok := o.KeyedCircuitBreaker("cells")
	if !ok {
		t.Fatal("there is no keyed breaker")
	}
	got := "none"
	if s, known := b.Status(key); known {
		got = s.State.String()
	}
	if got != want {
		t.Errorf("key %q is %s; want %s", key, got, want)
	}
}

// What a call says about keys: to all parts, or to those of one name.
func TestKeysOfBreakers(t *testing.T) {
	limit := hold.RateLimit{Name: "tenants", Keyed: true, Limit: hold.PerHour(10)}
	twin := hold.RateLimit{Name: "cells", Limit: hold.PerHour(10)} // of the breaker's name
	keyedTwin := twin
	keyedTwin.Keyed = true
	plain := hold.CircuitBreaker{Name: "plain"}
	key, keyOf, costOf := orchestrator.Key, orchestrator.KeyOf, orchestrator.CostOf
	say := func(call ...orchestrator.Call) []orchestrator.Call { return call }
	for _, tt := range []struct {
		name   string
		policy hold.Policy
		call   []orchestrator.Call
		want   string // the key that the breaker got
		err    error
	}{
		{"a key", cells(), say(key("a")), "a", nil},
		{"none", cells(), nil, "", hold.ErrKeyMissing},
		{"an empty one", cells(), say(key("")), "", hold.ErrKeyMissing},
		{"something else", cells(), say(orchestrator.Cost(1)), "", hold.ErrKeyMissing},
		{"one for both", hold.Combine(limit, cells()), say(key("a")), "a", nil},
		{"another for the limit", hold.Combine(cells(), limit), say(keyOf("tenants", "t"), key("a")), "a", nil},
		{"another for the breaker", hold.Combine(cells(), limit), say(key("t"), keyOf("cells", "a")), "a", nil},
		{"each its own", hold.Combine(limit, cells()), say(keyOf("tenants", "t"), keyOf("cells", "a")), "a", nil},
		{"only the limit's", hold.Combine(cells(), limit), say(keyOf("tenants", "t")), "", hold.ErrKeyMissing},
		{"beside a breaker without", hold.Combine(plain, cells()), say(keyOf("cells", "a")), "a", nil},
		{"for a breaker without", hold.Combine(plain, cells()), say(keyOf("plain", "a")), "", hold.ErrInvalidPolicy},
		{"for none", cells(), say(keyOf("cell", "a")), "", hold.ErrInvalidPolicy},
		{"a cost for a breaker", cells(), say(key("a"), costOf("cells", 2)), "", hold.ErrInvalidPolicy},
		{"beside a limit of its name", hold.Combine(twin, cells()), say(keyOf("cells", "a"), costOf("cells", 2)), "a", nil},
		{"with a limit of its name", hold.Combine(cells(), keyedTwin), say(keyOf("cells", "a")), "a", nil},
		{"inside a hedge", hold.Combine(hold.Hedge{Delay: time.Hour}, cells()), say(keyOf("cells", "a")), "a", nil},
		{"outside one", hold.Combine(cells(), hold.Hedge{Delay: time.Second}), say(key("a")), "a", nil},
		{"on the other side", hold.Combine(twin, hold.Hedge{Delay: time.Hour}, cells()), say(keyOf("cells", "a")), "a", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrchestrator(t, orchestrator.Config{})
				g := newGuard(t, o, "g", tt.policy)
				b := failing(errBackend)
				_, err := orchestrator.DoIdempotent(t.Context(), g, b.call, tt.call...)
				if tt.err != nil {
					wantIs(t, err, tt.err)
					b.wants(t, 0)
					return
				}
				wantIs(t, err, errBackend)
				wantKeyState(t, o, tt.want, "open")
				_, err = orchestrator.DoIdempotent(t.Context(), g, b.call, tt.call...)
				open, is := errors.AsType[*hold.CircuitOpenError](err)
				if !is || open.Name != "cells" || open.Key != tt.want {
					t.Errorf("error %v; want the breaker of key %q to refuse", err, tt.want)
				}
				b.wants(t, 1)
			})
		})
	}
}

// A key that fails stops no other call of the guard, and its probes are bounded in time
// as those of any breaker. A forgotten key is not tried again.
func TestGuardWithKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{})
		g := newGuard(t, o, "cells", hold.Combine(exactly(3, time.Second), hold.CircuitBreaker{Keyed: true, FailureThreshold: 2}))
		b := failing(errBackend)
		_, err := orchestrator.Do(t.Context(), g, b.call, orchestrator.Key("a"))
		wantIs(t, err, hold.ErrCircuitOpen)
		b.wants(t, 2)
		well := failing(nil)
		for _, key := range []string{"b", "c"} {
			if _, err := orchestrator.Do(t.Context(), g, well.call, orchestrator.Key(key)); err != nil {
				t.Error(err)
			}
			wantKeyState(t, o, key, "closed")
		}
		wantKeyState(t, o, "a", "open")
		start := time.Now()
		_, err = orchestrator.Do(t.Context(), g, well.call)
		wantIs(t, err, hold.ErrKeyMissing)
		wantElapsed(t, start, 0)
		well.wants(t, 2)
	})
}

// A panic counts for its key, and gives its place back.
func TestPanicOfAKey(t *testing.T) {
	o := newOrchestrator(t, orchestrator.Config{})
	g := newGuard(t, o, "g", cells())
	func() {
		defer func() { _ = recover() }()
		_ = orchestrator.Run(t.Context(), g, func(context.Context) error { panic("lost") }, orchestrator.Key("a"))
	}()
	wantKeyState(t, o, "a", "open")
}

// Policies that code carries along have keys, too.
func TestCarriedKeys(t *testing.T) {
	o := newOrchestrator(t, orchestrator.Config{})
	b := failing(errBackend)
	_, err := orchestrator.ExecuteWithPolicy(t.Context(), o, cells(), b.call, orchestrator.Key("a"))
	wantIs(t, err, errBackend)
	_, err = orchestrator.ExecuteWithPolicy(t.Context(), o, cells(), b.call, orchestrator.Key("a"))
	wantIs(t, err, hold.ErrCircuitOpen)
	_, err = orchestrator.ExecuteWithPolicy(t.Context(), o, cells(), b.call)
	wantIs(t, err, hold.ErrKeyMissing)
	b.wants(t, 1)
}

// An Update changes the numbers of all keys; that there are keys it cannot change.
func TestUpdateOfKeyedBreakers(t *testing.T) {
	o := newOrchestrator(t, orchestrator.Config{})
	g, other := newGuard(t, o, "g", cells()), newGuard(t, o, "other", hold.Combine(cells(), hold.Timeout{Duration: time.Second}))
	b := failing(errBackend)
	call := func(g *orchestrator.Guard, key string) error {
		_, err := orchestrator.Do(t.Context(), g, b.call, orchestrator.Key(key))
		return err
	}
	wantIs(t, call(g, "open"), errBackend)
	next := cells()
	next.FailureThreshold, next.MaxKeys = 2, 10
	if err := o.Update("g", next); err != nil {
		t.Fatal(err)
	}
	wantIs(t, call(other, "open"), hold.ErrCircuitOpen)
	wantIs(t, call(other, "a"), errBackend)
	wantIs(t, call(g, "a"), errBackend)
	wantIs(t, call(other, "a"), hold.ErrCircuitOpen)

	without := next
	without.Keyed, without.MaxKeys = false, 0
	wantIs(t, o.Update("g", without), hold.ErrConflict)
	quorum := next
	quorum.Sharing = hold.ShareQuorum
	wantIs(t, o.Update("g", quorum), hold.ErrInvalidPolicy)
	if g.Policy() != next {
		t.Errorf("the policy is %v after updates that were refused", g.Policy())
	}
	if err := o.Update("other", hold.Timeout{Duration: time.Second}); err != nil {
		t.Fatal(err)
	}
	if _, err := orchestrator.Do(t.Context(), other, answer, orchestrator.KeyOf("cells", "a")); err != nil {
		t.Errorf("a key for a breaker that an Update took away: %v", err)
	}
}

// A name is that of a breaker with keys or of one without, and of one set of numbers.
func TestConflictsOfKeyedBreakers(t *testing.T) {
	o := newOrchestrator(t, orchestrator.Config{})
	newGuard(t, o, "g", cells())
	newGuard(t, o, "plain", hold.CircuitBreaker{})
	other := cells()
	other.MaxOpenShare = 0.5
	for name, p := range map[string]hold.Policy{
		"without keys":  hold.CircuitBreaker{Name: "cells", FailureThreshold: 1},
		"other numbers": other,
		"with keys":     hold.CircuitBreaker{Name: "plain", Keyed: true},
	} {
		_, err := o.Guard("new", p)
		if !errors.Is(err, hold.ErrConflict) {
			t.Errorf("%s: %v; want ErrConflict", name, err)
		}
	}
	if k, err := o.KeyedBreaker(cells()); err != nil {
		t.Error(err)
	} else if found, ok := o.KeyedCircuitBreaker("cells"); !ok || found != k {
		t.Error("the guard's breaker is not found by its name")
	}
	if _, err := o.Breaker(cells()); err == nil {
		t.Error("a keyed breaker is given out as one without keys")
	}
	wantIs(t, o.Update("plain", hold.CircuitBreaker{Name: "plain", Keyed: true}), hold.ErrConflict)
}

// Bypass never opens a key, and asks for none.
func TestBypassOfKeys(t *testing.T) {
	o := orchestrator.Bypass()
	defer func() { _ = o.Close(context.WithoutCancel(t.Context())) }()
	g, err := o.Guard("g", cells())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := orchestrator.Do(t.Context(), g, answer); err != nil {
		t.Error(err)
	}
	b, err := o.KeyedBreaker(cells())
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		p, err := b.Acquire(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		p.Report(hold.Failure)
	}
}
