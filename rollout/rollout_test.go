package rollout_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/internal/leaktest"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/policy"
	"github.com/holdfast-go/holdfast/rollout"
	"github.com/holdfast-go/holdfast/store/memory"
)

func TestMain(m *testing.M) { os.Exit(leaktest.Main(m)) }

// read reads a document of lines such as "api: timeout(1s)".
func read(document string) (func(string) (hold.Policy, bool), error) {
	policies := make(map[string]hold.Policy)
	for line := range strings.Lines(document) {
		name, text, _ := strings.Cut(strings.TrimSpace(line), ": ")
		p, err := policy.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		policies[name] = p
	}
	return func(guard string) (hold.Policy, bool) { p, ok := policies[guard]; return p, ok }, nil
}

// A replica follows what is published, and notes what became of it.
type replica struct {
	t        *testing.T
	orch     *orchestrator.Orchestrator
	follower *rollout.Follower
	changes  []rollout.Change
}

func join(t *testing.T, stores port.Stores) *replica {
	t.Helper()
	orch, err := orchestrator.New(stores, orchestrator.Config{})
	if err != nil {
		t.Fatal(err)
	}
	r := &replica{t: t, orch: orch}
	r.follower, err = rollout.Follow(rollout.Config{
		Orchestrator: orch, Policies: stores.Policies, Read: read, OnChange: func(c rollout.Change) { r.changes = append(r.changes, c) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.follower.Close()
		_ = orch.Close(context.WithoutCancel(t.Context()))
	})
	return r
}

func (r *replica) guard(name string, p hold.Policy) *orchestrator.Guard {
	r.t.Helper()
	g, err := r.orch.Guard(name, p)
	if err != nil {
		r.t.Fatal(err)
	}
	return g
}

// last is the last change that was told, but for its version.
func (r *replica) last() (c rollout.Change) {
	if len(r.changes) > 0 {
		c = r.changes[len(r.changes)-1]
		c.Version = 0
	}
	return c
}

func publish(t *testing.T, store port.PolicyStore, p port.Publication) uint64 {
	t.Helper()
	now, err := store.Published(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	version, ok, err := store.Publish(t.Context(), p, now.Version)
	if !ok || err != nil {
		t.Fatal(version, ok, err)
	}
	return version
}

// taken takes tokens until there are none.
func taken(t *testing.T, g *orchestrator.Guard) (n int) {
	t.Helper()
	for {
		if err := orchestrator.Run(t.Context(), g, func(context.Context) error { n++; return nil }); err != nil {
			return n
		}
	}
}

// TestPublishedWins: on all replicas, soon, with the tokens that there are carried over; and
// what is not named any more goes back to what it declares.
func TestPublishedWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := memory.New(memory.Options{}).Stores()
		one, two := join(t, stores), join(t, stores)
		declared := hold.RateLimit{Limit: hold.PerHour(100)}
		a, b := one.guard("api", declared), two.guard("api", declared)
		untouched := one.guard("other", hold.Timeout{Duration: time.Second})
		for range 50 {
			if err := orchestrator.Run(t.Context(), a, func(context.Context) error { return nil }); err != nil {
				t.Fatal(err)
			}
		}
		version := publish(t, stores.Policies, port.Publication{Document: "api: rate_limit(10/h)"})
		time.Sleep(rollout.DefaultEvery)
		synctest.Wait()
		want := hold.RateLimit{Name: "api", Limit: hold.PerHour(10), Version: int64(version)}
		for _, r := range []*replica{one, two} {
			if got := r.last(); r.follower.Version() != version || got.Err != nil || !slices.Equal(got.Guards, []string{"api"}) {
				t.Errorf("version %d, %+v", r.follower.Version(), got)
			}
		}
		limit, _ := two.orch.RateLimiter("api")
		if got := limit.Policy(); got != want.WithDefaults() || untouched.Policy() != (hold.Timeout{Duration: time.Second}) {
			t.Errorf("the limit is %v; want %v", got, want)
		}
		if n := taken(t, a) + taken(t, b); n != 5 {
			t.Errorf("%d tokens were carried over; want half of 10", n)
		}
		version = publish(t, stores.Policies, port.Publication{Document: "other: timeout(3s)"})
		time.Sleep(rollout.DefaultEvery)
		synctest.Wait()
		want = hold.RateLimit{Name: "api", Limit: hold.PerHour(100), Version: int64(version)}
		if got := limit.Policy(); got != want.WithDefaults() || untouched.Policy() != (hold.Timeout{Duration: 3 * time.Second}) {
			t.Errorf("afterwards the limit is %v, the other guard %v", got, untouched.Policy())
		}
		if n := taken(t, a) + taken(t, b); n != 0 {
			t.Errorf("%d tokens were made", n)
		}
	})
}

