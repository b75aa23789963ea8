package fleet_test

import (
	"context"
	"fmt"
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

// TestSimulatedBulkheads plays fleets that share a bulkhead through lost, late and
// doubled messages, replicas that crash and are started anew, and a store whose clock is
// off by up to 1 % and steps back. At no instant do replicas take themselves to have more
// room together than there is, and calls go on. The seeds are those of
// TestSimulatedFleets.
func TestSimulatedBulkheads(t *testing.T) {
	first, count, _ := seedsAsked(seeds)
	var ran, refused, crashed, lost, doubled atomic.Int64
	t.Run("fleets", func(t *testing.T) {
		for seed := first; seed < first+count; seed++ {
			t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
				t.Parallel()
				s := shareRoom(t, seed)
				ran.Add(s.ran.Load())
				refused.Add(s.refused.Load())
				crashed.Add(s.crashed.Load())
				lost.Add(s.lost.Load())
				doubled.Add(s.doubled.Load())
			})
		}
	})
	t.Logf("%d fleets: %d calls ran, %d were refused, %d crashes, %d messages lost, %d doubled",
		count, ran.Load(), refused.Load(), crashed.Load(), lost.Load(), doubled.Load())
	if n := int64(count); n >= seeds && (ran.Load() < 100*n || refused.Load() < 10*n || crashed.Load() < n || lost.Load() < 10*n || doubled.Load() < 5*n) {
		t.Error("the fleets are too tame")
	}
}

// A sharingFleet is one simulated fleet with one bulkhead.
type sharingFleet struct {
	seed  uint64
	p     domain.Bulkhead
	clock *storeClock
	store port.Stores
	over  atomic.Bool

	mu      sync.Mutex
	heads   map[int]*fleet.Bulkhead // of the replicas that live
	running sync.WaitGroup

	ran, refused, crashed, lost, doubled atomic.Int64
}

func shareRoom(t *testing.T, seed uint64) *sharingFleet {
	t.Helper()
	s := &sharingFleet{seed: seed, heads: make(map[int]*fleet.Bulkhead)}
	synctest.Test(t, func(t *testing.T) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		s.clock = &storeClock{start: time.Now(), ppm: rnd.Int64N(20_001) - 10_000}
		s.store = memory.New(memory.Options{Now: s.clock.now}).Stores()
		s.p = domain.Bulkhead{Name: "b", MaxConcurrent: 1 + rnd.IntN(20), Fleet: true}
		if oneIn(rnd, 2) {
			s.p.MaxWait = between(rnd, time.Millisecond, 2*time.Second)
		}
		const long = 30 * time.Second
		for i := range 1 + rnd.IntN(6) {
			s.running.Go(func() { s.lives(t, i) })
		}
		if oneIn(rnd, 3) {
			s.running.Go(func() {
				time.Sleep(long / 2)
				s.clock.move(-between(rnd, 0, 10*time.Second))
			})
		}
		for end := time.Now().Add(long); time.Now().Before(end); time.Sleep(time.Millisecond) {
			s.check(t)
		}
		s.over.Store(true)
		s.running.Wait()
	})
	return s
}

// check adds up the room that replicas take themselves to have.
func (s *sharingFleet) check(t *testing.T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	room := 0
	for _, b := range s.heads {
		room += b.Status().Room
	}
	if room > s.p.MaxConcurrent {
		t.Errorf("seed %d: replicas have room for %d calls together; there is room for %d", s.seed, room, s.p.MaxConcurrent)
		s.over.Store(true)
	}
}

// lives is a replica's life, and that of those that are started in its place.
func (s *sharingFleet) lives(t *testing.T, i int) {
	rnd := rand.New(rand.NewPCG(s.seed, 100+uint64(i)))
	for !s.over.Load() {
		wire := &permitWire{fleet: s, rnd: rand.New(rand.NewPCG(s.seed, rnd.Uint64()))}
		replica, err := fleet.Join(port.Stores{Buckets: s.store.Buckets, Permits: wire}, fleet.Config{StoreTimeout: storeTimeout})
		if err != nil {
			t.Error(err)
			return
		}
		b, err := replica.Bulkhead(s.p)
		if err != nil {
			t.Error(err)
			return
		}
		s.lists(i, b)
		if oneIn(rnd, 2) { // it is cut off for a while
			from, lasting := between(rnd, 0, 10*time.Second), between(rnd, 2*time.Second, 8*time.Second)
			time.AfterFunc(from, func() { wire.away.Store(true) })
			time.AfterFunc(from+lasting, func() { wire.away.Store(false) })
		}
		until := time.Now().Add(between(rnd, time.Second, 20*time.Second))
		var callers sync.WaitGroup
		for n := range 1 + rnd.IntN(8) {
			callers.Go(func() { s.calls(rand.New(rand.NewPCG(s.seed, uint64(1000*i+n))), b, until) })
		}
		callers.Wait()
		crash := oneIn(rnd, 2)
		wire.cut.Store(crash) // nothing that it holds goes back
		s.lists(i, nil)
		if err := replica.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if crash {
			s.crashed.Add(1)
		}
	}
}

func (s *sharingFleet) lists(i int, b *fleet.Bulkhead) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if delete(s.heads, i); b != nil {
		s.heads[i] = b
	}
}

// calls makes calls until then, some of which take longer than permits last.
func (s *sharingFleet) calls(rnd *rand.Rand, b *fleet.Bulkhead, until time.Time) {
	for time.Now().Before(until) && !s.over.Load() {
		ctx, cancel := context.WithTimeout(context.Background(), between(rnd, time.Millisecond, 3*time.Second))
		slot, err := b.Enter(ctx)
		cancel()
		if err != nil {
			s.refused.Add(1)
			time.Sleep(between(rnd, 0, 100*time.Millisecond))
			continue
		}
		s.ran.Add(1)
		lasts := between(rnd, 0, 200*time.Millisecond)
		if oneIn(rnd, 50) {
			lasts = between(rnd, 0, 6*time.Second)
		}
		time.Sleep(lasts)
		slot.Leave()
		time.Sleep(between(rnd, 0, 100*time.Millisecond))
	}
}

// A permitWire loses, delays and doubles what one replica says to the store.
type permitWire struct {
	fleet *sharingFleet
	cut   atomic.Bool // for good
	away  atomic.Bool

	mu  sync.Mutex
	rnd *rand.Rand
}

func (w *permitWire) Hold(_ context.Context, in []port.HoldRequest, out []port.HoldReply) {
	w.mu.Lock()
	there, back := between(w.rnd, 0, longestLeg), between(w.rnd, 0, longestLeg)
	lostThere, lostBack, again := oneIn(w.rnd, 40), oneIn(w.rnd, 20), time.Duration(0)
	if oneIn(w.rnd, 10) {
		again = between(w.rnd, 1, 3*time.Second)
	}
	w.mu.Unlock()
	time.Sleep(there)
	if w.cut.Load() || w.away.Load() || lostThere {
		w.lose(out)
		return
	}
	w.fleet.store.Permits.Hold(context.Background(), in, out)
	if again > 0 {
		w.fleet.doubled.Add(1)
		w.fleet.running.Go(func() {
			time.Sleep(again)
			w.fleet.store.Permits.Hold(context.Background(), in, make([]port.HoldReply, len(in)))
		})
	}
	time.Sleep(back)
	if lostBack {
		w.lose(out)
	}
}

func (w *permitWire) lose(out []port.HoldReply) {
	w.fleet.lost.Add(1)
	for i := range out {
		out[i] = port.HoldReply{Err: &domain.StoreError{Op: "permit hold", Err: errLostOnTheWay}}
	}
}
