package lease_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/bucket"
	"github.com/holdfast-go/holdfast/fleet/internal/lease"
)

const ms = time.Millisecond

// A bench is a holder and what a test says of the time, the limit and the store.
type bench struct {
	*lease.Holder

	t     *testing.T
	terms lease.Terms
	now   time.Duration
}

func newBench(t *testing.T, perSecond, burst int64, replicas int) *bench {
	t.Helper()
	rule, err := bucket.Compile(domain.RateLimit{Limit: domain.PerSecond(perSecond).WithBurst(burst)})
	if err != nil {
		t.Fatal(err)
	}
	return &bench{lease.New(7), t, lease.Terms{Rule: &rule, Replicas: replicas}, time.Second}
}

// ask lets a call leave that carries so many tokens for callers.
func (b *bench) ask(riding int64) (bucket.Ask, bool) {
	b.t.Helper()
	b.terms.Riding = riding
	return b.Ask(b.now, b.terms)
}

// wantAsk lets a call leave that must ask for a lease.
func (b *bench) wantAsk(riding int64) bucket.Ask {
	b.t.Helper()
	ask, ok := b.ask(riding)
	if !ok {
		b.t.Fatalf("after %v: nothing is asked for", b.now)
	}
	return ask
}

// warm makes a holder that is known to be busy, and its first lease.
func (b *bench) warm() bucket.Ask {
	b.t.Helper()
	if ask, ok := b.ask(100); ok {
		b.t.Fatalf("at the first call %+v is asked for", ask)
	}
	b.now += 100 * ms
	ask := b.wantAsk(100)
	b.Answered(b.now, ask.Count, 0)
	return ask
}

// spend takes tokens one by one until a lease does not have one, at most so many.
func (b *bench) spend(most int64) (spent int64, fetches int) {
	for ; spent < most; spent++ {
		_, ok, fetch := b.Take(b.now, 1)
		if !ok {
			break
		}
		if fetch {
			fetches++
		}
	}
	return spent, fetches
}

// Demand that is not met makes a lease twice as large each time, up to a bound
// that leaves the others theirs; what stays unspent makes it smaller.
func TestSizeFollowsDemand(t *testing.T) {
	b := newBench(t, 1000, 1000, 5)
	ask := b.warm()
	for _, want := range []int64{4, 8, 16, 32, 50, 50} {
		if ask.Count != want {
			t.Fatalf("%d tokens are asked for; want %d", ask.Count, want)
		}
		b.spend(want)
		b.now += 10 * ms
		ask = b.wantAsk(1)
		b.Answered(b.now, ask.Count, 0)
	}
	b.spend(10)
	b.now += 600 * ms // the lease is to be renewed, and most of it is there
	if ask = b.wantAsk(0); ask.Count != 25 || ask.Lease.Left != 40 {
		t.Errorf("%d tokens are asked for with %d left; want 25 with 40", ask.Count, ask.Lease.Left)
	}
}

// Near the end of what there is, one caller is told to ask for more; the others
// are not.
func TestFetchIsForOne(t *testing.T) {
	b := newBench(t, 1000, 1000, 1)
	b.warm()
	b.spend(4)
	b.now += 10 * ms
	ask := b.wantAsk(100)
	b.Answered(b.now, ask.Count, 0) // 8
	if spent, fetches := b.spend(5); spent != 5 || fetches != 0 {
		t.Errorf("%d of 5 spent, %d told to fetch; want none", spent, fetches)
	}
	if spent, fetches := b.spend(3); spent != 3 || fetches != 1 {
		t.Errorf("%d of 3 spent, %d told to fetch; want one", spent, fetches)
	}
}

// A holder stops before the store forgets, by the drift of two clocks, and from
// when it sent its question first.
func TestLeaseEndsEarly(t *testing.T) {
	b := newBench(t, 1000, 1000, 1)
	b.ask(100)
	b.now += 100 * ms
	sent := b.now
	ask := b.wantAsk(100)
	b.now += 30 * ms // lost
	again := b.wantAsk(0)
	if again.Lease.ID != ask.Lease.ID || again.Count != ask.Count || again.Lease.Milli != ask.Lease.Milli {
		t.Errorf("asked again for %+v; want the same", again)
	}
	b.now += 30 * ms
	b.Answered(b.now, again.Count, 0)
	life := time.Duration(ask.Lease.Milli) * ms
	b.now = sent + life*98/100 - 5*ms - 1
	if spent, _ := b.spend(1); spent != 1 {
		t.Error("it ends too early")
	}
	b.now++
	if spent, _ := b.spend(1); spent != 0 || b.Left(b.now) != 0 {
		t.Error("it is spent after its end")
	}
}

// An answer after the end of its lease is of no use, and a question is not asked
// again then.
func TestLateAnswer(t *testing.T) {
	b := newBench(t, 1000, 1000, 1)
	b.ask(100)
	b.now += 100 * ms
	ask := b.wantAsk(100)
	b.now += time.Duration(ask.Lease.Milli) * ms
	b.Answered(b.now, ask.Count, 0)
	if b.Left(b.now) != 0 {
		t.Error("a lease is spent that has ended")
	}
	b.now += 200 * ms
	if again := b.wantAsk(100); again.Lease.ID.Seq <= ask.Lease.ID.Seq {
		t.Errorf("the lease %v is asked for again", again.Lease.ID)
	}
}

