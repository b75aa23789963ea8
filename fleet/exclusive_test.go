package fleet_test

import (
	"context"
	"errors"
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

// knownEnd is when a holder takes its lock for lost that was extended last at the
// beginning.
func knownEnd(lease time.Duration) time.Duration { return lease - lease/50 - 5*time.Millisecond }

// One call in the fleet runs at a time, and each has a higher token than the one before.
func TestExclusive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := guardians(t, 3, domain.Exclusive{})
		last := uint64(0)
		for round := range 6 {
			g, other := all[round%3], all[(round+1)%3]
			h := g.enter()
			if h.Token() <= last {
				t.Errorf("round %d: the token %d comes after %d", round, h.Token(), last)
			}
			last = h.Token()
			wantRunning(t, h)
			asked := g.line.asked.Load()
			g.wantHeld(true)
			if g.line.asked.Load() != asked {
				t.Error("the store was asked for what this replica knows")
			}
			other.wantHeld(false)
			h.Leave()
			if context.Cause(h.Context()) != context.Canceled { //nolint:errorlint // exactly that
				t.Errorf("after the call its context ended by %v", context.Cause(h.Context()))
			}
		}
		for _, g := range all {
			g.wantKinds()
		}
	})
}

// Who waits has the lock soon after it came free; who waits in vain, leaves or is closed
// learns so at once.
func TestWaitingForALock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := guardians(t, 3, domain.Exclusive{MaxWait: 10 * time.Second})
		a, b, c := all[0], all[1], all[2]
		h := a.enter()
		for _, tt := range []struct {
			name  string
			g     *guardian
			after time.Duration // until what ends it
			end   func(cancel context.CancelCauseFunc)
			took  time.Duration
			want  error
		}{
			{"it is not free in time", b, 0, nil, 10 * time.Second, domain.ErrNotExclusive},
			{"nor for another call of the holder", a, 0, nil, 10 * time.Second, domain.ErrNotExclusive},
			{"the caller leaves", b, 3 * time.Second, func(cancel context.CancelCauseFunc) { cancel(errBroken) }, 3 * time.Second, errBroken},
			{"and so here", a, 3 * time.Second, func(cancel context.CancelCauseFunc) { cancel(errBroken) }, 3 * time.Second, errBroken},
			{"the replica closes", c, time.Second, func(context.CancelCauseFunc) { c.close() }, time.Second, domain.ErrClosed},
			{"or is closed", c, 0, nil, 0, domain.ErrClosed},
		} {
			ctx, cancel := context.WithCancelCause(t.Context())
			if tt.end != nil {
				time.AfterFunc(tt.after, func() { tt.end(cancel) })
			}
			start := time.Now()
			got, err := tt.g.Enter(ctx)
			if took := time.Since(start); got != nil || !errors.Is(err, tt.want) || took != tt.took {
				t.Errorf("%s: %v after %s; want %v after %s", tt.name, err, took, tt.want, tt.took)
			}
			cancel(nil)
		}
		if asked := b.line.asked.Load(); asked > 60 {
			t.Errorf("a replica that waited for 13 s asked %d times", asked)
		}
		released := make(chan time.Time, 1)
		time.AfterFunc(4*time.Second, func() {
			released <- time.Now()
			h.Leave()
		})
		b.enter().Leave()
		if waited := time.Since(<-released); waited > 500*time.Millisecond {
			t.Errorf("it came free %s before who waited had it", waited)
		}
	})
}

// The calls of one replica go in the order in which they came.
func TestExclusiveIsFairHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guardians(t, 1, domain.Exclusive{MaxWait: time.Minute})[0]
		first := g.enter()
		var mu sync.Mutex
		var order []int
		var all sync.WaitGroup
		for i := range 5 {
			all.Go(func() {
				h := g.enter()
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
				time.Sleep(time.Second)
				h.Leave()
			})
			synctest.Wait()
		}
		start := time.Now()
		first.Leave()
		all.Wait()
		if !slices.IsSorted(order) || time.Since(start) != 5*time.Second {
			t.Errorf("they ran as %v, and took %s", order, time.Since(start))
		}
	})
}

// A call that runs for long keeps its lock, by three store calls in each lease.
func TestALockIsExtended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := guardians(t, 2, domain.Exclusive{MaxHold: 2 * time.Hour, Lease: 9 * time.Second})
		h := all[0].enter()
		for range 3600 {
			time.Sleep(time.Second)
			all[1].wantHeld(false)
		}
		time.Sleep(time.Second) // not at the instant at which it is extended
		wantRunning(t, h)
		if n := all[0].line.extends.Load(); n < 1199 || n > 1200 {
			t.Errorf("it was extended %d times in an hour; want each 3 s", n)
		}
		h.Leave()
		all[1].wantFree()
		before := all[0].line.extends.Load()
		time.Sleep(time.Hour)
		if n := all[0].line.extends.Load() - before; n != 0 {
			t.Errorf("it was extended %d times after it was given back", n)
		}
	})
}

