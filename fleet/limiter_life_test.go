package fleet_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/store/memory"
)

// Rule L10: replicas of two builds declare two limits: the higher version
// decides for all, and at equal versions the stricter numbers. Who is overruled
// says so once, not at each call.
func TestReplicasThatDisagree(t *testing.T) {
	for _, row := range []struct {
		name       string
		a, b       domain.RateLimit
		burst      int64 // of who decides
		overrulesA bool
	}{
		{"a newer version", domain.RateLimit{Limit: domain.PerHour(10), Version: 1}, domain.RateLimit{Limit: domain.PerHour(100), Version: 2}, 100, true},
		{"stricter numbers", domain.RateLimit{Limit: domain.PerHour(10)}, domain.RateLimit{Limit: domain.PerHour(100)}, 10, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			onEachStore(t, func(t *testing.T, stores port.Stores) {
				row.a.Name, row.b.Name = "api", "api"
				a, b := join(t, stores, fleet.Config{ID: "a"}), join(t, stores, fleet.Config{ID: "b"})
				one, two := a.limiter(row.a), b.limiter(row.b)
				admitted := int64(0)
				for range 300 {
					for _, l := range []*fleet.Limiter{one, two} {
						d, err := l.Allow(t.Context(), "")
						if err != nil {
							t.Fatal(err)
						}
						if d.Allowed {
							admitted++
						}
					}
					time.Sleep(100 * time.Millisecond)
				}
				if admitted > row.burst {
					t.Errorf("%d admitted; want %d at most", admitted, row.burst)
				}
				overruled, decides := b, a
				if row.overrulesA {
					overruled, decides = a, b
				}
				overruled.wantKinds(domain.EventSettings)
				decides.wantKinds()
			})
		})
	}
}

// On a keyed limit each bucket settles it for itself; it is still told once.
func TestDisagreementOverManyKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := memory.New(memory.Options{}).Stores()
		a, b := join(t, stores, fleet.Config{}), join(t, stores, fleet.Config{})
		one := a.limiter(domain.RateLimit{Name: "api", Limit: domain.PerHour(10), Keyed: true, Version: 1})
		two := b.limiter(domain.RateLimit{Name: "api", Limit: domain.PerHour(20), Keyed: true, Version: 2})
		for i := range 200 {
			allow(t, two, fmt.Sprint("shared", i))
			allow(t, one, fmt.Sprint("shared", i)) // decided by b's numbers
			allow(t, one, fmt.Sprint("own", i))    // and by its own
			time.Sleep(time.Second)
		}
		a.wantKinds(domain.EventSettings)
		// It may be told again when it was over for a while, or when the numbers change.
		time.Sleep(2 * time.Minute)
		allow(t, two, "again")
		allow(t, one, "again")
		a.wantKinds(domain.EventSettings)
		if err := one.Update(domain.RateLimit{Name: "api", Limit: domain.PerHour(30), Keyed: true, Version: 1}); err != nil {
			t.Fatal(err)
		}
		allow(t, one, "again")
		a.wantKinds(domain.EventSettings)
		b.wantKinds()
	})
}

// The build's version stands in for a policy that has none.
func TestTheBuildsVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := join(t, memory.New(memory.Options{}).Stores(), fleet.Config{Build: 7})
		if got := r.limiter(domain.RateLimit{Name: "a", Limit: domain.PerSecond(1)}).Policy().Version; got != 7 {
			t.Errorf("Version = %d; want the build's, 7", got)
		}
		if got := r.limiter(domain.RateLimit{Name: "b", Limit: domain.PerSecond(1), Version: 3}).Policy().Version; got != 3 {
			t.Errorf("Version = %d; want its own, 3", got)
		}
	})
}

