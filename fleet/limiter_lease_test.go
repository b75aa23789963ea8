package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/store/memory"
)

// leased is a limit of which tokens are taken ahead.
func leased(perSecond, burst int64) domain.RateLimit {
	return domain.RateLimit{Name: "api", Limit: domain.PerSecond(perSecond).WithBurst(burst), Lease: true, Outage: domain.OutageClosed}
}

// A lendingStore is a store that lends, and what was asked of it.
type lendingStore struct {
	*faulty
	stores port.Stores
}

// onLendingStore runs a test in a bubble, on a store that is somewhere else.
func onLendingStore(t *testing.T, test func(t *testing.T, s *lendingStore)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f, stores := newFaulty(memory.New(memory.Options{}).Stores())
		stores.Members = nil
		test(t, &lendingStore{f, stores})
	})
}

// joins is a replica's limit, of a fleet of so many.
func (s *lendingStore) joins(t *testing.T, p domain.RateLimit, replicas int) (*watched, *fleet.Limiter) {
	t.Helper()
	w := join(t, s.stores, fleet.Config{ExpectedReplicas: replicas, StoreTimeout: 50 * time.Millisecond})
	return w, w.limiter(p)
}

// callEvery calls for so long, with a pause between two calls.
func callEvery(t *testing.T, l *fleet.Limiter, pause, long time.Duration) (allowed, denied int64) {
	t.Helper()
	for end := time.Now().Add(long); time.Now().Before(end); time.Sleep(pause) {
		if allow(t, l, "").Allowed {
			allowed++
		} else {
			denied++
		}
	}
	return allowed, denied
}

// left is what the bucket holds beside leases, as somebody sees it who has none.
func (s *lendingStore) left(t *testing.T, p domain.RateLimit) int64 {
	t.Helper()
	p.Lease = false
	w := join(t, s.stores, fleet.Config{ExpectedReplicas: 1})
	defer w.close()
	return peek(t, w.limiter(p), "").Remaining
}

// Below the limit, calls are answered from tokens taken ahead: the next lease is
// there before one is spent, and size follows demand.
func TestLeasesAreFetchedAhead(t *testing.T) {
	onLendingStore(t, func(t *testing.T, s *lendingStore) {
		_, l := s.joins(t, leased(10_000, 10_000), 2)
		callEvery(t, l, time.Millisecond, time.Second) // until the size has found its place
		s.asked.Store(0)
		s.requests()
		allowed, denied := callEvery(t, l, time.Millisecond, 10*time.Second)
		if denied > 0 || allowed < 9000 {
			t.Errorf("%d calls allowed, %d denied; want all", allowed, denied)
		}
		if asked := s.asked.Load(); asked > 80 {
			t.Errorf("%d store calls for %d tokens; want four or so a second", asked, allowed)
		}
		for _, r := range s.requests() {
			if r.Lease == nil {
				t.Fatalf("a caller waited for the store: %+v", r)
			}
		}
	})
}

// Above the limit, a fleet has all of it, and hardly asks the store.
func TestLeasesAboveTheLimit(t *testing.T) {
	onLendingStore(t, func(t *testing.T, s *lendingStore) {
		const replicas, perSecond, long = 8, 1000, 20
		e := &envelope{limit: domain.PerSecond(perSecond)}
		done := make(chan struct{})
		for range replicas {
			_, l := s.joins(t, leased(perSecond, perSecond), replicas)
			go func() {
				defer func() { done <- struct{}{} }()
				for end := time.Now().Add(long * time.Second); time.Now().Before(end); time.Sleep(3 * time.Millisecond) {
					if d, err := l.Allow(t.Context(), ""); err == nil && d.Allowed {
						e.admit()
					}
				}
			}()
		}
		for range replicas {
			<-done
		}
		if e.excess() > 0 {
			t.Errorf("%v tokens above the limit", e.excess())
		}
		if least := int64(perSecond * long * 95 / 100); e.total() < least {
			t.Errorf("%d tokens admitted; want at least %d", e.total(), least)
		}
		if asked := s.asked.Load(); asked > e.total()/5 {
			t.Errorf("%d store calls for %d tokens; want far fewer", asked, e.total())
		}
	})
}

