package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/bucket"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/store/memory"
)

// TestSimulatedFleetsLend plays fleets that take tokens ahead, wait for them, leave the
// queue and settle what they reserved, through lost, late
// and doubled messages, crashes, restarts, bursts and silence, a store whose clock
// is off by up to 1 % and steps back. What callers were admitted, in the order in
// which they were, never exceeds burst + rate·t, and where costs are settled, counted at the
// store's decisions, less what was given back (rules L1, L6 and L7). The seeds are
// those of TestSimulatedFleets.
func TestSimulatedFleetsLend(t *testing.T) {
	first, count, _ := seedsAsked(seeds)
	var admitted, lent, doubled, lost, waited, settled atomic.Int64
	t.Run("fleets", func(t *testing.T) {
		for seed := first; seed < first+count; seed++ {
			t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
				t.Parallel()
				s := lendAndSpend(t, seed, false)
				worst := s.meter.worst
				if s.settles {
					worst = s.book.worst(s.limit)
				}
				if worst > 0 {
					t.Errorf("seed %d, settles %v: %v tokens above burst + rate·t", seed, s.settles, worst)
				}
				admitted.Add(s.meter.admitted)
				lent.Add(s.lent.Load())
				doubled.Add(s.doubled.Load())
				lost.Add(s.lost.Load())
				waited.Add(s.waited.Load())
				settled.Add(s.settled.Load())
			})
		}
	})
	t.Logf("%d fleets: %d tokens admitted, %d lent, %d calls doubled, %d lost, %d waited, %d tokens given back", count, admitted.Load(), lent.Load(), doubled.Load(), lost.Load(), waited.Load(), settled.Load())
	if n := int64(count); n >= seeds && (admitted.Load() < 1000*n || lent.Load() < admitted.Load()/40 || doubled.Load() < 10*n || lost.Load() < 10*n || waited.Load() < 10*n || settled.Load() < 10*n) {
		t.Error("the fleets are too tame")
	}
}

// The same fleets on a store that forgets what it lent, as a prefetch is that only
// takes tokens early: that must be noticed.
func TestNaivePrefetchIsCaught(t *testing.T) {
	caught := 0
	const fleets = 20
	for seed := range uint64(fleets) {
		if lendAndSpend(t, seed+1, true).meter.worst > 0 {
			caught++
		}
	}
	t.Logf("a prefetch without leases exceeds the limit in %d of %d fleets", caught, fleets)
	if caught < fleets/4 {
		t.Error("the fleets would not notice leases that are wrong")
	}
}

// A lendingFleet is replicas that share one limit with leases.
type lendingFleet struct {
	limit   domain.Limit
	clock   *storeClock
	store   port.Stores
	naive   bool
	waits   bool      // some callers do
	settles bool      // and costs turn out to be less; then nothing is taken ahead, and the store's book counts
	book    storeBook // what the store decided
	demand  []phase
	meter   leaseMeter
	running sync.WaitGroup

	lent, doubled, lost, waited, settled atomic.Int64
}

// A phase is how much callers want, as a part of the limit, until then.
type phase struct {
	until time.Time
	want  float64
}

// drawDemand draws rushes and silence, which all replicas see alike: who holds
// tokens through a silence must not have them beside the bucket's in the rush.
func drawDemand(rnd *rand.Rand, long time.Duration) (all []phase) {
	for at, end := time.Now(), time.Now().Add(long); at.Before(end); {
		at = at.Add(between(rnd, 50*time.Millisecond, 1500*time.Millisecond))
		all = append(all, phase{at, []float64{0, 0, 0.6, 0.9, 1.2, 4, 50}[rnd.IntN(7)]})
	}
	return all
}

// now is the demand at this moment.
func (s *lendingFleet) now() phase {
	for _, p := range s.demand {
		if time.Now().Before(p.until) {
			return p
		}
	}
	return phase{until: time.Now().Add(time.Hour)}
}

// A leaseMeter is a bucket by itself: what is admitted fills it, and it leaks.
type leaseMeter struct {
	mu       sync.Mutex
	late     time.Duration // what the store decided comes up to so much later
	level    float64
	at       time.Duration
	worst    float64
	admitted int64
}

// admit notes tokens, at an instant of the store's time, without its steps.
func (m *leaseMeter) admit(l domain.Limit, at time.Duration, tokens int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	rate := float64(l.Tokens) / float64(l.Period)
	m.level = max(m.level-rate*float64(at-m.at), 0) + float64(tokens)
	m.at = at
	m.admitted += tokens
	seen := rate * float64(m.late)
	if over := m.level - float64(l.Burst) - seen; over > 1e-6 {
		m.worst = max(m.worst, over)
	}
}

