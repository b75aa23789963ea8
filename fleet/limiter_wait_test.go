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

// tenPerSecond is the limit of these tests: a token each 100 ms.
func tenPerSecond() domain.RateLimit {
	return domain.RateLimit{Name: "limit", Limit: domain.PerSecond(10)}
}

// drained joins and takes all that is in the bucket.
func drained(t *testing.T, stores port.Stores, p domain.RateLimit) *fleet.Limiter {
	t.Helper()
	l := limiterOf(t, stores, p)
	if d, err := l.AllowUpTo(t.Context(), "", 1<<20); err != nil || d.Granted == 0 {
		t.Fatalf("AllowUpTo = %+v, %v", d, err)
	}
	return l
}

func limiterOf(t *testing.T, stores port.Stores, p domain.RateLimit) *fleet.Limiter {
	t.Helper()
	r, err := fleet.Join(stores, fleet.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close(context.Background()) })
	l, err := r.Limiter(p)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// roughly reports whether got is want or a little more: a call takes its time, and
// clocks differ.
func roughly(got, want time.Duration) bool {
	return got >= want && got < want+want/50+5*time.Millisecond
}

// waitsItsTurn checks that caller i, from 0, of tenPerSecond waits for the token that is
// its own since start.
func waitsItsTurn(t *testing.T, l *fleet.Limiter, start time.Time, i int) {
	t.Helper()
	if err := l.Wait(t.Context(), ""); err != nil {
		t.Error(err)
	}
	if got, want := time.Since(start), time.Duration(i+1)*100*time.Millisecond; !roughly(got, want) {
		t.Errorf("caller %d came back after %s; want %s", i, got, want)
	}
}

// Those who wait are served one after the other, also those of two replicas.
func TestWait(t *testing.T) {
	onEachStore(t, func(t *testing.T, stores port.Stores) {
		one := drained(t, stores, tenPerSecond())
		other := limiterOf(t, stores, tenPerSecond())
		start := time.Now()
		var waits sync.WaitGroup
		for i := range 10 {
			l := []*fleet.Limiter{one, other}[i%2]
			waits.Go(func() { waitsItsTurn(t, l, start, i) })
			synctest.Wait()
		}
		waits.Wait()
		if err := one.WaitN(t.Context(), "", 11); !errors.Is(err, domain.ErrCostTooHigh) {
			t.Errorf("a cost above the burst: %v", err)
		}
	})
}

// A wait that would outlive its context, or the policy's MaxWait, is refused at once
// and takes nothing; the refusal is remembered and costs no store call.
func TestCase39WaitIsRefusedAtOnce(t *testing.T) {
	onEachStore(t, func(t *testing.T, stores port.Stores) {
		p := tenPerSecond()
		p.MaxWait = 450 * time.Millisecond
		l := drained(t, stores, p)
		short, cancel := context.WithTimeout(t.Context(), 250*time.Millisecond)
		defer cancel()
		for name, refused := range map[string]func() (time.Duration, error){
			"by its context": func() (time.Duration, error) { return 300 * time.Millisecond, l.WaitN(short, "", 3) },
			"by the policy":  func() (time.Duration, error) { return 500 * time.Millisecond, l.WaitN(t.Context(), "", 5) },
		} {
			start := time.Now()
			want, err := refused()
			refusal, ok := errors.AsType[*domain.RateLimitedError](err)
			if !ok || refusal.RetryAfter > want || refusal.RetryAfter < want-5*time.Millisecond {
				t.Errorf("%s: %v", name, err)
			}
			if took := time.Since(start); took > time.Millisecond {
				t.Errorf("%s: refused after %s", name, took)
			}
		}
		if err := l.WaitN(short, "", 2); err != nil {
			t.Error(err)
		}
	})
}

