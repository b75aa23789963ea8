package fleet_test

import (
	"context"
	"errors"
	"math/rand/v2"
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

// faultyPermits is a store of permits whose calls and answers the test stands between.
type faultyPermits struct {
	port.PermitStore

	faults *faulty
	asked  atomic.Int64
}

func newFaultyPermits(s port.Stores) (*faultyPermits, port.Stores) {
	p := &faultyPermits{PermitStore: s.Permits, faults: &faulty{}}
	s.Permits = p
	return p, s
}

func (p *faultyPermits) Hold(ctx context.Context, in []port.HoldRequest, out []port.HoldReply) {
	p.asked.Add(1)
	done := make([]port.HoldReply, len(out))
	err := p.faults.through(ctx, func() { p.PermitStore.Hold(context.WithoutCancel(ctx), in, done) })
	for i := range out {
		if out[i] = done[i]; err != nil {
			out[i] = port.HoldReply{Err: asStoreError(err)}
		}
	}
}

func (w *watched) bulkhead(p domain.Bulkhead) *fleet.Bulkhead {
	w.t.Helper()
	b, err := w.Bulkhead(p)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

func enter(t *testing.T, b *fleet.Bulkhead) fleet.Slot {
	t.Helper()
	slot, err := b.Enter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return slot
}

func enterAll(t *testing.T, b *fleet.Bulkhead, n int) []fleet.Slot {
	t.Helper()
	slots := make([]fleet.Slot, n)
	for i := range slots {
		slots[i] = enter(t, b)
	}
	return slots
}

func leaveAll(slots []fleet.Slot) {
	for _, s := range slots {
		s.Leave()
	}
}

// isFull checks that there is no room.
func isFull(t *testing.T, b *fleet.Bulkhead, degraded bool) {
	t.Helper()
	slot, err := b.Enter(t.Context())
	if err == nil {
		slot.Leave()
	}
	full, ok := errors.AsType[*domain.BulkheadFullError](err)
	if !ok || *full != (domain.BulkheadFullError{Name: "b", Degraded: degraded}) {
		t.Errorf("error %v; want a full bulkhead, degraded %v", err, degraded)
	}
}

func TestALocalBulkhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := join(t, port.Stores{}, fleet.Config{})
		b := r.bulkhead(domain.Bulkhead{Name: "b", MaxConcurrent: 2})
		slots := enterAll(t, b, 2)
		isFull(t, b, false)
		slots[0].Leave()
		slots[0] = enter(t, b)
		isFull(t, b, false)
		if got, want := b.Status(), (fleet.BulkheadStatus{Name: "b", Running: 2, Room: 2}); got != want {
			t.Errorf("%+v; want %+v", got, want)
		}
		if err := b.Update(domain.Bulkhead{Name: "b", MaxConcurrent: 3}); err != nil {
			t.Error(err)
		}
		slots = append(slots, enter(t, b))
		if err := b.Update(domain.Bulkhead{Name: "b", MaxConcurrent: 1}); err != nil {
			t.Error(err)
		}
		slots[0].Leave()
		slots[1].Leave()
		isFull(t, b, false)
		slots[2].Leave()
		enter(t, b).Leave()
		for _, bad := range []domain.Bulkhead{{Name: "b"}, {Name: "c", MaxConcurrent: 1}, {Name: "b", MaxConcurrent: 1, Fleet: true}} {
			if err := b.Update(bad); !errors.Is(err, domain.ErrInvalidPolicy) {
				t.Errorf("Update(%v): %v", bad, err)
			}
		}
		if again, err := r.Bulkhead(domain.Bulkhead{Name: "b", MaxConcurrent: 1}); err != nil || again != b {
			t.Errorf("asked for again: %v", err)
		}
		for want, bad := range map[error]domain.Bulkhead{
			domain.ErrConflict:      {Name: "b", MaxConcurrent: 2},
			domain.ErrInvalidPolicy: {Name: "f", MaxConcurrent: 2, Fleet: true}, // there is no store
		} {
			if _, err := r.Bulkhead(bad); !errors.Is(err, want) {
				t.Errorf("%v: %v; want %v", bad, err, want)
			}
		}
		(fleet.Slot{}).Leave()
		r.close()
		if _, err := b.Enter(t.Context()); !errors.Is(err, domain.ErrClosed) {
			t.Errorf("of a closed replica: %v", err)
		}
	})
}