// The hold of a call is bounded: then its context ends, the lock is not extended any more,
// and comes free whether or not the call goes on.
func TestMaxHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := guardians(t, 2, domain.Exclusive{MaxHold: 25 * time.Second})
		start, h := time.Now(), all[0].enter()
		if at, ok := h.Context().Deadline(); !ok || at.Sub(start) != 25*time.Second {
			t.Errorf("its context ends at %s, %t; want in 25 s", at, ok)
		}
		<-h.Context().Done()
		if took := time.Since(start); took != 25*time.Second || !h.Overdue() || h.Lost() {
			t.Errorf("its context ended after %s by %v", took, context.Cause(h.Context()))
		}
		late, ok := errors.AsType[*domain.TimeoutError](h.Explain(errBroken))
		if !ok || *late != (domain.TimeoutError{After: 25 * time.Second, Err: errBroken}) || h.Explain(nil) != nil {
			t.Errorf("%v; want a timeout, with the function's error", h.Explain(errBroken))
		}
		time.Sleep(10 * time.Second) // a lease later at most
		second := all[1].enter()
		wantRunning(t, second)
		h.Leave() // gives back nothing that is another's
		time.Sleep(15 * time.Second)
		wantRunning(t, second)
		all[0].wantHeld(false)
		second.Leave()
		all[0].wantKinds() // to take too long is not to lose
	})
}

// A lock that the store has lost, or given to another, is noticed when it is to be
// extended; the call learns so at once, and nothing is taken anew.
func TestALockThatIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := guardians(t, 2, domain.Exclusive{})
		a, b := all[0], all[1]
		start, h := time.Now(), a.enter()
		time.Sleep(time.Second)
		forgotten := memory.New(memory.Options{}).Stores().Locks // a failover: the lock is free again
		a.line.LockStore, b.line.LockStore = forgotten, forgotten
		second := b.enter()
		a.line.faults.set(func(context.Context, func()) error { return nil }) // of what the store has lost it says no
		if lost := wantLost(t, h, start, 10*time.Second/3); lost.Why != nil || errors.Is(lost, domain.ErrNotExclusive) {
			t.Errorf("lost since %v; want that the store says so", lost.Why)
		}
		a.wantKinds(domain.EventLockLost)
		a.line.faults.set(nil)
		h.Leave()
		if n := a.line.frees.Load(); n != 0 {
			t.Error("what was lost was given back")
		}
		time.Sleep(time.Minute / 2)
		wantRunning(t, second)
		a.wantHeld(false)
		second.Leave()
		a.wantFree()
	})
}

// While the store is silent the lock lasts as long as it is known to, and one lost answer
// costs nothing.
func TestALockOfASilentStore(t *testing.T) {
	for name, fault := range map[string]func(context.Context, func()) error{"silent": isSilent, "broken": isBroken} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				all := guardians(t, 2, domain.Exclusive{MaxHold: time.Hour})
				a, b := all[0], all[1]
				start, h := time.Now(), a.enter()
				a.line.faults.set(fault)
				time.Sleep(4 * time.Second) // one attempt fails
				a.line.faults.set(nil)
				time.Sleep(16 * time.Second) // and the next ones do not
				wantRunning(t, h)
				a.line.faults.set(fault)
				last := (20 * time.Second).Truncate(10 * time.Second / 3) // the last one that was answered
				lost := wantLost(t, h, start, last+knownEnd(10*time.Second))
				if !errors.Is(lost, domain.ErrStoreUnavailable) {
					t.Errorf("lost since %v; want since the store was silent", lost.Why)
				}
				b.wantHeld(false) // this replica gave up before the store did
				began := time.Now()
				h.Leave()
				if took := time.Since(began); took != 0 {
					t.Errorf("to give back what is lost took %s", took)
				}
				time.Sleep(time.Second)
				b.wantFree()
			})
		})
	}
}

// A holder that dies, or is cut off, loses its lock after its lease, and not before.
func TestTheLockOfTheDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := guardians(t, 2, domain.Exclusive{Lease: 6 * time.Second, MaxHold: time.Hour})
		h := all[0].enter()
		time.Sleep(61 * time.Second) // it was extended a second ago
		all[0].line.faults.set(isSilent)
		time.Sleep(4 * time.Second)
		all[1].wantHeld(false)
		wantRunning(t, h)
		time.Sleep(2 * time.Second)
		second := all[1].enter()
		if !h.Lost() || h.Token() >= second.Token() {
			t.Errorf("two have it: %v, with the tokens %d and %d", context.Cause(h.Context()), h.Token(), second.Token())
		}
		second.Leave()
		h.Leave()
	})
}