// A replica that closes gives back what it did not spend, at once.
func TestLeasesGoBackOnClose(t *testing.T) {
	onLendingStore(t, func(t *testing.T, s *lendingStore) {
		p := leased(100, 1000)
		w, l := s.joins(t, p, 2)
		allowed, _ := callEvery(t, l, time.Millisecond, 200*time.Millisecond)
		before := s.left(t, p)
		w.close()
		if after, want := s.left(t, p), 1000-allowed+20; after <= before || after < want-1 {
			t.Errorf("%d tokens are there after Close, %d before; want %d", after, before, want)
		}
		if _, err := l.Allow(t.Context(), ""); !errors.Is(err, domain.ErrClosed) {
			t.Errorf("a call after Close: %v; want ErrClosed", err)
		}
	})
}

// Close does not wait for a store that is silent.
func TestLeasesDoNotHoldUpClose(t *testing.T) {
	onLendingStore(t, func(t *testing.T, s *lendingStore) {
		w, l := s.joins(t, leased(100, 1000), 2)
		callEvery(t, l, time.Millisecond, 200*time.Millisecond)
		s.set(isSilent)
		start := time.Now()
		w.close()
		if took := time.Since(start); took > 50*time.Millisecond {
			t.Errorf("Close took %v; want StoreTimeout at most", took)
		}
	})
}

// cases.md part 2, 20: what a replica held when it was killed comes back when its
// lease has ended, and not before.
func TestLimitCase20AKilledReplicasTokensComeBack(t *testing.T) {
	onLendingStore(t, func(t *testing.T, s *lendingStore) {
		p := leased(1000, 1000)
		w, l := s.joins(t, p, 2)
		callEvery(t, l, time.Millisecond, 500*time.Millisecond)
		s.set(isBroken) // killed: nothing of it reaches the store any more
		w.close()
		s.set(nil)
		time.Sleep(300 * time.Millisecond) // by now all is there again that can be earned
		held := 1000 - s.left(t, p)
		if held < 50 {
			t.Fatalf("it held %d tokens; want 50 or more", held)
		}
		time.Sleep(200 * time.Millisecond)
		if now := 1000 - s.left(t, p); now != held {
			t.Errorf("%d tokens are lent; want %d still", now, held)
		}
		time.Sleep(time.Second)
		if left := s.left(t, p); left != 1000 {
			t.Errorf("%d tokens are there after the lease's end; want 1000", left)
		}
	})
}