// lendAndSpend plays one fleet in a bubble of its own.
func lendAndSpend(t *testing.T, seed uint64, naive bool) *lendingFleet {
	t.Helper()
	s := &lendingFleet{naive: naive}
	synctest.Test(t, func(t *testing.T) {
		rnd := rand.New(rand.NewPCG(seed, 6))
		s.clock = &storeClock{start: time.Now(), ppm: rnd.Int64N(20_001) - 10_000}
		s.store = memory.New(memory.Options{Now: s.clock.now}).Stores()
		replicas := 1 + rnd.IntN(8)
		rate := []int64{10, 100, 1000}[rnd.IntN(3)]
		s.limit = domain.PerSecond(rate).WithBurst(int64(replicas)*4 + rnd.Int64N([]int64{rate, rate, 2 * rate}[rnd.IntN(3)]/[]int64{1, 4, 10}[rnd.IntN(3)]))
		s.waits = oneIn(rnd, 2) && !naive
		s.settles = s.waits && oneIn(rnd, 2)
		if s.meter.late = longestLeg; s.waits {
			s.meter.late += longestWait / 50
		}
		if oneIn(rnd, 10) {
			replicas = 50
			s.limit.Burst += 200
		}
		const long = 30 * time.Second
		s.demand = drawDemand(rnd, long)
		for name := range replicas {
			s.running.Go(func() { s.life(t, seed, uint64(name), replicas, long) })
		}
		if oneIn(rnd, 3) {
			time.Sleep(between(rnd, 0, long))
			s.clock.move(-between(rnd, 0, 20*time.Second))
		}
		s.running.Wait()
	})
	return s
}

// life is a replica's, and that of those who are started in its place.
func (s *lendingFleet) life(t *testing.T, seed, name uint64, replicas int, long time.Duration) {
	end := time.Now().Add(long)
	for start := uint64(0); time.Now().Before(end); start++ {
		rnd := rand.New(rand.NewPCG(seed, 100+name*100+start))
		wire := &lossyWire{fleet: s, rnd: rand.New(rand.NewPCG(seed, 50_000+name*100+start))}
		stores := port.Stores{Buckets: wire}
		replica, err := fleet.Join(stores, fleet.Config{ExpectedReplicas: replicas, StoreTimeout: storeTimeout})
		if err != nil {
			t.Error(err)
			return
		}
		limiter, err := replica.Limiter(domain.RateLimit{Name: "shared", Limit: s.limit, Lease: !s.settles, Outage: domain.OutageClosed})
		if err != nil {
			t.Error(err)
			return
		}
		until := time.Now().Add(min(between(rnd, time.Second, long), time.Until(end)))
		var waits sync.WaitGroup
		s.call(rnd, limiter, replicas, until, &waits)
		wire.cut.Store(oneIn(rnd, 2)) // it crashes: nothing that it holds goes back
		if err := replica.Close(context.Background()); err != nil {
			t.Error(err)
		}
		waits.Wait()
	}
}

// call calls as often as there is demand.
func (s *lendingFleet) call(rnd *rand.Rand, limiter *fleet.Limiter, replicas int, until time.Time, waits *sync.WaitGroup) {
	for time.Now().Before(until) {
		p := s.now()
		pause := time.Until(p.until)
		if p.want > 0 {
			pause = min(pause, time.Duration(float64(s.limit.Period)/float64(s.limit.Tokens)*float64(replicas)/p.want))
		}
		time.Sleep(min(max(pause, 100*time.Microsecond), time.Until(until)))
		if p.want > 0 {
			if s.waits && oneIn(rnd, 8) {
				s.wait(rnd, limiter, waits)
				continue
			}
			s.one(rnd, limiter)
		}
	}
}

// one makes one call.
func (s *lendingFleet) one(rnd *rand.Rand, limiter *fleet.Limiter) {
	cost := int64(1)
	if oneIn(rnd, 20) {
		cost = 1 + rnd.Int64N(s.limit.Burst)
	}
	d, err := limiter.AllowN(context.Background(), "", cost)
	if err == nil && d.Allowed {
		s.meter.admit(s.limit, s.clock.drifted(), d.Granted)
	}
}