// Without the store nobody may run. A call learns so within StoreTimeout and, once that is
// known, at once; single calls find out when it is back.
func TestNoLockWithoutTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guardians(t, 1, domain.Exclusive{MaxWait: time.Minute})[0]
		g.line.faults.set(isSilent)
		for i := range 3 {
			start := time.Now()
			_, err := g.Enter(t.Context())
			if !errors.Is(err, domain.ErrStoreUnavailable) || time.Since(start) != storeTimeout {
				t.Errorf("call %d: %v after %s", i, err, time.Since(start))
			}
		}
		synctest.Wait()
		if !g.Health().StoreDown {
			t.Error("the store is not known to be down")
		}
		asked := g.line.asked.Load()
		for range 100 {
			start := time.Now()
			if _, err := g.Enter(t.Context()); !errors.Is(err, domain.ErrStoreUnavailable) || time.Since(start) != 0 {
				t.Fatalf("%v after %s; want that it is known", err, time.Since(start))
			}
		}
		if g.line.asked.Load() != asked {
			t.Error("a store that is down was asked by each call")
		}
		g.line.faults.set(nil)
		time.Sleep(2 * time.Second)
		g.wantFree()
		g.wantKinds(domain.EventStoreDown, domain.EventStoreUp)
	})
}

// What a call spends on the store comes out of what it has left, and to have none left is
// to be refused.
func TestExclusiveWithinABudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guardians(t, 1, domain.Exclusive{})[0]
		var left fleet.Budget
		h, err := g.EnterWithin(t.Context(), &left)
		if err != nil {
			t.Fatal(err)
		}
		g.line.faults.set(isSilent)
		for i, want := range []time.Duration{storeTimeout, 0} {
			start := time.Now()
			if i == 0 {
				h.LeaveWithin(&left)
			} else if _, err := g.EnterWithin(t.Context(), &left); !errors.Is(err, domain.ErrStoreUnavailable) {
				t.Errorf("%v; want that there is no time left", err)
			}
			if took := time.Since(start); took != want {
				t.Errorf("step %d took %s; want %s", i, took, want)
			}
		}
	})
}

// A lock lasts from when it was asked for, not from when the answer came.
func TestALockLastsFromTheQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := guardians(t, 2, domain.Exclusive{Lease: 9 * time.Second})
		start, h := time.Now(), all[0].enter()
		all[0].line.faults.set(func(_ context.Context, execute func()) error {
			execute()
			time.Sleep(90 * time.Millisecond)
			return nil
		})
		time.Sleep(4 * time.Second) // it was extended once
		all[0].line.faults.set(isSilent)
		_ = wantLost(t, h, start, 3*time.Second+knownEnd(9*time.Second))
		h.Leave()
	})
}

// Locks may be elsewhere than all else: when they are out of reach limits are decided by the
// store as ever, and the other way round.
func TestLocksFailApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		buckets, stores := newFaulty(memory.New(memory.Options{}).Stores())
		locks, apart := newFaultyLocks(memory.New(memory.Options{}).Stores().Locks)
		stores.Locks = apart.Locks
		r := join(t, stores, fleet.Config{})
		l := r.limiter(domain.RateLimit{Name: "api", Limit: domain.PerSecond(1000), Outage: domain.OutageOpen})
		e, err := r.Exclusive(domain.Exclusive{Name: "x"})
		if err != nil {
			t.Fatal(err)
		}
		lock := func() error {
			h, err := e.Enter(t.Context())
			if err == nil {
				h.Leave()
			}
			return err
		}
		locks.faults.set(isBroken)
		for range 5 {
			if err := lock(); !errors.Is(err, domain.ErrStoreUnavailable) {
				t.Errorf("a store of locks that is broken: %v", err)
			}
		}
		if d, err := l.Allow(t.Context(), ""); err != nil || d.Degraded {
			t.Errorf("without locks a limit says %+v, %v", d, err)
		}
		locks.faults.set(nil)
		time.Sleep(time.Minute)
		_ = lock() // a trial
		synctest.Wait()
		buckets.set(isBroken)
		for range 5 {
			if d, err := l.Allow(t.Context(), ""); err != nil || !d.Degraded {
				t.Errorf("a store of buckets that is broken: %+v, %v", d, err)
			}
		}
		if err := lock(); err != nil {
			t.Errorf("without buckets a lock is %v", err)
		}
	})
}

// A lock whose extension hangs for longer than its time, as on a machine that stands still,
// is lost all the same, and the call is told why.
func TestALockWhoseExtensionHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := guardians(t, 2, domain.Exclusive{Lease: 9 * time.Second})
		start, h := time.Now(), all[0].enter()
		all[0].line.faults.set(func(context.Context, func()) error {
			time.Sleep(time.Minute)
			return errBroken
		})
		if lost := wantLost(t, h, start, knownEnd(9*time.Second)); lost.Why == nil || !strings.Contains(lost.Why.Error(), "in time") {
			t.Errorf("it was lost since %v; want that it was not extended in time", lost.Why)
		}
		h.Leave()
	})
}