// cases.md part 2, 22: what was spent before a renewal that fails is spent.
func TestLimitCase22SpentTokensSurviveAFailedRenewal(t *testing.T) {
	onLendingStore(t, func(t *testing.T, s *lendingStore) {
		p := leased(1, 10_000)
		p.Limit.Burst = 1000
		_, l := s.joins(t, p, 2)
		allowed := int64(0)
		for i := range 40 {
			if i%2 == 1 {
				s.set(losesReplies)
			}
			for range 10 {
				if d, err := l.Allow(t.Context(), ""); err == nil && d.Allowed {
					allowed++
				}
			}
			s.set(nil)
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(15 * time.Second) // all leases have ended
		earned := int64(4 + 15 + 1)
		if left := s.left(t, p); left+allowed > 1000+earned {
			t.Errorf("%d tokens were spent, and %d are there of 1000 and %d earned", allowed, left, earned)
		}
	})
}

// A cost that does not fit beside the leases of busy replicas is granted after the
// wait that it is told.
func TestLeasesLeaveRoomForALargeCost(t *testing.T) {
	onLendingStore(t, func(t *testing.T, s *lendingStore) {
		p := leased(100, 40)
		stop, ended := context.WithCancel(t.Context())
		done := make(chan struct{})
		for range 4 {
			_, l := s.joins(t, p, 4)
			go func() {
				defer func() { done <- struct{}{} }()
				for stop.Err() == nil {
					_, _ = l.Allow(t.Context(), "")
					time.Sleep(45 * time.Millisecond)
				}
			}()
		}
		_, l := s.joins(t, p, 4)
		time.Sleep(5 * time.Second)
		asks := 0
		for start := time.Now(); ; asks++ {
			d := allowN(t, l, "", 38)
			if d.Allowed {
				break
			}
			if time.Since(start) > 10*time.Second {
				t.Errorf("a cost of 38 of 40 was not granted in %d asks", asks)
				break
			}
			time.Sleep(d.RetryAfter)
		}
		ended()
		for range 4 {
			<-done
		}
	})
}

// A limit too small for its fleet lends nothing: it is shared as any other.
func TestSmallLimitsAreNotLent(t *testing.T) {
	onLendingStore(t, func(t *testing.T, s *lendingStore) {
		_, l := s.joins(t, leased(1000, 31), 8)
		callEvery(t, l, time.Millisecond, time.Second)
		for _, r := range s.requests() {
			if r.Lease != nil {
				t.Fatalf("asked for %+v", *r.Lease)
			}
		}
	})
}

// A key that is hardly used takes nothing ahead.
func TestColdKeysAreNotLent(t *testing.T) {
	onLendingStore(t, func(t *testing.T, s *lendingStore) {
		p := leased(1000, 1000)
		_, l := s.joins(t, p, 2)
		callEvery(t, l, 3*time.Second, 30*time.Second)
		for _, r := range s.requests() {
			if r.Lease != nil {
				t.Fatalf("asked for %+v", *r.Lease)
			}
		}
	})
}

// A store that fails takes nothing from who has a lease, until that ends.
func TestLeasesLastThroughAnOutage(t *testing.T) {
	onLendingStore(t, func(t *testing.T, s *lendingStore) {
		_, l := s.joins(t, leased(1000, 10_000), 2)
		callEvery(t, l, time.Millisecond, 2*time.Second)
		s.set(isBroken)
		first := allow(t, l, "")
		if !first.Allowed || first.Degraded {
			t.Fatalf("%+v; want a token of the lease", first)
		}
		admitted := first.Remaining
		for time.Sleep(time.Millisecond); ; time.Sleep(time.Millisecond) {
			d, err := l.Allow(t.Context(), "")
			if errors.Is(err, domain.ErrStoreUnavailable) {
				break
			}
			if err != nil || !d.Allowed {
				t.Fatalf("%+v, %v", d, err)
			}
			if admitted--; admitted < -1000 {
				t.Fatal("it goes on for ever")
			}
		}
	})
}

// A peek says what a call would: also of tokens that are here.
func TestPeekSeesALease(t *testing.T) {
	onLendingStore(t, func(t *testing.T, s *lendingStore) {
		_, l := s.joins(t, leased(1000, 1000), 2)
		callEvery(t, l, time.Millisecond, time.Second)
		s.set(isBroken)
		before := peek(t, l, "")
		if after := peek(t, l, ""); !before.Allowed || before != after || before.Remaining == 0 {
			t.Errorf("%+v, then %+v; want the tokens that are left, and none taken", before, after)
		}
	})
}

// A key that was forgotten here and comes back does not ask for leases by names that
// it had before: the store may remember those, and their end.
func TestLeasesOfAForgottenKey(t *testing.T) {
	onLendingStore(t, func(t *testing.T, s *lendingStore) {
		p := leased(1000, 1000)
		p.Keyed = true
		_, l := s.joins(t, p, 1)
		use := func(key string) {
			for range 50 {
				allow(t, l, key)
				time.Sleep(time.Millisecond)
			}
		}
		starts := make(map[uint64]bool)
		// Which keys are looked at, to be forgotten, is chance.
		for round := 0; round < 30 && len(starts) < 2; round++ {
			use("a")
			time.Sleep(975 * time.Millisecond) // its leases have ended here, and not in the store
			for i := range 2000 {
				allow(t, l, fmt.Sprint("other", round, " ", i))
			}
			for _, r := range s.requests() {
				if r.Bucket.Key == "a" && r.Lease != nil {
					starts[r.Lease.ID.Start] = true
				}
			}
		}
		if len(starts) < 2 {
			t.Error("it was never forgotten, or asks by the names that it had")
		}
	})
}

// Leases are asked for by name, and cannot be changed while they are out.
func TestLeasesAreAChoice(t *testing.T) {
	onLendingStore(t, func(t *testing.T, s *lendingStore) {
		_, l := s.joins(t, leased(1000, 1000), 2)
		p := leased(1000, 1000)
		p.Lease = false
		if err := l.Update(p); !errors.Is(err, domain.ErrInvalidPolicy) {
			t.Errorf("Update without Lease: %v; want a PolicyError", err)
		}
		s.stores.Buckets = struct{ port.BucketStore }{s.stores.Buckets}
		plain := join(t, s.stores, fleet.Config{})
		if _, err := plain.Limiter(leased(1000, 1000)); !errors.Is(err, domain.ErrInvalidPolicy) {
			t.Errorf("a store that does not lend: %v; want a PolicyError", err)
		}
	})
}
