package fleet_test

import (
	"context"
	"errors"
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

// A held store keeps each call until the test lets it go.
type held struct {
	*faulty

	gates chan chan struct{}
}

func hold(s port.Stores) (*held, port.Stores) {
	s.Members = nil
	f, s := newFaulty(s)
	h := &held{f, make(chan chan struct{}, 64)}
	f.set(func(ctx context.Context, execute func()) error {
		gate := make(chan struct{})
		h.gates <- gate
		select {
		case <-gate:
			execute()
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	return h, s
}

// release lets the call in the air go, and waits for what follows from it.
func (h *held) release(t *testing.T) {
	t.Helper()
	synctest.Wait()
	select {
	case gate := <-h.gates:
		close(gate)
	default:
		t.Fatal("no store call is in the air")
	}
	synctest.Wait()
}

// An asker is one call in the background.
type asker struct {
	d     domain.Decision
	err   error
	took  time.Duration
	done  chan struct{}
	leave context.CancelCauseFunc
}

func ask(t *testing.T, l *fleet.Limiter, cost int64) *asker {
	t.Helper()
	ctx, leave := context.WithCancelCause(t.Context())
	a := &asker{done: make(chan struct{}), leave: leave}
	start := time.Now()
	go func() {
		defer close(a.done)
		a.d, a.err = l.AllowN(ctx, "", cost)
		a.took = time.Since(start)
	}()
	synctest.Wait()
	return a
}

func (a *asker) wants(t *testing.T, allowed bool, err error) {
	t.Helper()
	synctest.Wait()
	select {
	case <-a.done:
	default:
		t.Fatal("it still waits")
	}
	if a.d.Allowed != allowed || !errors.Is(a.err, err) || (err == nil) != (a.err == nil) {
		t.Errorf("%+v, %v; want allowed %v, %v", a.d, a.err, allowed, err)
	}
}

// Many callers, few store calls, in the order in which they came.
func TestCallersShareAFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, stores := hold(memory.New(memory.Options{}).Stores())
		l := join(t, stores, fleet.Config{}).limiter(domain.RateLimit{Name: "api", Limit: domain.PerHour(50)})
		first := ask(t, l, 1)
		crowd := make([]*asker, 99)
		for i := range crowd {
			crowd[i] = ask(t, l, 1)
		}
		h.release(t)
		first.wants(t, true, nil)
		h.release(t)
		for i, a := range crowd {
			a.wants(t, i < 49, nil)
		}
		if n := h.asked.Load(); n != 2 {
			t.Errorf("%d store calls for 100 callers; want 2", n)
		}
	})
}

// Rule L3: a caller cancelled before take-off takes nothing.
func TestCancelledBeforeTakeOffTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, stores := hold(memory.New(memory.Options{}).Stores())
		l := join(t, stores, fleet.Config{}).limiter(domain.RateLimit{Name: "api", Limit: domain.PerHour(10)})
		first, second, third := ask(t, l, 1), ask(t, l, 1), ask(t, l, 1)
		why := errors.New("the user went away")
		second.leave(why)
		second.wants(t, false, why)
		h.release(t)
		h.release(t)
		first.wants(t, true, nil)
		third.wants(t, true, nil)
		h.set(nil)
		if d := peek(t, l, ""); d.Remaining != 8 {
			t.Errorf("%d tokens are left; want 8", d.Remaining)
		}
		done, cancel := context.WithCancelCause(t.Context())
		cancel(why)
		if d, err := l.Allow(done, ""); !errors.Is(err, why) || d.Allowed {
			t.Errorf("with a ctx that is done: %+v, %v; want %v", d, err, why)
		}
		if d := peek(t, l, ""); d.Remaining != 8 {
			t.Errorf("%d tokens are left; want 8", d.Remaining)
		}
	})
}