// wait reserves tokens and waits for them, for a while, and gives some back.
func (s *lendingFleet) wait(rnd *rand.Rand, limiter *fleet.Limiter, waits *sync.WaitGroup) {
	cost := int64(1)
	if oneIn(rnd, 10) {
		cost = 1 + rnd.Int64N(s.limit.Burst)
	}
	atMost, leaves := between(rnd, 0, longestWait), time.Duration(0)
	if oneIn(rnd, 3) {
		leaves = between(rnd, 0, time.Second)
	}
	back, late := rnd.Int64N(cost+1), between(rnd, 0, time.Second)
	waits.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), atMost)
		defer cancel()
		r, err := limiter.Reserve(ctx, "", cost)
		if err != nil {
			return
		}
		if r.Delay() > 0 {
			s.waited.Add(1)
		}
		if leaves > 0 {
			time.AfterFunc(leaves, cancel)
		}
		if r.Wait(ctx) != nil {
			return
		}
		s.meter.admit(s.limit, s.clock.drifted(), cost)
		time.Sleep(late)
		if s.settles && r.Settle(context.Background(), cost-back) == nil {
			s.settled.Add(back)
		}
	})
}

// A lossyWire loses, delays and doubles what one replica says to the store.
type lossyWire struct {
	fleet *lendingFleet
	cut   atomic.Bool

	mu  sync.Mutex
	rnd *rand.Rand
}

// Lends says that the store behind it does.
func (w *lossyWire) Lends() {}

// Queues says that the store behind it has queues.
func (w *lossyWire) Queues() {}

// longestWait is how long somebody waits at most; clocks that differ by 1 % make up to a
// fiftieth of it, since a replica waits longer for fear of that.
const longestWait = 2 * time.Second

// longestLeg is how long a message is under way at most.
const longestLeg = 5 * time.Millisecond

var errLostOnTheWay = errors.New("lost on the way")

// fate is what becomes of one call.
type fate struct {
	there, back, again  time.Duration // again: it comes a second time so much later
	lostThere, lostBack bool
}

func (w *lossyWire) draw() (f fate) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f.there, f.back = between(w.rnd, 0, longestLeg), between(w.rnd, 0, longestLeg)
	f.lostThere, f.lostBack = oneIn(w.rnd, 40), oneIn(w.rnd, 20)
	if oneIn(w.rnd, 20) {
		f.again = between(w.rnd, 1, 3*time.Second)
	}
	return f
}

// Take carries requests to the store.
func (w *lossyWire) Take(_ context.Context, in []port.TakeRequest, out []port.TakeReply) {
	f := w.draw()
	time.Sleep(f.there)
	if w.cut.Load() || f.lostThere {
		w.lose(out)
		return
	}
	w.execute(in, out)
	if f.again > 0 {
		w.fleet.doubled.Add(1)
		late := leasesOf(in)
		w.fleet.running.Go(func() {
			time.Sleep(f.again)
			w.execute(late, make([]port.TakeReply, len(late)))
		})
	}
	time.Sleep(f.back)
	if f.lostBack {
		w.lose(out)
	}
}

// leasesOf are the asks for leases, and returns: a store does not execute a take so
// late (L4).
func leasesOf(in []port.TakeRequest) (leases []port.TakeRequest) {
	for _, r := range in {
		if r.Lease != nil {
			told := *r.Lease
			r.Lease = &told
			leases = append(leases, r)
		}
		if r.Return != nil {
			leases = append(leases, r)
		}
	}
	return leases
}

func (w *lossyWire) lose(out []port.TakeReply) {
	w.fleet.lost.Add(1)
	for i := range out {
		out[i] = port.TakeReply{Err: &domain.StoreError{Op: "bucket take", Err: errLostOnTheWay}}
	}
}

func (w *lossyWire) execute(in []port.TakeRequest, out []port.TakeReply) {
	asks := in
	if w.fleet.naive {
		asks = make([]port.TakeRequest, len(in))
		for i := range in {
			if asks[i] = in[i]; in[i].Lease != nil {
				asks[i].Ask = bucket.Ask{Cost: 1, Count: max(in[i].Count, 1), Turn: in[i].Turn}
			}
		}
	}
	w.fleet.store.Buckets.Take(context.Background(), asks, out)
	for i := range in {
		if in[i].Lease != nil {
			w.fleet.lent.Add(out[i].Granted)
		}
		w.fleet.book.note(w.fleet.clock.drifted(), in[i].Ask, &out[i])
	}
}