// TestRefused: what one guard cannot be given, none is; and why is told.
func TestRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		document string
		shadow   bool
		want     string // part of why
	}{
		"a document that is none":     {"api: rate_limt(10/h)", false, `did you mean rate_limit?`},
		"a policy that does not fit":  {"api: timeout(1s)\nb: rate_limit(1/h, keyed=true)", false, "Keyed cannot change"},
		"the same, to be checked":     {"api: timeout(1s)\nb: rate_limit(1/h, keyed=true)", true, "Keyed cannot change"},
		"a shadow changes nothing":    {"api: timeout(1s)\nb: timeout(2s)", true, ""},
		"and a guard that is not one": {"nobody: timeout(1s)", false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stores := memory.New(memory.Options{}).Stores()
				r := join(t, stores)
				api := r.guard("api", hold.None{})
				b := r.guard("b", hold.RateLimit{Limit: hold.PerHour(5)})
				publish(t, stores.Policies, port.Publication{Document: tt.document, Shadow: tt.shadow})
				time.Sleep(2 * rollout.DefaultEvery)
				synctest.Wait()
				if api.Policy() != (hold.None{}) || b.Policy() != (hold.RateLimit{Limit: hold.PerHour(5)}) {
					t.Errorf("the guards have %v and %v", api.Policy(), b.Policy())
				}
				got := r.last()
				if len(r.changes) != 1 || (got.Err == nil) != (tt.want == "") || got.Err != nil && !strings.Contains(got.Err.Error(), tt.want) {
					t.Errorf("it was told %+v; want %q", r.changes, tt.want)
				}
				if got.Shadow != tt.shadow || tt.shadow && len(got.Guards) != 2 {
					t.Errorf("it was told %+v", got)
				}
			})
		})
	}
}

// TestJSON: unless told otherwise a follower reads what `holdfast policy apply` publishes.
func TestJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := memory.New(memory.Options{}).Stores()
		orch, err := orchestrator.New(stores, orchestrator.Config{})
		if err != nil {
			t.Fatal(err)
		}
		g, err := orch.Guard("api", hold.None{})
		if err != nil {
			t.Fatal(err)
		}
		publish(t, stores.Policies, port.Publication{Document: `{"policies": {"api": "timeout(5s) > retry(max_attempts=3)"}}`})
		f, err := rollout.Follow(rollout.Config{Orchestrator: orch, Policies: stores.Policies})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if want := hold.Combine(hold.Timeout{Duration: 5 * time.Second}, hold.Retry{MaxAttempts: 3}); g.Policy() != want {
			t.Errorf("the guard has %v", g.Policy())
		}
		f.Close()
		_ = orch.Close(t.Context())
	})
}