// Who leaves twice would let one call more run, for good.
func TestASlotIsLeftOnce(t *testing.T) {
	b := join(t, port.Stores{}, fleet.Config{}).bulkhead(domain.Bulkhead{Name: "b", MaxConcurrent: 2})
	slot := enter(t, b)
	slot.Leave()
	defer func() {
		if recover() == nil {
			t.Error("leaving twice was not noticed")
		}
	}()
	slot.Leave()
}

// Who came first goes first, and nobody waits longer than it can.
func TestABulkheadsQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := join(t, port.Stores{}, fleet.Config{})
		b := r.bulkhead(domain.Bulkhead{Name: "b", MaxConcurrent: 1, MaxWait: 10 * time.Second})
		running := enter(t, b)
		start := time.Now()
		var mu sync.Mutex
		var order []int
		for i := range 5 {
			go func() {
				slot, err := b.Enter(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
				time.Sleep(time.Second)
				slot.Leave()
			}()
			synctest.Wait()
		}
		gone, cancel := context.WithCancelCause(t.Context())
		late := make(chan error, 2)
		go func() { _, err := b.Enter(gone); late <- err }()
		synctest.Wait()
		go func() { _, err := b.Enter(t.Context()); late <- err }()
		synctest.Wait()
		if got, want := b.Status(), (fleet.BulkheadStatus{Name: "b", Running: 1, Waiting: 7, Room: 1}); got != want {
			t.Errorf("%+v; want %+v", got, want)
		}
		why := errors.New("gone")
		cancel(why)
		if err := <-late; !errors.Is(err, why) {
			t.Errorf("who leaves the queue: %v", err)
		}
		time.Sleep(5500 * time.Millisecond)
		running.Leave()
		if err := <-late; !errors.Is(err, domain.ErrBulkheadFull) || time.Since(start) != 10*time.Second {
			t.Errorf("who waited behind five others: %v after %s; want it full after 10s", err, time.Since(start))
		}
		synctest.Wait()
		time.Sleep(time.Second)
		mu.Lock()
		defer mu.Unlock()
		if len(order) != 5 || order[0] != 0 || order[1] != 1 || order[2] != 2 || order[3] != 3 || order[4] != 4 {
			t.Errorf("the order is %v", order)
		}
	})
}

// Who gives up at the very instant at which it gets room takes none of it along.
func TestLeavingTheQueueAtTheLastInstant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := join(t, port.Stores{}, fleet.Config{}).bulkhead(domain.Bulkhead{Name: "b", MaxConcurrent: 1, MaxWait: time.Minute})
		entered, left := 0, 0
		for range 200 {
			slot := enter(t, b)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			time.AfterFunc(time.Second, slot.Leave)
			if next, err := b.Enter(ctx); err == nil {
				next.Leave()
				entered++
			} else {
				left++
			}
			cancel()
			synctest.Wait()
			if got := b.Status(); got.Running != 0 || got.Waiting != 0 {
				t.Fatalf("%+v; want nobody there (%d came in, %d left)", got, entered, left)
			}
		}
		if entered == 0 || left == 0 {
			t.Errorf("%d came in and %d left; want both to happen", entered, left)
		}
	})
}

// What nobody uses is for others soon.
func TestIdlePermitsGoBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := memory.New(memory.Options{}).Stores()
		p := domain.Bulkhead{Name: "b", MaxConcurrent: 8, Fleet: true}
		one, other := join(t, stores, fleet.Config{}).bulkhead(p), join(t, stores, fleet.Config{}).bulkhead(p)
		slots := enterAll(t, one, 8)
		leaveAll(slots[:7])
		isFull(t, other, false)
		time.Sleep(400 * time.Millisecond)
		leaveAll(enterAll(t, other, 7))
		slots[7].Leave()
	})
}