// A name stands for one limit in a replica.
func TestOneLimitOfAName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := join(t, memory.New(memory.Options{}).Stores(), fleet.Config{Build: 2})
		l := r.limiter(domain.RateLimit{Name: "api", Limit: domain.PerSecond(5)})
		for _, same := range []domain.RateLimit{
			{Name: "api", Limit: domain.PerSecond(5)},
			{Name: "api", Limit: domain.PerSecond(5).WithBurst(5), Version: 2}, // the defaults, written out
		} {
			if got := r.limiter(same); got != l {
				t.Errorf("%v is another limit", same)
			}
		}
		if _, err := r.Limiter(domain.RateLimit{Name: "api", Limit: domain.PerSecond(6)}); !errors.Is(err, domain.ErrConflict) {
			t.Errorf("other numbers under the same name: %v; want ErrConflict", err)
		}
		for field, p := range map[string]domain.RateLimit{
			"Name":         {Limit: domain.PerSecond(5)},
			"Limit.Tokens": {Name: "x"},
			"Limit.Burst":  {Name: "x", Limit: domain.Per(1, 365*24*time.Hour).WithBurst(1 << 40)},
		} {
			_, err := r.Limiter(p)
			if said, ok := errors.AsType[*domain.PolicyError](err); !ok || said.Field != field {
				t.Errorf("%+v: %v; want a PolicyError about %s", p, err, field)
			}
		}
		if found, ok := r.FindLimiter("api"); !ok || found != l {
			t.Error("FindLimiter does not find it")
		}
		if _, ok := r.FindLimiter("x"); ok {
			t.Error("FindLimiter found one that was refused")
		}
		none, err := fleet.Join(port.Stores{}, fleet.Config{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := none.Limiter(domain.RateLimit{Name: "api", Limit: domain.PerSecond(5)}); !errors.Is(err, domain.ErrInvalidPolicy) {
			t.Errorf("on a store without buckets: %v; want ErrInvalidPolicy", err)
		}
	})
}

func TestJoinRefuses(t *testing.T) {
	for field, c := range map[string]fleet.Config{
		"ExpectedReplicas": {ExpectedReplicas: -1},
		"Build":            {Build: -1},
		"StoreTimeout":     {StoreTimeout: -time.Second},
		"MaxStaleness":     {MaxStaleness: -time.Second},
	} {
		_, err := fleet.Join(memory.New(memory.Options{}).Stores(), c)
		if said, ok := errors.AsType[*domain.PolicyError](err); !ok || said.Field != field {
			t.Errorf("%+v: %v; want a PolicyError about %s", c, err, field)
		}
	}
}

// Joining starts nothing, and a replica that was never used need not be closed.
func TestJoiningStartsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, stores := newFaulty(memory.New(memory.Options{}).Stores())
		r, err := fleet.Join(stores, fleet.Config{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Limiter(domain.RateLimit{Name: "api", Limit: domain.PerSecond(1)}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if n := store.asked.Load() + store.beats.Load(); n != 0 {
			t.Errorf("%d store calls", n)
		}
		// The bubble ends although r was not closed: it has no goroutine.
	})
}