// A crowd that goes away while one call is in the air says nothing about the store.
func TestACrowdThatGoesAwayIsNoStoreFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, stores := hold(memory.New(memory.Options{}).Stores())
		stores.Members = nil
		r := join(t, stores, fleet.Config{})
		l := r.limiter(domain.RateLimit{Name: "api", Limit: domain.PerHour(50)})
		first := ask(t, l, 1)
		why := errors.New("the users went away")
		for range 10 {
			a := ask(t, l, 1)
			a.leave(why)
			a.wants(t, false, why)
		}
		r.wantKinds()
		if r.Health().StoreDown {
			t.Error("the store is taken for down")
		}
		h.release(t)
		first.wants(t, true, nil)
	})
}

// Rule L3: the token of a caller cancelled in flight goes to the next local
// caller of at most that cost: who was denied aboard, else who waits; else it
// is spent.
func TestATokenIsHandedOver(t *testing.T) {
	type caller struct {
		cost   int64
		leaves bool // while in the air
		want   bool
	}
	for _, row := range []struct {
		name   string
		aboard []caller // of the flight in the air
		behind []caller
		burst  int64
		left   int64
	}{
		{"to one denied aboard", []caller{{1, true, false}, {1, false, true}, {1, false, true}, {1, false, false}}, nil, 2, 0},
		{"to one denied aboard before", []caller{{3, false, true}, {2, false, true}, {3, true, false}}, nil, 5, 0},
		{"to one behind", []caller{{1, true, false}}, []caller{{1, false, true}, {1, false, true}}, 10, 8},
		{"not to a higher cost", []caller{{2, true, false}, {3, false, false}}, []caller{{3, false, false}}, 4, 2},
		{"not to one who left too", []caller{{1, true, false}, {1, true, false}, {1, false, true}}, nil, 1, 0},
		{"a part of it", []caller{{5, true, false}}, []caller{{2, false, true}}, 5, 0},
		{"not to a peek", []caller{{1, true, false}, {0, false, false}}, nil, 1, 0},
		{"spent", []caller{{4, true, false}}, nil, 10, 6},
		// Gifts of different costs each find the first one that they fit.
		{
			"two gifts", []caller{{1, true, false}, {4, true, false}, {3, false, true}, {1, false, true}}, nil, 5, 0,
		},
		{
			"two gifts, the small one first finds nobody aboard",
			[]caller{{1, true, false}, {4, true, false}, {3, false, true}},
			[]caller{{1, false, true}},
			5, 0,
		},
		{
			"two gifts, each to whom the least will do",
			[]caller{{4, true, false}, {1, true, false}, {1, false, true}, {3, false, true}},
			nil, 5, 0,
		},
		{
			"two gifts, the small one finds nobody at all",
			[]caller{{1, true, false}, {4, true, false}, {3, false, true}},
			nil, 5, 0,
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, stores := hold(memory.New(memory.Options{}).Stores())
				l := join(t, stores, fleet.Config{}).limiter(domain.RateLimit{Name: "api", Limit: domain.PerHour(1).WithBurst(row.burst)})
				ask(t, l, 0) // so that the others ride together
				board := func(callers []caller) (askers []*asker) {
					for _, c := range callers {
						askers = append(askers, ask(t, l, c.cost))
					}
					return askers
				}
				aboard := board(row.aboard)
				h.release(t)
				behind := board(row.behind)
				why := errors.New("the user went away")
				for i, c := range row.aboard {
					if c.leaves {
						aboard[i].leave(why)
					}
				}
				h.release(t)
				h.set(nil)
				if len(behind) > 0 {
					select {
					case gate := <-h.gates:
						close(gate)
					default: // all were served
					}
				}
				for i, c := range row.aboard {
					if c.leaves {
						aboard[i].wants(t, false, why)
					} else {
						aboard[i].wants(t, c.want, nil)
					}
				}
				for i, c := range row.behind {
					behind[i].wants(t, c.want, nil)
				}
				if d := peek(t, l, ""); d.Remaining != row.left {
					t.Errorf("%d tokens are left; want %d", d.Remaining, row.left)
				}
			})
		})
	}
}