// TestLateGuard: one that is made after the publication gets it, too.
func TestLateGuard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := memory.New(memory.Options{}).Stores()
		publish(t, stores.Policies, port.Publication{Document: "api: timeout(1s)"})
		r := join(t, stores)
		time.Sleep(time.Minute)
		g := r.guard("api", hold.None{})
		time.Sleep(rollout.DefaultEvery)
		synctest.Wait()
		if g.Policy() != (hold.Timeout{Duration: time.Second}) || len(r.changes) != 2 {
			t.Errorf("the guard has %v; told %+v", g.Policy(), r.changes)
		}
	})
}

// A frail store forgets, and does not answer, when it is told to.
type frail struct {
	mu    sync.Mutex
	store port.PolicyStore // nil while it is down
}

func (f *frail) become(store port.PolicyStore) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.store = store
}

func (f *frail) Published(ctx context.Context, known uint64) (port.Publication, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.store == nil {
		return port.Publication{}, errors.New("down")
	}
	return f.store.Published(ctx, known)
}

func (f *frail) Publish(ctx context.Context, p port.Publication, after uint64) (uint64, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.store.Publish(ctx, p, after)
}

func (f *frail) Publications(ctx context.Context) ([]port.Publication, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.store.Publications(ctx)
}

// TestStoreThatForgets: in an outage everything stays; a store that comes back empty is told
// again, once, and who joins then has it.
func TestStoreThatForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := memory.New(memory.Options{}).Stores()
		store := &frail{store: stores.Policies}
		stores.Policies = store
		one, two := join(t, stores), join(t, stores)
		a, b := one.guard("api", hold.None{}), two.guard("api", hold.None{})
		version := publish(t, store, port.Publication{Document: "api: timeout(1s)"})
		time.Sleep(time.Second)
		store.become(nil)
		time.Sleep(time.Minute)
		store.become(memory.New(memory.Options{}).Stores().Policies)
		time.Sleep(time.Second)
		synctest.Wait()
		want := hold.Timeout{Duration: time.Second}
		if a.Policy() != want || b.Policy() != want {
			t.Errorf("they have %v and %v", a.Policy(), b.Policy())
		}
		brought := 0
		for _, c := range append(one.changes, two.changes...) {
			if c.BroughtBack {
				brought++
			}
		}
		if brought != 1 {
			t.Errorf("it was brought back %d times: %+v, %+v", brought, one.changes, two.changes)
		}
		if got, err := store.Published(t.Context(), 0); got.Version != version || err != nil {
			t.Errorf("the store has %+v, %v", got, err)
		}
	})
}

// TestRefusedAndLost: a store that has lost what was refused here has nothing to say, and
// nothing is said of it.
func TestRefusedAndLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := memory.New(memory.Options{}).Stores()
		store := &frail{store: stores.Policies}
		stores.Policies = store
		r := join(t, stores)
		g := r.guard("api", hold.None{})
		publish(t, store, port.Publication{Document: "api: timeuot(1s)"})
		time.Sleep(time.Second)
		store.become(memory.New(memory.Options{}).Stores().Policies)
		time.Sleep(time.Second)
		synctest.Wait()
		if len(r.changes) != 1 || r.changes[0].Err == nil || g.Policy() != (hold.None{}) {
			t.Errorf("it was told %+v", r.changes)
		}
	})
}

func TestFollowRefuses(t *testing.T) {
	stores := memory.New(memory.Options{}).Stores()
	orch, err := orchestrator.New(stores, orchestrator.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = orch.Close(t.Context()) }()
	for _, tt := range []struct {
		config rollout.Config
		want   error
	}{
		{rollout.Config{Policies: stores.Policies, Read: read}, hold.ErrInvalidPolicy},
		{rollout.Config{Orchestrator: orch, Read: read}, errors.ErrUnsupported},
		{rollout.Config{Orchestrator: orch, Policies: stores.Policies, Read: read, Every: -1}, hold.ErrInvalidPolicy},
	} {
		if f, err := rollout.Follow(tt.config); f != nil || !errors.Is(err, tt.want) {
			t.Errorf("%v, %v; want %v", f, err, tt.want)
		}
	}
}