// Who gives up lets those behind it come forward: of this replica at once, each by a
// place, and the last place goes to who comes next, or back.
func TestCase39WaitersMoveUp(t *testing.T) {
	onEachStore(t, func(t *testing.T, stores port.Stores) {
		l := drained(t, stores, tenPerSecond())
		start := time.Now()
		first, giveUp := context.WithCancel(t.Context())
		var waits sync.WaitGroup
		waits.Go(func() {
			if err := l.Wait(first, ""); !errors.Is(err, context.Canceled) {
				t.Errorf("the first one: %v", err)
			}
		})
		synctest.Wait()
		for i := range 4 {
			waits.Go(func() { waitsItsTurn(t, l, start, i) })
			synctest.Wait()
		}
		time.Sleep(50 * time.Millisecond)
		giveUp()
		synctest.Wait()
		other := limiterOf(t, stores, tenPerSecond())
		if err := other.Wait(t.Context(), ""); err != nil { // the place that went back
			t.Error(err)
		}
		if got := time.Since(start); !roughly(got, 500*time.Millisecond) {
			t.Errorf("the next one came back after %s", got)
		}
		waits.Wait()
	})
}

// A place with those of another replica behind it is kept for who comes next here.
func TestAFreePlaceGoesToTheNext(t *testing.T) {
	onEachStore(t, func(t *testing.T, stores port.Stores) {
		l, other := drained(t, stores, tenPerSecond()), limiterOf(t, stores, tenPerSecond())
		mine, err := l.Reserve(t.Context(), "", 1)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := other.Reserve(t.Context(), "", 1)
		if err != nil {
			t.Fatal(err)
		}
		if !roughly(mine.Delay()+time.Millisecond, 100*time.Millisecond) || !roughly(theirs.Delay()+time.Millisecond, 200*time.Millisecond) {
			t.Errorf("delays %s, %s", mine.Delay(), theirs.Delay())
		}
		mine.Cancel()
		mine.Cancel() // is nothing
		synctest.Wait()
		next, err := l.Reserve(t.Context(), "", 1)
		if err != nil || next.Delay() > 101*time.Millisecond {
			t.Errorf("the next one waits %s, %v; want the free place", next.Delay(), err)
		}
		last, err := l.Reserve(t.Context(), "", 1)
		if err != nil || !roughly(last.Delay()+time.Millisecond, 300*time.Millisecond) {
			t.Errorf("the last one waits %s, %v", last.Delay(), err)
		}
		if err := next.Wait(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// What a call cost in the end is settled once; a refund is by reservation only.
func TestLimitCase9Settle(t *testing.T) {
	onEachStore(t, func(t *testing.T, stores port.Stores) {
		l := limiterOf(t, stores, tenPerSecond())
		left := func(want int64) {
			t.Helper()
			if d, err := l.Peek(t.Context(), ""); err != nil || d.Remaining != want {
				t.Errorf("Peek = %+v, %v; want %d left", d, err, want)
			}
		}
		reserve := func(cost int64) *fleet.Reservation {
			t.Helper()
			r, err := l.Reserve(t.Context(), "", cost)
			if err != nil || r.Delay() != 0 {
				t.Fatalf("Reserve: %v, waits %s", err, r.Delay())
			}
			return r
		}
		r := reserve(8)
		left(2)
		if err := r.Settle(t.Context(), -1); err == nil {
			t.Error("a negative cost was settled")
		}
		for range 2 {
			if err := r.Settle(t.Context(), 3); err != nil {
				t.Error(err)
			}
			left(7)
		}
		r.Cancel()
		left(7)
		if err := reserve(2).Settle(t.Context(), 4); err != nil { // more than was thought
			t.Error(err)
		}
		left(3)
		reserve(3).Cancel()
		synctest.Wait()
		left(3)
		if err := reserve(1).Settle(t.Context(), 13); err != nil {
			t.Error(err)
		}
		d, err := l.Allow(t.Context(), "")
		if err != nil || d.Allowed || d.RetryAfter < time.Second {
			t.Errorf("in debt of 10: %+v, %v", d, err)
		}
	})
}

// A replica that closes gives its places back and tells those who wait.
func TestCloseGivesPlacesBack(t *testing.T) {
	onEachStore(t, func(t *testing.T, stores port.Stores) {
		l := drained(t, stores, tenPerSecond())
		r, err := fleet.Join(stores, fleet.Config{})
		if err != nil {
			t.Fatal(err)
		}
		closing, err := r.Limiter(tenPerSecond())
		if err != nil {
			t.Fatal(err)
		}
		var waits sync.WaitGroup
		for range 5 {
			waits.Go(func() {
				if err := closing.Wait(t.Context(), ""); !errors.Is(err, domain.ErrClosed) {
					t.Errorf("Wait on a replica that closes: %v", err)
				}
			})
		}
		synctest.Wait()
		held, err := closing.Reserve(t.Context(), "", 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Close(t.Context()); err != nil {
			t.Error(err)
		}
		waits.Wait()
		if err := held.Settle(t.Context(), 0); !errors.Is(err, domain.ErrClosed) { // it went back already
			t.Errorf("Settle after Close: %v", err)
		}
		start := time.Now()
		if err := l.Wait(t.Context(), ""); err != nil || !roughly(time.Since(start)+time.Millisecond, 100*time.Millisecond) {
			t.Errorf("Wait after that: %v, took %s", err, time.Since(start))
		}
	})
}

// A thousand who wait are no herd: the store is asked as often as there are tokens,
// at most (case 19).
func TestCase19AThousandWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, stores := newFaulty(byFlights(memory.New(memory.Options{}).Stores()))
		l := drained(t, stores, tenPerSecond())
		before := f.asked.Load()
		const waiters = 1000
		start, last := time.Now(), time.Duration(0)
		var waits sync.WaitGroup
		var mu sync.Mutex
		for range waiters {
			waits.Go(func() {
				if err := l.Wait(t.Context(), ""); err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				last = max(last, time.Since(start))
			})
		}
		waits.Wait()
		if !roughly(last, waiters*100*time.Millisecond) {
			t.Errorf("the last one came back after %s", last)
		}
		if asked := f.asked.Load() - before; asked > waiters {
			t.Errorf("%d store calls for %d waiters", asked, waiters)
		} else {
			t.Logf("%d store calls for %d waiters", asked, waiters)
		}
	})
}

// Without the store nobody waits longer than it takes to notice, or than this
// replica's share needs.
func TestWaitWithoutTheStore(t *testing.T) {
	for outage, want := range map[domain.Outage]error{domain.OutageOpen: nil, domain.OutageClosed: domain.ErrStoreUnavailable, domain.OutageLocalShare: nil} {
		t.Run(outage.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, stores := newFaulty(byFlights(memory.New(memory.Options{}).Stores()))
				p := tenPerSecond()
				p.Outage = outage
				l := drained(t, stores, p)
				synctest.Wait() // it has said that it is there
				f.set(func(context.Context, func()) error { return errors.New("gone") })
				start := time.Now()
				for range 5 {
					ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
					if err := l.Wait(ctx, ""); !errors.Is(err, want) {
						t.Errorf("Wait = %v; want %v", err, want)
					}
					cancel()
				}
				if took := time.Since(start); outage == domain.OutageLocalShare && took < 400*time.Millisecond || took > time.Second {
					t.Errorf("five waits took %s", took)
				}
			})
		})
	}
}