// Rule L3: everyone is answered within StoreTimeout of its own arrival, also
// those who queue behind a flight that hangs.
func TestEveryoneIsAnsweredWithinStoreTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, stores := newFaulty(memory.New(memory.Options{}).Stores())
		r := join(t, stores, fleet.Config{})
		l := r.limiter(domain.RateLimit{Name: "api", Limit: domain.PerSecond(1000), Outage: domain.OutageClosed})
		allow(t, l, "")
		store.set(isSilent)
		askers := make([]*asker, 30)
		for i := range askers {
			askers[i] = ask(t, l, 1)
			time.Sleep(9 * time.Millisecond)
		}
		time.Sleep(storeTimeout)
		for i, a := range askers {
			a.wants(t, false, domain.ErrStoreUnavailable)
			if a.took > storeTimeout {
				t.Errorf("caller %d waited %v", i, a.took)
			}
		}
	})
}

// Rule L4: the reply to a call is lost: it was charged once, its caller gets
// the outage answer, and nothing is sent again.
func TestALostReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, stores := newFaulty(memory.New(memory.Options{}).Stores())
		stores.Members = nil
		l := join(t, stores, fleet.Config{}).limiter(domain.RateLimit{Name: "api", Limit: domain.PerHour(10), Outage: domain.OutageClosed})
		store.set(losesReplies)
		for i := range 2 {
			a := ask(t, l, 1)
			time.Sleep(storeTimeout)
			a.wants(t, false, domain.ErrStoreUnavailable)
			if n := store.asked.Load(); n != int64(i+1) {
				t.Errorf("%d store calls for %d calls", n, i+1)
			}
		}
		store.set(nil)
		if d := peek(t, l, ""); d.Remaining != 8 {
			t.Errorf("%d tokens are left; want 8: two calls were charged, once each", d.Remaining)
		}
	})
}

// Rule L4: a reply that comes after its time is dropped: its caller was told
// something else already, and the token is spent.
func TestALateReplyIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, stores := newFaulty(memory.New(memory.Options{}).Stores())
		stores.Members = nil
		l := join(t, stores, fleet.Config{}).limiter(domain.RateLimit{Name: "api", Limit: domain.PerHour(10), Outage: domain.OutageClosed})
		late := make(chan struct{})
		store.set(func(_ context.Context, execute func()) error { execute(); <-late; return nil })
		a, b := ask(t, l, 1), ask(t, l, 1)
		time.Sleep(storeTimeout + time.Millisecond)
		close(late)
		store.set(nil)
		b.wants(t, false, domain.ErrStoreUnavailable)
		<-a.done // it called the store itself: what it was told is for it to use, or not
		if d := peek(t, l, ""); d.Remaining != 9 {
			t.Errorf("%d tokens are left; want 9: the one behind was never sent", d.Remaining)
		}
	})
}

// Rule L5: a denial is answered from memory until its time has come.
func TestADenialIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, stores := newFaulty(memory.New(memory.Options{}).Stores())
		stores.Members = nil
		l := join(t, stores, fleet.Config{}).limiter(domain.RateLimit{Name: "api", Limit: domain.Per(10, 5*time.Second).WithBurst(1)})
		allow(t, l, "")
		denied := allow(t, l, "")
		if denied.Allowed || denied.RetryAfter != 500*time.Millisecond {
			t.Fatalf("%+v; want a denial for 500ms", denied)
		}
		calls := store.asked.Load()
		for range 49 {
			time.Sleep(10 * time.Millisecond)
			denied.RetryAfter -= 10 * time.Millisecond
			if d := allow(t, l, ""); d != denied {
				t.Fatalf("from memory: %+v; want %+v", d, denied)
			}
		}
		if n := store.asked.Load(); n != calls {
			t.Errorf("%d store calls while the denial was known", n-calls)
		}
		time.Sleep(10 * time.Millisecond)
		if d := allow(t, l, ""); !d.Allowed {
			t.Errorf("when its time had come: %+v", d)
		}
	})
}