// The calls of a fleet together are never more than the room, on each store, and
// everybody comes to run.
func TestAFleetsBulkhead(t *testing.T) {
	onEachStore(t, func(t *testing.T, stores port.Stores) {
		const room, replicas = 6, 3
		var mu sync.Mutex
		running, most, done := 0, 0, 0
		var all sync.WaitGroup
		for i := range replicas {
			b := join(t, stores, fleet.Config{}).bulkhead(domain.Bulkhead{Name: "b", MaxConcurrent: room, MaxWait: time.Minute, Fleet: true})
			for n := range 8 {
				rnd := rand.New(rand.NewPCG(uint64(i), uint64(n)))
				all.Go(func() {
					for range 10 {
						slot, err := b.Enter(t.Context())
						if err != nil {
							t.Error(err)
							return
						}
						mu.Lock()
						running++
						most = max(most, running)
						mu.Unlock()
						time.Sleep(time.Duration(1+rnd.IntN(100)) * time.Millisecond)
						mu.Lock()
						running--
						done++
						mu.Unlock()
						slot.Leave()
						time.Sleep(time.Duration(rnd.IntN(50)) * time.Millisecond)
					}
				})
			}
		}
		all.Wait()
		if most != room || done != replicas*8*10 {
			t.Errorf("%d ran together, %d at all; want %d and %d", most, done, room, replicas*8*10)
		}
	})
}

// One that has all of the room makes way for another, as its calls end.
func TestRoomIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := memory.New(memory.Options{}).Stores()
		p := domain.Bulkhead{Name: "b", MaxConcurrent: 10, MaxWait: time.Minute, Fleet: true}
		a, b := join(t, stores, fleet.Config{}).bulkhead(p), join(t, stores, fleet.Config{}).bulkhead(p)
		over := make(chan struct{})
		call := func(b *fleet.Bulkhead) {
			for {
				slot, err := b.Enter(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				select {
				case <-over:
					slot.Leave()
					return
				case <-time.After(100 * time.Millisecond):
				}
				slot.Leave()
			}
		}
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() { call(a) })
		}
		time.Sleep(time.Second)
		if got := a.Status().Running; got != 10 {
			t.Errorf("%d calls run alone; want all of the room", got)
		}
		for range 20 {
			all.Go(func() { call(b) })
		}
		time.Sleep(time.Second)
		if one, other := a.Status().Running, b.Status().Running; one != 5 || other != 5 {
			t.Errorf("%d and %d calls run; want an even share", one, other)
		}
		close(over)
		all.Wait()
	})
}

// A replica that holds permits and is not heard of any more loses them; what it runs
// goes on.
func TestPermitsOfTheDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New(memory.Options{}).Stores()
		line, cut := newFaultyPermits(store)
		p := domain.Bulkhead{Name: "b", MaxConcurrent: 4, Fleet: true}
		dead, alive := join(t, cut, fleet.Config{}).bulkhead(p), join(t, store, fleet.Config{}).bulkhead(p)
		slots := enterAll(t, dead, 4)
		line.faults.set(isSilent)
		isFull(t, alive, false)
		time.Sleep(2 * time.Second) // its last word is not older than a renewal
		isFull(t, alive, false)
		time.Sleep(2 * time.Second)
		leaveAll(enterAll(t, alive, 4))
		leaveAll(slots)
	})
}

