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

// TestUpdateChangesTheLayers: the next call walks the new policy.
func TestUpdateChangesTheLayers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{})
		declared := hold.Policy(hold.None{})
		g := newGuard(t, o, "g", declared)
		b := failing(errBackend)
		_, _ = orchestrator.Do(t.Context(), g, b.call)
		b.wants(t, 1)
		next := hold.Combine(exactly(3, time.Second), hold.RateLimit{Limit: hold.PerHour(9)})
		if err := o.Update("g", next); err != nil {
			t.Fatal(err)
		}
		if g.Policy() != next {
			t.Errorf("the guard says %s", g.Policy())
		}
		b = failing(errBackend)
		_, _ = orchestrator.Do(t.Context(), g, b.call)
		b.wants(t, 3)
		if got := remaining(t, o, "g", ""); got != 6 {
			t.Errorf("%d tokens remain; want 6", got)
		}
		// Code that asks for the guard again may still hold what was declared.
		for _, p := range []hold.Policy{declared, next} {
			if again := newGuard(t, o, "g", p); again != g {
				t.Errorf("asked with %s, it is another guard", p)
			}
		}
	})
}

// TestUpdateKeepsCountsAndState: a breaker goes on counting where it was, a
// bucket keeps its tokens in proportion, for every guard that shares them.
func TestUpdateKeepsCountsAndState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{})
		b := hold.CircuitBreaker{Name: "b", FailureThreshold: 5}
		l := hold.RateLimit{Name: "l", Limit: hold.PerHour(10)}
		one := newGuard(t, o, "one", hold.Combine(b, l))
		two := newGuard(t, o, "two", hold.Combine(l, b))
		for range 2 {
			_, _ = orchestrator.Do(t.Context(), one, failing(errBackend).call)
		}
		b.FailureThreshold, b.Version = 3, 1
		l.Limit, l.Version = hold.PerHour(20), 1
		if err := o.Update("one", hold.Combine(b, l)); err != nil {
			t.Fatal(err)
		}
		if got := findBreaker(t, o, "b").Policy().FailureThreshold; got != 3 {
			t.Errorf("the shared breaker's threshold is %d; want 3", got)
		}
		wantClosed(t, o, "b", 2, 2)
		_, _ = orchestrator.Do(t.Context(), two, failing(errBackend).call) // the third in a row
		if s := findBreaker(t, o, "b").Status(); s.State != hold.StateOpen {
			t.Errorf("after 3 failures in a row it is %s", s.State)
		}
		time.Sleep(time.Second) // what was carried over was rounded down by a hair
		if got := remaining(t, o, "l", ""); got != 15 {
			t.Errorf("%d tokens remain; want 16 carried over, less 1", got)
		}
		// An open breaker that is changed still recovers.
		b.RecoveryTimeout, b.Version = time.Minute, 2
		if err := o.Update("two", hold.Combine(l, b)); err != nil {
			t.Fatal(err)
		}
		if s := findBreaker(t, o, "b").Status(); s.State != hold.StateOpen {
			t.Errorf("after the change it is %s", s.State)
		}
		time.Sleep(2 * time.Minute)
		if _, err := orchestrator.Do(t.Context(), one, answer); err != nil {
			t.Errorf("after its recovery: %v", err)
		}
	})
}

// TestUpdateAllChangesGuardsTogether: what each alone could not do, since another guard
// would be left with a breaker that does not fit it.
func TestUpdateAllChangesGuardsTogether(t *testing.T) {
	o := newOrchestrator(t, orchestrator.Config{})
	b := hold.CircuitBreaker{Name: "b", ProbeLease: 10 * time.Second}
	inside := func(d time.Duration) hold.Policy { return hold.Combine(b, hold.Timeout{Duration: d}) }
	two := newGuard(t, o, "two", inside(9*time.Second))
	one := newGuard(t, o, "one", inside(9*time.Second))
	if got := o.Guards(); len(got) != 2 || got[0] != one || got[1] != two {
		t.Errorf("the guards are %v", got)
	}
	b.ProbeLease = 5 * time.Second
	wantIs(t, o.Update("one", inside(time.Second)), hold.ErrInvalidPolicy)
	want := map[string]hold.Policy{"one": inside(time.Second), "two": inside(2 * time.Second)}
	if err := o.UpdateAll(want); err != nil {
		t.Fatal(err)
	}
	for _, g := range []*orchestrator.Guard{one, two} {
		if g.Policy() != want[g.Name()] {
			t.Errorf("%s has %s", g.Name(), g.Policy())
		}
	}
	if got := findBreaker(t, o, "b").Policy().ProbeLease; got != 5*time.Second {
		t.Errorf("the breaker's lease is %s", got)
	}
}

