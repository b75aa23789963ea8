package fleet_test

import (
	"context"
	"errors"
	"runtime"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/store/memory"
)

// After Close time may pass, and nothing happens: no timer asks the store, no
// event is told. What callers still do leads to nothing either.
func TestNothingHappensAfterClose(t *testing.T) {
	onEachStore(t, func(t *testing.T, stores port.Stores) {
		l := live(t, stores)
		if n := l.meter.watching.Load(); n != 1 {
			t.Errorf("%d watches; want one", n)
		}
		begin := time.Now()
		l.close()
		if took := time.Since(begin); took > storeTimeout {
			t.Errorf("Close took %v; want %v at most", took, storeTimeout)
		}
		l.kinds()
		l.logged()
		before := l.meter.calls.Load()
		wait := func() {
			t.Helper()
			time.Sleep(24 * time.Hour)
			synctest.Wait()
			if n := l.meter.calls.Load() - before; n != 0 {
				t.Errorf("%d store calls", n)
			}
			if lines := l.logged(); len(lines) != 0 {
				t.Errorf("%d log lines", len(lines))
			}
			l.wantKinds()
		}
		wait()
		l.lost.Report(domain.Success)
		if _, err := l.keyed.Allow(t.Context(), "new"); !errors.Is(err, domain.ErrClosed) {
			t.Errorf("a limit says %v", err)
		}
		if _, err := l.api.Acquire(t.Context()); !errors.Is(err, domain.ErrClosed) {
			t.Errorf("a breaker says %v", err)
		}
		wait()
		if n := l.meter.watching.Load(); n != 0 {
			t.Errorf("%d watches are left", n)
		}
	})
}

// After Close nothing is kept for calls to come, whatever there was, and what
// comes later is not kept either.
func TestAClosedReplicaKeepsNothing(t *testing.T) {
	onEachStore(t, func(t *testing.T, stores port.Stores) {
		l := live(t, stores)
		before := fleet.Kept(l.Replica)
		for _, kind := range []string{"lanes", "size of lanes", "debtors", "leases"} {
			if before[kind] == 0 {
				t.Errorf("there are no %s that could be left: %v", kind, before)
			}
		}
		l.close()
		l.lost.Report(domain.Failure)
		_, _ = l.keyed.Allow(t.Context(), "new")
		for kind, n := range fleet.Kept(l.Replica) {
			if n != 0 {
				t.Errorf("%d %s are left", n, kind)
			}
		}
	})
}

// Calls that are on their way while the replica closes leave nothing behind.
func TestCloseAmongCallers(t *testing.T) {
	onEachStore(t, func(t *testing.T, stores port.Stores) {
		l := live(t, stores)
		l.store.set(isSilent)
		l.store.forgets = true
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for i := 0; ctx.Err() == nil; i++ {
				go func() { _, _ = l.keyed.Allow(ctx, strconv.Itoa(i)) }()
				go func() { _, _ = l.keyed.AllowN(ctx, "one", 1) }()
				time.Sleep(time.Millisecond)
			}
		}()
		time.Sleep(300 * time.Millisecond)
		l.close()
		time.Sleep(300 * time.Millisecond)
		stop()
		<-ended
		synctest.Wait()
		for kind, n := range fleet.Kept(l.Replica) {
			if n != 0 {
				t.Errorf("%d %s are left", n, kind)
			}
		}
	})
}

// Keys that nobody uses any more are forgotten, down to a few, as others come.
func TestKeysThatIdleAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, stores := newFaulty(memory.New(memory.Options{}).Stores())
		f.forgets = true
		w := join(t, stores, fleet.Config{})
		l := w.limiter(domain.RateLimit{Name: "api", Limit: domain.PerSecond(1), Keyed: true, Outage: domain.OutageOpen})
		use := func(from, to int) {
			for i := from; i < to; i++ {
				allow(t, l, strconv.Itoa(i))
				allow(t, l, strconv.Itoa(i)) // denied, or owed
			}
		}
		const many = 10 * fleet.LanesMin
		use(0, many)
		time.Sleep(time.Second) // and not remembered any more
		f.set(isBroken)
		use(0, many)
		if kept := fleet.Kept(w.Replica); kept["lanes"] < many || kept["debtors"] < many {
			t.Fatalf("%v; want all that is in use", kept)
		}
		f.set(nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		if kept := fleet.Kept(w.Replica); kept["debtors"] != 0 {
			t.Errorf("%v; want all bills paid", kept)
		}
		for i := range many {
			allow(t, l, strconv.Itoa(many+i))
			time.Sleep(10 * time.Millisecond)
		}
		if kept := fleet.Kept(w.Replica); kept["lanes"] > fleet.LanesMin || kept["size of lanes"] != kept["lanes"] {
			t.Errorf("%v; want %d lanes at most", kept, fleet.LanesMin)
		}
	})
}

// Who closes a replica and lets it go gets its memory back: nothing in the store,
// which lives on, nor any timer holds on to it.
func TestAClosedReplicaIsForgotten(t *testing.T) {
	for _, store := range bubbleStores() {
		t.Run(store.name, func(t *testing.T) {
			stores := store.make(t)
			ctx, cancel := context.WithCancel(t.Context()) // of callers, and lives on too
			defer cancel()
			replica, limiter, breaker := closed(t, ctx, stores)
			for range 1000 {
				runtime.GC()
				if replica.Value() == nil && limiter.Value() == nil && breaker.Value() == nil {
					return
				}
				time.Sleep(time.Millisecond)
			}
			t.Errorf("still there: replica %t, limit %t, breaker %t", replica.Value() != nil, limiter.Value() != nil, breaker.Value() != nil)
		})
	}
}

// closed is what is left of a replica that was used, and closed.
func closed(t *testing.T, ctx context.Context, stores port.Stores) (
	weak.Pointer[fleet.Replica], weak.Pointer[fleet.Limiter], weak.Pointer[fleet.Breaker],
) {
	t.Helper()
	r, err := fleet.Join(stores, fleet.Config{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := r.Limiter(domain.RateLimit{Name: "api", Limit: domain.PerHour(1), Keyed: true})
	if err != nil {
		t.Fatal(err)
	}
	b, err := r.Breaker(domain.CircuitBreaker{Name: breakerName, Sharing: domain.ShareAny})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		_, _ = l.Allow(ctx, strconv.Itoa(i))
		if permit, err := b.Acquire(ctx); err == nil {
			permit.Report(domain.Failure)
		}
	}
	if err := r.Close(t.Context()); err != nil {
		t.Error(err)
	}
	return weak.Make(r), weak.Make(l), weak.Make(b)
}