// While the store is out of reach each replica has its part, and then comes back.
func TestABulkheadInAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		line, stores := newFaultyPermits(memory.New(memory.Options{}).Stores())
		r := join(t, stores, fleet.Config{})
		b := r.bulkhead(domain.Bulkhead{Name: "b", MaxConcurrent: 8, Fleet: true})
		for _, other := range []string{"x", "y", "z"} {
			if _, err := stores.Members.Beat(t.Context(), other, time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		enter(t, b).Leave()
		time.Sleep(10 * time.Second) // it has counted the others, and holds nothing
		line.faults.set(isBroken)
		for tries := 0; !r.Health().StoreDown; tries++ {
			slot, err := b.Enter(t.Context())
			slot.Leave() // where it went down meanwhile
			if full, ok := errors.AsType[*domain.BulkheadFullError](err); tries == 5 || !r.Health().StoreDown && (!ok || !full.Degraded) {
				t.Fatalf("try %d: %v; want it full until the store is known to be down", tries, err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		r.wantKinds(domain.EventStoreDown)
		slots := enterAll(t, b, 2)
		isFull(t, b, true)
		line.faults.set(nil)
		time.Sleep(5 * time.Second)
		r.wantKinds(domain.EventStoreUp)
		slots = append(slots, enterAll(t, b, 6)...)
		isFull(t, b, false)
		leaveAll(slots)
	})
}

// Where nobody knows how many share it, there is no share.
func TestABulkheadThatNeverSawItsStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		line, stores := newFaultyPermits(memory.New(memory.Options{}).Stores())
		line.faults.set(isBroken)
		stores.Members = nil
		p := domain.Bulkhead{Name: "b", MaxConcurrent: 8, Fleet: true}
		unknown := join(t, stores, fleet.Config{}).bulkhead(p)
		for range 5 {
			if _, err := unknown.Enter(t.Context()); !errors.Is(err, domain.ErrStoreUnavailable) {
				t.Errorf("error %v; want that the store is not there", err)
			}
		}
		expected := join(t, stores, fleet.Config{ExpectedReplicas: 4}).bulkhead(p)
		isFull(t, expected, true) // one answer that did not come is no outage
		time.Sleep(time.Second)
		slots := enterAll(t, expected, 2)
		isFull(t, expected, true)
		leaveAll(slots)
	})
}

// A store that does not answer holds a call up for StoreTimeout at most, and no longer
// than its context; none is left in the queue.
func TestABulkheadOnASilentStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		line, stores := newFaultyPermits(memory.New(memory.Options{}).Stores())
		line.faults.set(isSilent)
		b := join(t, stores, fleet.Config{ExpectedReplicas: 2}).bulkhead(domain.Bulkhead{Name: "b", MaxConcurrent: 4, Fleet: true})
		for _, tt := range []struct{ patience, took time.Duration }{
			{time.Minute, fleet.DefaultStoreTimeout}, {30 * time.Millisecond, 30 * time.Millisecond},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), tt.patience)
			start := time.Now()
			_, err := b.Enter(ctx)
			if took := time.Since(start); err == nil || took != tt.took {
				t.Errorf("%v after %s; want an error after %s", err, took, tt.took)
			}
			cancel()
		}
		time.Sleep(time.Second)
		if got := b.Status().Waiting; got != 0 {
			t.Errorf("%d wait", got)
		}
	})
}

// The store is asked at a rate that does not grow with that of the calls.
func TestABulkheadAsksSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		line, stores := newFaultyPermits(memory.New(memory.Options{}).Stores())
		b := join(t, stores, fleet.Config{}).bulkhead(domain.Bulkhead{Name: "b", MaxConcurrent: 50, Fleet: true})
		var all sync.WaitGroup
		for i := range 10 {
			all.Go(func() {
				rnd := rand.New(rand.NewPCG(7, uint64(i)))
				for range 1000 {
					slot, err := b.Enter(t.Context())
					if err != nil {
						t.Error(err)
						return
					}
					time.Sleep(time.Duration(rnd.IntN(10)) * time.Millisecond)
					slot.Leave()
				}
			})
		}
		all.Wait()
		if n := line.asked.Load(); n > 100 {
			t.Errorf("%d store calls for 10,000 calls in about 5 s", n)
		}
		before := line.asked.Load()
		time.Sleep(time.Hour)
		if n := line.asked.Load() - before; n > 2 {
			t.Errorf("%d store calls while nobody calls", n)
		}
	})
}