// Rule L5: for 1 s at most, whatever RetryAfter says.
func TestADenialIsRememberedForASecondAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, stores := newFaulty(memory.New(memory.Options{}).Stores())
		stores.Members = nil
		l := join(t, stores, fleet.Config{}).limiter(domain.RateLimit{Name: "api", Limit: domain.PerHour(1)})
		allow(t, l, "")
		allow(t, l, "")
		for i := range 5 {
			calls := store.asked.Load()
			time.Sleep(time.Second - 1)
			if d := allow(t, l, ""); d.Allowed || d.RetryAfter < 59*time.Minute {
				t.Errorf("%+v; want a denial for an hour", d)
			}
			if n := store.asked.Load() - calls; n != 0 {
				t.Errorf("round %d: asked again after less than 1 s", i)
			}
			time.Sleep(time.Nanosecond)
			allow(t, l, "")
			if n := store.asked.Load() - calls; n != 1 {
				t.Errorf("round %d: %d store calls after 1 s; want 1", i, n)
			}
		}
	})
}

// Rule L5: the memory is per cost: it denies what costs as much or more, and
// says of each cost when its own tokens will be there.
func TestADenialIsRememberedPerCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, stores := newFaulty(memory.New(memory.Options{}).Stores())
		stores.Members = nil
		l := join(t, stores, fleet.Config{}).limiter(domain.RateLimit{Name: "api", Limit: domain.PerSecond(10)})
		allowN(t, l, "", 7)
		if d := allowN(t, l, "", 5); d.Allowed || d.RetryAfter != 200*time.Millisecond {
			t.Fatalf("5 of 3 tokens: %+v", d)
		}
		calls := store.asked.Load()
		d := allowN(t, l, "", 6)
		if d.Allowed || store.asked.Load() != calls {
			t.Errorf("6 of 3 tokens: %+v, with %d store calls; want it denied from memory", d, store.asked.Load()-calls)
		}
		if d.RetryAfter != 300*time.Millisecond {
			t.Errorf("6 of 3 tokens: retry after %v; want 300ms, when six are there", d.RetryAfter)
		}
		if d := allowN(t, l, "", 3); !d.Allowed || store.asked.Load() != calls+1 {
			t.Errorf("3 of 3 tokens: %+v, with %d store calls; want it asked and allowed", d, store.asked.Load()-calls)
		}
		if d := peek(t, l, ""); d.Remaining != 0 || store.asked.Load() != calls+2 {
			t.Errorf("a peek: %+v, with %d store calls; want it asked", d, store.asked.Load()-calls-1)
		}
	})
}

// The memory of the smallest cost is kept: it denies the others too.
func TestTheSmallestDenialIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, stores := hold(memory.New(memory.Options{}).Stores())
		l := join(t, stores, fleet.Config{}).limiter(domain.RateLimit{Name: "api", Limit: domain.PerSecond(10)})
		first := ask(t, l, 9)
		eight, two, nine := ask(t, l, 8), ask(t, l, 2), ask(t, l, 9)
		h.release(t)
		h.release(t)
		first.wants(t, true, nil)
		for _, a := range []*asker{eight, two, nine} {
			a.wants(t, false, nil)
		}
		calls := h.asked.Load()
		for _, cost := range []int64{2, 3, 8, 9, 10} {
			if d := allowN(t, l, "", cost); d.Allowed {
				t.Errorf("cost %d was allowed", cost)
			}
		}
		if n := h.asked.Load() - calls; n != 0 {
			t.Errorf("%d store calls; want none", n)
		}
		one := ask(t, l, 1)
		h.release(t)
		one.wants(t, true, nil)
	})
}