// TestUpdateAllIsAllOrNone: whichever guard's policy is refused, and whenever that shows.
func TestUpdateAllIsAllOrNone(t *testing.T) {
	l := hold.RateLimit{Name: "l", Limit: hold.PerHour(10)}
	more, most := l, l
	more.Limit, most.Limit = hold.PerHour(20), hold.PerHour(30)
	leased := more
	leased.Lease = true
	for name, next := range map[string]map[string]hold.Policy{
		"an unknown guard":     {"a": more, "nobody": more},
		"an invalid policy":    {"a": more, "b": hold.Timeout{}},
		"a limit that is torn": {"a": more, "b": most},
		"one that is refused":  {"a": more, "b": leased},
	} {
		o := newOrchestrator(t, orchestrator.Config{})
		a, b := newGuard(t, o, "a", l), newGuard(t, o, "b", l)
		if err := o.UpdateAll(next); err == nil {
			t.Errorf("%s: it was taken", name)
		}
		limiter, _ := o.RateLimiter("l")
		if a.Policy() != l || b.Policy() != l || limiter.Policy() != l.WithDefaults() {
			t.Errorf("%s: there are %s, %s and the limit %s", name, a.Policy(), b.Policy(), limiter.Policy())
		}
	}
}

// TestBadUpdateChangesNothing: one layer that is refused stops all of it.
func TestBadUpdateChangesNothing(t *testing.T) {
	b := hold.CircuitBreaker{Name: "b", FailureThreshold: 5, ProbeLease: 10 * time.Second}
	l := hold.RateLimit{Name: "l", Limit: hold.PerHour(10)}
	policy := hold.Combine(b, l)
	changed := b
	changed.FailureThreshold = 1
	short := b
	short.ProbeLease = 4 * time.Second
	sharing := b
	sharing.Sharing = hold.ShareLocal
	keyed, more := l, l
	keyed.Keyed = true
	more.Limit = hold.PerHour(99)
	for _, tt := range []struct {
		name  string
		guard string
		next  hold.Policy
		want  error
	}{
		{"an unknown guard", "nobody", policy, hold.ErrInvalidPolicy},
		{"nil", "g", nil, hold.ErrInvalidPolicy},
		{"an invalid layer", "g", hold.Combine(changed, hold.Timeout{}), hold.ErrInvalidPolicy},
		{"a limit that gets keys", "g", hold.Combine(changed, keyed), hold.ErrConflict},
		{"a breaker that is shared otherwise", "g", hold.Combine(sharing, l), hold.ErrInvalidPolicy},
		{"the same, after a change that was made", "g", hold.Combine(more, sharing), hold.ErrInvalidPolicy},
		{"a lease too short for this guard", "g", hold.Combine(short, l, hold.Timeout{Duration: 5 * time.Second}), hold.ErrInvalidPolicy},
		{"a lease too short for another guard", "g", hold.Combine(short, l), hold.ErrInvalidPolicy},
		{"a part twice", "g", hold.Combine(changed, changed), hold.ErrInvalidPolicy},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := newOrchestrator(t, orchestrator.Config{})
			g := newGuard(t, o, "g", policy)
			newGuard(t, o, "other", hold.Combine(b, hold.Timeout{Duration: 9 * time.Second}))
			wantIs(t, o.Update(tt.guard, tt.next), tt.want)
			if g.Policy() != policy {
				t.Errorf("the guard says %s", g.Policy())
			}
			if got := findBreaker(t, o, "b").Policy(); got.WithDefaults() != b.WithDefaults() {
				t.Errorf("the breaker is %s", got)
			}
			if limiter, _ := o.RateLimiter("l"); limiter.Policy() != l.WithDefaults() {
				t.Errorf("the limit is %s", limiter.Policy())
			}
			if _, err := orchestrator.Do(t.Context(), g, answer); err != nil {
				t.Errorf("the old policy does not run: %v", err)
			}
		})
	}
}