// A replica that closes gives back at once what it does not use.
func TestClosingGivesPermitsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := memory.New(memory.Options{}).Stores()
		p := domain.Bulkhead{Name: "b", MaxConcurrent: 4, Fleet: true}
		r := join(t, stores, fleet.Config{})
		closing, other := r.bulkhead(p), join(t, stores, fleet.Config{}).bulkhead(p)
		slots := enterAll(t, closing, 4)
		leaveAll(slots[:3])
		isFull(t, other, false)
		r.close()
		time.Sleep(60 * time.Millisecond) // the memory of the refusal
		rest := enterAll(t, other, 3)
		isFull(t, other, false)
		leaveAll(rest)
		slots[3].Leave()
	})
}

// Where more replicas want room than there is, none starves.
func TestEachReplicaHasItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := memory.New(memory.Options{}).Stores()
		p := domain.Bulkhead{Name: "b", MaxConcurrent: 1, MaxWait: 10 * time.Second, Fleet: true}
		var ran [2]atomic.Int64
		var all sync.WaitGroup
		end := time.Now().Add(time.Minute)
		for i := range ran {
			b := join(t, stores, fleet.Config{}).bulkhead(p)
			for range 3 {
				all.Go(func() {
					for time.Now().Before(end) {
						if slot, err := b.Enter(t.Context()); err == nil {
							time.Sleep(50 * time.Millisecond)
							slot.Leave()
							ran[i].Add(1)
						} else {
							t.Error(err)
						}
					}
				})
			}
		}
		all.Wait()
		if a, b := ran[0].Load(), ran[1].Load(); a < 300 || b < 300 {
			t.Errorf("one ran %d calls and the other %d; want an even share of about 1,000", a, b)
		}
	})
}

// A refusal is known for a moment, and says nothing once the store is asked again.
func TestOldRefusalsAreForgotten(t *testing.T) {
	for _, since := range []time.Duration{60 * time.Millisecond, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			line, stores := newFaultyPermits(memory.New(memory.Options{}).Stores())
			p := domain.Bulkhead{Name: "b", MaxConcurrent: 10, Fleet: true}
			r := join(t, stores, fleet.Config{})
			b, other := join(t, stores, fleet.Config{}).bulkhead(p), r.bulkhead(p)
			slots := enterAll(t, other, 10)
			isFull(t, b, false)
			start := time.Now()
			isFull(t, b, false)
			if took := time.Since(start); took != 0 {
				t.Errorf("a refusal that was known took %s", took)
			}
			leaveAll(slots)
			r.close()
			time.Sleep(since)
			line.faults.set(answersAfter(4 * time.Millisecond))
			var all sync.WaitGroup
			for range 10 {
				all.Go(func() {
					slot, err := b.Enter(t.Context())
					if err != nil {
						t.Errorf("%s later: %v", since, err)
						return
					}
					time.Sleep(time.Second)
					slot.Leave()
				})
				time.Sleep(100 * time.Microsecond)
			}
			all.Wait()
		})
	}
}

// answersAfter is a store that acts at once and answers late.
func answersAfter(d time.Duration) func(context.Context, func()) error {
	return func(_ context.Context, execute func()) error {
		execute()
		time.Sleep(d)
		return nil
	}
}