// To wait for a lock is no time spent on the store, however often it is asked.
func TestWaitingSpendsNoBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := guardians(t, 2, domain.Exclusive{MaxWait: 10 * time.Second})
		h := all[0].enter()
		all[1].line.faults.set(func(_ context.Context, execute func()) error {
			time.Sleep(storeTimeout / 5)
			execute()
			return nil
		})
		time.AfterFunc(5*time.Second, h.Leave)
		var left fleet.Budget
		h, err := all[1].EnterWithin(t.Context(), &left)
		if err != nil {
			t.Fatal(err)
		}
		if asked := all[1].line.asked.Load(); asked < 6 {
			t.Errorf("it was asked %d times; want more than there is time for", asked)
		}
		h.LeaveWithin(&left)
	})
}

// A lock that the store gave to a caller who had left goes back.
func TestALockForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := guardians(t, 2, domain.Exclusive{})
		all[0].line.faults.set(func(_ context.Context, execute func()) error {
			time.Sleep(50 * time.Millisecond)
			execute()
			return nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		start := time.Now()
		if _, err := all[0].Enter(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 20*time.Millisecond {
			t.Errorf("%v after %s", err, time.Since(start))
		}
		time.Sleep(40 * time.Millisecond)
		all[1].wantHeld(false)
		time.Sleep(50 * time.Millisecond)
		all[1].wantFree()
	})
}

// A lock that comes when the replica has begun to close goes back.
func TestALockForAReplicaThatCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := guardians(t, 2, domain.Exclusive{})
		all[0].line.faults.set(func(_ context.Context, execute func()) error {
			time.Sleep(50 * time.Millisecond)
			execute()
			return nil
		})
		time.AfterFunc(20*time.Millisecond, all[0].close)
		if _, err := all[0].Enter(t.Context()); !errors.Is(err, domain.ErrClosed) {
			t.Errorf("error %v; want that it is closed", err)
		}
		if all[0].line.frees.Load() != 1 {
			t.Error("the lock did not go back")
		}
		all[1].wantFree()
	})
}

// A replica that closes extends nothing: the call that runs learns so, and gives its lock
// back when it has ended.
func TestClosingWithALock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := guardians(t, 2, domain.Exclusive{})
		start, h := time.Now(), all[0].enter()
		all[0].close()
		if lost := wantLost(t, h, start, 0); !errors.Is(lost, domain.ErrClosed) || domain.IsRetryable(lost) {
			t.Errorf("lost since %v; want since it closed", lost.Why)
		}
		all[1].wantHeld(false) // it runs still
		h.Leave()
		all[1].wantFree()
	})
}

// What cannot be made says why, and an update that cannot be changes nothing.
func TestExclusivesThatAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bare := join(t, port.Stores{}, fleet.Config{})
		if _, err := bare.Exclusive(domain.Exclusive{Name: "x"}); !errors.Is(err, domain.ErrInvalidPolicy) || !strings.Contains(err.Error(), "locks") {
			t.Errorf("without locks: %v", err)
		}
		g := guardians(t, 1, domain.Exclusive{MaxWait: time.Second})[0]
		for want, p := range map[error]domain.Exclusive{
			domain.ErrConflict:      {Name: "x"},
			domain.ErrInvalidPolicy: {},
		} {
			if _, err := g.watched.Exclusive(p); !errors.Is(err, want) {
				t.Errorf("%s: %v; want %v", p, err, want)
			}
		}
		if _, err := g.watched.Exclusive(domain.Exclusive{Name: "y", MaxHold: -1}); !errors.Is(err, domain.ErrInvalidPolicy) {
			t.Errorf("a negative hold: %v", err)
		}
		if _, found := g.FindExclusive("y"); found {
			t.Error("what was refused was made")
		}
		if same, err := g.watched.Exclusive(domain.Exclusive{Name: "x", MaxWait: time.Second, MaxHold: time.Minute}); same != g.Exclusive || err != nil {
			t.Errorf("the same with its defaults written down: %v", err)
		}
		before := g.Policy()
		for _, p := range []domain.Exclusive{{Name: "y"}, {Name: "x", Lease: 1}} {
			if err := g.Update(p); !errors.Is(err, domain.ErrInvalidPolicy) || g.Policy() != before {
				t.Errorf("update to %s: %v, and it is %s", p, err, g.Policy())
			}
		}
		if err := g.Update(domain.Exclusive{Name: "x", MaxHold: time.Second}); err != nil || g.Policy().MaxHold != time.Second || g.Policy().MaxWait != 0 {
			t.Errorf("update: %v, and it is %s", err, g.Policy())
		}
	})
}