// A replica waits a little longer than the store says: its clock may be faster. In one
// process there is one clock.
func TestWaitAllowsForClocksThatDiffer(t *testing.T) {
	for want, in := range map[time.Duration]port.Stores{
		100 * time.Millisecond: memory.New(memory.Options{}).Stores(),
		101 * time.Millisecond: byFlights(memory.New(memory.Options{}).Stores()),
	} {
		synctest.Test(t, func(t *testing.T) {
			r, err := drained(t, in, tenPerSecond()).Reserve(t.Context(), "", 1)
			if err != nil || r.Delay() != want {
				t.Errorf("Reserve = %v, waits %s; want %s", err, r.Delay(), want)
			}
		})
	}
}

// A place whose return was executed and not answered is nobody's: it is sent again, and
// that it brought nothing the second time does not mean that it is still there.
func TestAPlaceIsNotGivenTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, stores := newFaulty(byFlights(memory.New(memory.Options{}).Stores()))
		l, other := drained(t, stores, tenPerSecond()), limiterOf(t, stores, tenPerSecond())
		left, err := l.Reserve(t.Context(), "", 5)
		if err != nil {
			t.Fatal(err)
		}
		var lost atomic.Bool
		f.set(func(_ context.Context, execute func()) error {
			execute()
			if lost.Swap(true) {
				return nil
			}
			return errors.New("lost on the way back")
		})
		left.Cancel()
		time.Sleep(storeTimeout) // it is sent again
		mine, err := l.Reserve(t.Context(), "", 5)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := other.Reserve(t.Context(), "", 5)
		if err != nil {
			t.Fatal(err)
		}
		if apart := theirs.Delay() - mine.Delay(); apart < 500*time.Millisecond {
			t.Errorf("the two are due %s apart; want 500ms", apart)
		}
	})
}