// While a word is on its way nobody knows what came of it: what it gives back is not
// used, and what it keeps is nobody else's.
func TestWordsOnTheirWay(t *testing.T) {
	for _, tt := range []struct {
		name  string
		story func(t *testing.T, line *faultyPermits, b, other *fleet.Bulkhead)
	}{
		{"what goes back", func(t *testing.T, line *faultyPermits, b, other *fleet.Bulkhead) {
			leaveAll(enterAll(t, b, 10))
			line.faults.set(answersAfter(60 * time.Millisecond))
			time.Sleep(230 * time.Millisecond)
			defer leaveAll(enterAll(t, other, 10))
			isFull(t, b, false)
		}},
		{"what stays", func(t *testing.T, line *faultyPermits, b, other *fleet.Bulkhead) {
			slots := enterAll(t, b, 10)
			leaveAll(slots[2:])
			isFull(t, other, false) // and other's wish is known
			line.faults.set(answersAfter(60 * time.Millisecond))
			if err := b.Update(domain.Bulkhead{Name: "b", MaxConcurrent: 9, Fleet: true}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(60 * time.Millisecond) // it says so after 20; other may ask again after 50
			defer leaveAll(append(slots[:2], enterAll(t, b, 7)...))
			isFull(t, other, false)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				line, cut := newFaultyPermits(memory.New(memory.Options{}).Stores())
				stores := cut
				stores.Permits = line.PermitStore
				p := domain.Bulkhead{Name: "b", MaxConcurrent: 10, Fleet: true}
				tt.story(t, line, join(t, cut, fleet.Config{}).bulkhead(p), join(t, stores, fleet.Config{}).bulkhead(p))
			})
		})
	}
}

// A message that is lost is said again soon: permits are renewed before they end, and
// those that are not needed go back.
func TestLostWordsAreSaidAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		line, cut := newFaultyPermits(memory.New(memory.Options{}).Stores())
		stores := cut
		stores.Permits = line.PermitStore
		p := domain.Bulkhead{Name: "b", MaxConcurrent: 10, Fleet: true}
		b, other := join(t, cut, fleet.Config{}).bulkhead(p), join(t, stores, fleet.Config{}).bulkhead(p)
		slots := enterAll(t, b, 10)
		lost := 0
		loses := func(_ context.Context, execute func()) error {
			if lost++; lost <= 2 {
				return errBroken
			}
			execute()
			return nil
		}
		line.faults.set(loses)
		for range 50 {
			time.Sleep(100 * time.Millisecond)
			isFull(t, other, false)
		}
		lost = 0
		leaveAll(slots)
		time.Sleep(500 * time.Millisecond)
		leaveAll(enterAll(t, other, 10))
	})
}

// Less room is in force at once, also while the store is silent.
func TestLessRoomAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		line, stores := newFaultyPermits(memory.New(memory.Options{}).Stores())
		b := join(t, stores, fleet.Config{ExpectedReplicas: 1}).bulkhead(domain.Bulkhead{Name: "b", MaxConcurrent: 10, Fleet: true})
		leaveAll(enterAll(t, b, 10))
		line.faults.set(isSilent)
		if err := b.Update(domain.Bulkhead{Name: "b", MaxConcurrent: 1, Fleet: true}); err != nil {
			t.Fatal(err)
		}
		slot := enter(t, b)
		if got := b.Status().Room; got != 1 {
			t.Errorf("room for %d", got)
		}
		slot.Leave()
	})
}

// A replica that closes while its first permit is on its way gives it back.
func TestClosingBeforeTheFirstAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		line, cut := newFaultyPermits(memory.New(memory.Options{}).Stores())
		stores := cut
		stores.Permits = line.PermitStore
		p := domain.Bulkhead{Name: "b", MaxConcurrent: 1, Fleet: true}
		r := join(t, cut, fleet.Config{})
		b, other := r.bulkhead(p), join(t, stores, fleet.Config{}).bulkhead(p)
		line.faults.set(func(_ context.Context, execute func()) error {
			execute()
			time.Sleep(10 * time.Millisecond)
			return nil
		})
		went := make(chan error, 1)
		go func() { _, err := b.Enter(t.Context()); went <- err }()
		time.Sleep(5 * time.Millisecond)
		r.close()
		if err := <-went; !errors.Is(err, domain.ErrClosed) {
			t.Errorf("who waited was told %v", err)
		}
		enter(t, other).Leave()
	})
}