// After Close every call is ErrClosed, the membership is over, and no goroutine
// is left: the bubble would not end.
func TestClose(t *testing.T) {
	onEachStore(t, func(t *testing.T, stores port.Stores) {
		r, other := join(t, stores, fleet.Config{}), join(t, stores, fleet.Config{})
		limit := domain.RateLimit{Name: "api", Limit: domain.PerHour(10), Keyed: true}
		l, theirs := r.limiter(limit), other.limiter(limit)
		allow(t, l, "a")
		allow(t, theirs, "a")
		time.Sleep(6 * time.Second)
		if n := other.Health().Replicas; n != 2 {
			t.Fatalf("%d replicas", n)
		}
		for range 2 { // twice is as once
			if err := r.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
		for _, cost := range []int64{0, 1, 100} {
			if d, err := l.AllowN(t.Context(), "b", cost); !errors.Is(err, domain.ErrClosed) || d.Allowed || domain.IsRetryable(err) {
				t.Errorf("after Close, AllowN(%d) = %+v, %v; want ErrClosed", cost, d, err)
			}
		}
		time.Sleep(6 * time.Second)
		if n := other.Health().Replicas; n != 1 {
			t.Errorf("%d replicas after one has left; want 1", n)
		}
		if d := allow(t, theirs, "a"); !d.Allowed || d.Degraded {
			t.Errorf("another replica: %+v", d)
		}
	})
}

// Close while calls are in the air: each gets its answer or ErrClosed, soon, and
// never the outage behaviour: nothing is wrong with the store.
func TestCloseInFlight(t *testing.T) {
	for _, outage := range []domain.Outage{domain.OutageOpen, domain.OutageClosed, domain.OutageLocalShare} {
		synctest.Test(t, func(t *testing.T) {
			store, stores := newFaulty(memory.New(memory.Options{}).Stores())
			r := join(t, stores, fleet.Config{})
			l := r.limiter(domain.RateLimit{Name: "api", Limit: domain.PerHour(1000), Outage: outage})
			store.set(isSilent)
			askers := make([]*asker, 10)
			for i := range askers {
				askers[i] = ask(t, l, 1)
			}
			start := time.Now()
			if err := r.Close(t.Context()); err != nil {
				t.Error(err)
			}
			if took := time.Since(start); took > storeTimeout {
				t.Errorf("Close took %v", took)
			}
			for _, a := range askers {
				a.wants(t, false, domain.ErrClosed)
			}
			r.wantKinds()
		})
	}
}

// Close is bounded by its ctx and by StoreTimeout, also while the store hangs.
func TestCloseIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, stores := newFaulty(memory.New(memory.Options{}).Stores())
		r := join(t, stores, fleet.Config{})
		allow(t, r.limiter(domain.RateLimit{Name: "api", Limit: domain.PerHour(1000)}), "")
		synctest.Wait()
		store.set(isSilent)
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		_ = r.Close(ctx)
		if took := time.Since(start); took > 20*time.Millisecond {
			t.Errorf("Close took %v; want 20ms at most, its ctx", took)
		}
		if err := r.Close(t.Context()); err != nil {
			t.Errorf("the second Close: %v", err)
		}
		if took := time.Since(start); took > storeTimeout {
			t.Errorf("Close took %v; want %v at most", took, storeTimeout)
		}
	})
}

// A listener that is slow, panics or calls back harms nobody; events come in
// order, and those that would wait behind too many are dropped and counted.
func TestListeners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, stores := newFaulty(memory.New(memory.Options{}).Stores())
		stores.Members = nil
		var mu sync.Mutex
		var kinds []domain.EventKind
		var r *fleet.Replica
		var l *fleet.Limiter
		w := &watched{t: t}
		r, err := fleet.Join(stores, fleet.Config{
			ID: "me",
			OnEvent: func(e domain.Event) {
				if e.Replica != "me" {
					t.Errorf("Replica = %q", e.Replica)
				}
				_, _ = l.Peek(context.Background(), "") // it may call back
				_ = r.Health()
				time.Sleep(time.Minute)
				mu.Lock()
				kinds = append(kinds, e.Kind)
				mu.Unlock()
				panic("a listener's bug")
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		w.Replica = r
		t.Cleanup(w.close)
		l = w.limiter(domain.RateLimit{Name: "api", Limit: domain.PerHour(1000), Outage: domain.OutageOpen})
		for range 5 {
			store.set(isBroken)
			bringDown(t, w, l, "")
			store.set(nil)
			bringUp(t, w, l, "")
		}
		time.Sleep(time.Hour)
		mu.Lock()
		defer mu.Unlock()
		want := slices.Repeat([]domain.EventKind{domain.EventStoreDown, domain.EventStoreUp}, 5)
		if !slices.Equal(kinds, want) {
			t.Errorf("events %v; want %v", kinds, want)
		}
	})
}

// allowAll is a store that keeps nothing.
type allowAll struct{}

func (allowAll) Take(_ context.Context, in []port.TakeRequest, out []port.TakeReply) {
	for i := range in {
		out[i] = port.TakeReply{Granted: in[i].Count, Remaining: 1}
	}
}

// advised is a store that finds fault with its client.
type advised struct{ port.BucketStore }

func (advised) Warnings() []string { return []string{"PoolSize is 1"} }

// What hurts is told when a replica joins, before it does.
func TestJoiningTellsWhatHurts(t *testing.T) {
	var lines bytes.Buffer
	stores := memory.New(memory.Options{}).Stores()
	stores.Buckets = advised{stores.Buckets}
	replica, err := fleet.Join(stores, fleet.Config{Logger: slog.New(slog.NewTextHandler(&lines, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if got := lines.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "WARN") || !strings.Contains(got, "PoolSize is 1") {
		t.Errorf("logged %q; want one warning", got)
	}
	if err := replica.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