// Rule L5: an announced change ends the memory at once.
func TestUpdateEndsTheMemoryOfADenial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := join(t, byFlights(memory.New(memory.Options{}).Stores()), fleet.Config{}).limiter(
			domain.RateLimit{Name: "api", Limit: domain.PerHour(10), Version: 1})
		allowN(t, l, "", 10)
		if allow(t, l, "").Allowed {
			t.Fatal("an empty bucket allowed a call")
		}
		time.Sleep(100 * time.Millisecond)
		if err := l.Update(domain.RateLimit{Name: "api", Limit: domain.PerSecond(100), Version: 2}); err != nil {
			t.Fatal(err)
		}
		d := allow(t, l, "")
		if d.RetryAfter > time.Second { // its turn from before is still out, which is 1 s at most
			t.Errorf("after the change: %+v; want the new rate's wait", d)
		}
		time.Sleep(d.RetryAfter)
		if d := allow(t, l, ""); !d.Allowed {
			t.Errorf("%v later: %+v; want the new rate's token", d.RetryAfter, d)
		}
		if err := l.Update(domain.RateLimit{Name: "api", Limit: domain.PerSecond(100), Version: 2, Outage: domain.OutageClosed}); err != nil {
			t.Fatal(err)
		}
		if got := l.Policy().Outage; got != domain.OutageClosed {
			t.Errorf("Outage = %v after the change", got)
		}
	})
}

// A bad policy changes nothing.
func TestUpdateRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		policy := domain.RateLimit{Name: "api", Limit: domain.PerHour(10)}
		l := join(t, memory.New(memory.Options{}).Stores(), fleet.Config{}).limiter(policy)
		before := l.Policy()
		for field, p := range map[string]domain.RateLimit{
			"Name":         {Name: "other", Limit: domain.PerHour(10)},
			"Keyed":        {Name: "api", Limit: domain.PerHour(10), Keyed: true},
			"Limit.Tokens": {Name: "api"},
			"Version":      {Name: "api", Limit: domain.PerHour(10), Version: -1},
			"Outage":       {Name: "api", Limit: domain.PerHour(10), Outage: 9},
		} {
			err := l.Update(p)
			if !errors.Is(err, domain.ErrInvalidPolicy) {
				t.Errorf("%s: %v; want ErrInvalidPolicy", field, err)
			}
			if got := l.Policy(); got != before {
				t.Errorf("%s: the policy is %v now", field, got)
			}
		}
	})
}

// A hungry fleet: many replicas that ask as often as they may. Rule L5: about 1.0 to
// 1.2 store calls a token, all tokens used, nobody starves.
func TestHungryReplicas(t *testing.T) {
	for _, fleetOf := range []struct {
		replicas int
		rate     int64
	}{{8, 100}, {100, 1000}} {
		synctest.Test(t, func(t *testing.T) {
			store, stores := newFaulty(memory.New(memory.Options{}).Stores())
			stores.Members = nil
			limit := domain.PerSecond(fleetOf.rate).WithBurst(10)
			store.set(func(_ context.Context, execute func()) error {
				time.Sleep(200 * time.Microsecond)
				execute()
				time.Sleep(200 * time.Microsecond)
				return nil
			})
			const length, callers = 5 * time.Second, 4
			seen := &envelope{limit: limit}
			got := make([]atomic.Int64, fleetOf.replicas)
			start := time.Now()
			var all sync.WaitGroup
			for i := range fleetOf.replicas {
				l := join(t, stores, fleet.Config{}).limiter(domain.RateLimit{Name: "api", Limit: limit})
				for range callers {
					all.Go(func() {
						for time.Since(start) < length {
							d := allow(t, l, "")
							if d.Allowed {
								got[i].Add(1)
								seen.admit()
							}
							time.Sleep(d.RetryAfter)
						}
					})
				}
			}
			all.Wait()
			if x := seen.excess(); x > 0 {
				t.Errorf("%v tokens above burst + rate·t", x)
			}
			total := seen.total()
			perToken := float64(store.asked.Load()) / float64(total)
			t.Logf("%d replicas on %v: %d of %d tokens, %.2f store calls a token", fleetOf.replicas, limit, total, fleetOf.rate*5+10, perToken)
			if perToken > 1.5 {
				t.Errorf("%.2f store calls a token; want 1.5 at most", perToken)
			}
			if total < fleetOf.rate*5*95/100 {
				t.Errorf("%d tokens used of %d", total, fleetOf.rate*5)
			}
			fair := total / int64(fleetOf.replicas)
			for i := range got {
				if n := got[i].Load(); n < fair/2 || n > 2*fair {
					t.Errorf("replica %d had %d tokens; its part is %d", i, n, fair)
				}
			}
		})
	}
}