// TestUpdateSeesCarriedPolicies: a policy that code carries along shares its
// breakers too.
func TestUpdateSeesCarriedPolicies(t *testing.T) {
	o := newOrchestrator(t, orchestrator.Config{})
	b := hold.CircuitBreaker{Name: "b", ProbeLease: 10 * time.Second}
	newGuard(t, o, "g", b)
	carried := hold.Combine(b, hold.Timeout{Duration: 9 * time.Second})
	if _, err := orchestrator.ExecuteWithPolicy(t.Context(), o, carried, answer); err != nil {
		t.Fatal(err)
	}
	b.ProbeLease = 5 * time.Second
	wantIs(t, o.Update("g", b), hold.ErrInvalidPolicy)
	b.ProbeLease = 20 * time.Second
	if err := o.Update("g", b); err != nil {
		t.Error(err)
	}
	if _, err := orchestrator.ExecuteWithPolicy(t.Context(), o, carried, answer); err != nil {
		t.Errorf("the carried policy, after its breaker changed: %v", err)
	}
}

// TestUpdateThatTheStoreCannotServe: what was changed on the way is changed back.
func TestUpdateThatTheStoreCannotServe(t *testing.T) {
	stores := port.Stores{Buckets: memory.New(memory.Options{}).Stores().Buckets}
	o, err := orchestrator.New(stores, orchestrator.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = o.Close(t.Context()) }()
	limit := hold.RateLimit{Name: "l", Limit: hold.PerHour(10)}
	g := newGuard(t, o, "g", limit)
	more := limit
	more.Limit = hold.PerHour(20)
	wantIs(t, o.Update("g", hold.Combine(more, hold.CircuitBreaker{})), hold.ErrInvalidPolicy)
	if limiter, _ := o.RateLimiter("l"); limiter.Policy() != limit.WithDefaults() || g.Policy() != limit {
		t.Errorf("the limit is %s, the guard's policy %s", limiter.Policy(), g.Policy())
	}
}

// TestUpdateDropsALimit: callers that still say what it costs cannot know.
func TestUpdateDropsALimit(t *testing.T) {
	o := newOrchestrator(t, orchestrator.Config{})
	keyed := hold.RateLimit{Name: "l", Keyed: true, Limit: hold.PerHour(10)}
	g := newGuard(t, o, "g", keyed)
	call := []orchestrator.Call{orchestrator.KeyOf("l", "k"), orchestrator.CostOf("l", 2)}
	for _, p := range []hold.Policy{hold.None{}, hold.Retry{}, keyed, hold.None{}} {
		if err := o.Update("g", p); err != nil {
			t.Fatal(err)
		}
		if _, err := orchestrator.Do(t.Context(), g, answer, call...); err != nil {
			t.Errorf("under %s: %v", p, err)
		}
	}
	if _, err := orchestrator.Do(t.Context(), g, answer, orchestrator.KeyOf("never", "k")); !errors.Is(err, hold.ErrInvalidPolicy) {
		t.Errorf("a name that was never there: %v", err)
	}
	if got := remaining(t, o, "l", "k"); got != 8 {
		t.Errorf("%d tokens remain; want 8", got)
	}
}

// TestUpdateWhileRunning: calls on their way finish on the old policy, and no
// call sees half of one.
func TestUpdateWhileRunning(t *testing.T) {
	o := newOrchestrator(t, orchestrator.Config{})
	b := hold.CircuitBreaker{Name: "b", FailureThreshold: 1_000_000}
	policies := []hold.Policy{
		hold.Combine(hold.Retry{MaxAttempts: 1}, b),
		hold.Combine(hold.Timeout{Duration: time.Minute}, b, hold.RateLimit{Limit: hold.PerSecond(plenty)}),
		hold.None{},
	}
	g := newGuard(t, o, "g", policies[0])
	var stop atomic.Bool
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for !stop.Load() {
				got, err := orchestrator.Do(t.Context(), g, func(ctx context.Context) (int, error) { return 42, ctx.Err() })
				if got != 42 || err != nil {
					t.Errorf("Do = %d, %v", got, err)
					return
				}
			}
		})
	}
	for i := range 300 {
		if err := o.Update("g", policies[i%len(policies)]); err != nil {
			t.Error(err)
		}
	}
	stop.Store(true)
	callers.Wait()
}