// What is told of the leases that a holder has never says more than is true.
func TestWhatIsTold(t *testing.T) {
	b := newBench(t, 1000, 1000, 1)
	first := b.warm()
	if l := first.Lease; l.ID != (bucket.LeaseID{Start: 7, Seq: 1}) || l.Spent != 1 || l.Left != 0 || l.Sealed {
		t.Errorf("the first: %+v", *l)
	}
	b.spend(3)
	second := b.wantAsk(0)
	if l := second.Lease; l.ID.Seq != 2 || l.Spent != 1 || l.Left != 1 {
		t.Errorf("with one left: %+v", *l)
	}
	b.Answered(b.now, second.Count, 0)
	b.spend(1 + second.Count)
	b.now += 10 * ms
	if l := b.wantAsk(5).Lease; l.ID.Seq != 3 || l.Spent != 3 || l.Left != 0 {
		t.Errorf("with nothing left: %+v", *l)
	}
}

// A holder that was refused is silent for as long as it was told.
func TestSilence(t *testing.T) {
	b := newBench(t, 1000, 1000, 1)
	b.ask(100)
	b.now += 100 * ms
	b.wantAsk(100)
	b.Answered(b.now, 0, 70*ms)
	b.now += 70*ms - 1
	if ask, ok := b.ask(100); ok {
		t.Errorf("asked for %+v too soon", ask)
	}
	b.now++
	b.wantAsk(100)
	b.Answered(b.now, 0, 0)
	if ask, ok := b.ask(100); ok {
		t.Errorf("asked for %+v at once", ask)
	}
}

// Where a bucket is too small or too slow for all, or nobody knows how many there
// are, nothing is taken ahead.
func TestBounds(t *testing.T) {
	for name, row := range map[string]struct {
		perSecond, burst int64
		replicas         int
		want             bool
	}{
		"room for all":                 {10, 40, 10, true},
		"one token too few":            {10, 39, 10, false},
		"a turn takes ten seconds":     {2, 400, 10, true},
		"a turn takes longer":          {1, 400, 10, false},
		"nobody knows how many":        {1000, 1000, 0, false},
		"more replicas than are alive": {1000, 1000, 1 << 40, false},
	} {
		b := newBench(t, row.perSecond, row.burst, row.replicas)
		b.ask(100)
		b.now += 100 * ms
		ask, ok := b.ask(100)
		if ok != row.want {
			t.Errorf("%s: asked %v; want %v", name, ok, row.want)
		}
		if ok && (ask.Count < 1 || ask.Cost > ask.Count || ask.Lease.Milli < 1000 || ask.Lease.Milli > bucket.MaxLeaseMilli) {
			t.Errorf("%s: asked for %+v, %+v", name, ask, *ask.Lease)
		}
	}
}

// Sealing ends all spending and says what is to go back, also of a lease whose
// answer never came.
func TestSeal(t *testing.T) {
	b := newBench(t, 1000, 1000, 1)
	b.warm()
	b.spend(3)
	b.Answered(b.now, b.wantAsk(0).Count, 0)
	b.spend(7)
	b.now += 100 * ms
	lost := b.wantAsk(0)
	asks := b.Seal()
	if len(asks) != 2 {
		t.Fatalf("%d leases go back; want the one that is left and the one whose answer is lost", len(asks))
	}
	for i, want := range []bucket.LeaseAsk{{Spent: 2, Left: 2}, {Spent: lost.Lease.ID.Seq, Left: lost.Count}} {
		if l := asks[i].Lease; asks[i].Count != 0 || !l.Sealed || l.Spent != want.Spent || l.Left != want.Left || l.ID.Seq <= l.Spent {
			t.Errorf("%d: %+v; want %+v", i, *l, want)
		}
	}
	if spent, _ := b.spend(1); spent != 0 {
		t.Error("a sealed lease is spent")
	}
	b.Answered(b.now, lost.Count, 0)
	if spent, _ := b.spend(1); spent != 0 {
		t.Error("what was granted after the end is spent")
	}
	if ask, ok := b.ask(100); ok {
		t.Errorf("asked for %+v after the end", ask)
	}
}

// Whatever many callers do at once, no token is spent twice.
func TestManySpendersAndASeal(t *testing.T) {
	for range 50 {
		b := newBench(t, 1_000_000, 1_000_000, 1)
		b.warm()
		granted := int64(4)
		for range 8 {
			b.spend(1 << 20)
			b.now += 10 * ms
			ask := b.wantAsk(1000)
			b.Answered(b.now, ask.Count, 0)
			granted = ask.Count
		}
		var spent, back atomic.Int64
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for {
					if _, ok, _ := b.Take(b.now, 3); !ok {
						return
					}
					spent.Add(3)
				}
			})
		}
		all.Go(func() {
			for _, ask := range b.Seal() {
				back.Add(ask.Lease.Left)
			}
		})
		all.Wait()
		if spent.Load()+back.Load() != granted {
			t.Fatalf("%d spent and %d given back of %d", spent.Load(), back.Load(), granted)
		}
	}
}