// A place that is given to a caller who has left is of a later time: nobody has its tokens
// now, and it goes back or to who comes next.
func TestAPlaceOfWhoLeftInTheAir(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, stores := newFaulty(byFlights(memory.New(memory.Options{}).Stores()))
		l := drained(t, stores, tenPerSecond())
		store.set(func(_ context.Context, execute func()) error {
			time.Sleep(80 * time.Millisecond)
			execute()
			return nil
		})
		start := time.Now()
		var all sync.WaitGroup
		for i := range 3 {
			all.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond) // the first flies alone
				left := fleet.BudgetOf(60 * time.Millisecond)
				_, _ = l.WaitWithin(t.Context(), "", 5, &left)
			})
		}
		time.Sleep(20 * time.Millisecond)
		for range 4 {
			all.Go(func() {
				if d, err := l.AllowN(t.Context(), "", 5); err == nil && d.Allowed && time.Since(start) < 500*time.Millisecond {
					t.Errorf("five tokens are there after %v", time.Since(start))
				}
			})
		}
		all.Wait()
		store.set(nil)
		time.Sleep(2 * time.Second)
		if d := peek(t, l, ""); d.Remaining < 5 {
			t.Errorf("%+v; want the places back", d)
		}
	})
}

// What is not due yet cannot be used, also where it turns out that less is needed.
func TestSettlingWhatIsNotDueYet(t *testing.T) {
	for name, settle := range map[string]func(*fleet.Reservation) error{
		"half": func(r *fleet.Reservation) error { return r.Settle(context.Background(), 5) },
		"all":  func(r *fleet.Reservation) error { return r.Settle(context.Background(), 0) },
	} {
		t.Run(name, func(t *testing.T) {
			onEachStore(t, func(t *testing.T, stores port.Stores) {
				l := join(t, stores, fleet.Config{}).limiter(domain.RateLimit{Name: "api", Limit: domain.PerSecond(10)})
				allowN(t, l, "", 10)
				a, err := l.Reserve(t.Context(), "", 10)
				if err != nil {
					t.Fatal(err)
				}
				b, err := l.Reserve(t.Context(), "", 5)
				if err != nil {
					t.Fatal(err)
				}
				if err := settle(a); err != nil {
					t.Error(err)
				}
				if got := b.Delay(); got < 500*time.Millisecond-time.Millisecond {
					t.Errorf("five tokens are there after %v; none was left", got)
				}
			})
		})
	}
}

// Who waits for a reservation that somebody cancels has no tokens.
func TestCancelledReservationsHaveNoTokens(t *testing.T) {
	onEachStore(t, func(t *testing.T, stores port.Stores) {
		l := join(t, stores, fleet.Config{}).limiter(domain.RateLimit{Name: "api", Limit: domain.PerSecond(10)})
		allowN(t, l, "", 10)
		r, err := l.Reserve(t.Context(), "", 5)
		if err != nil {
			t.Fatal(err)
		}
		said := make(chan error, 1)
		go func() { said <- r.Wait(t.Context()) }()
		time.Sleep(100 * time.Millisecond)
		start := time.Now()
		r.Cancel()
		if err := <-said; !errors.Is(err, context.Canceled) || time.Since(start) > 50*time.Millisecond {
			t.Errorf("who waited was told %v after %v", err, time.Since(start))
		}
		if err := r.Wait(t.Context()); !errors.Is(err, context.Canceled) {
			t.Errorf("who comes to wait is told %v", err)
		}
	})
}
