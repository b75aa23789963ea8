package faults

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
)

// aheadThroughAHang: two replicas take tokens of one limit ahead, and wait for those of
// another, while Redis hangs and goes on. Neither limit is exceeded, nobody waits
// longer than its context, and afterwards all is as before.
func aheadThroughAHang(t *testing.T) {
	one := newRig(t, plan{})
	other := joinRig(t, one.server, plan{})
	lent := domain.RateLimit{Name: "lent", Limit: domain.PerSecond(1000).WithBurst(400), Lease: true, Outage: domain.OutageClosed}
	queued := domain.RateLimit{Name: "queued", Limit: domain.PerSecond(50).WithBurst(10), Outage: domain.OutageClosed}
	crowd := &waiters{}
	start := time.Now()
	loads := make([]*load, 0, 2)
	for _, r := range []*rig{one, other} {
		a := r.limiter(lent)
		loads = append(loads, startLoad(a, a, a, a, a, a, a, a)) // 1,600 calls a second each
		crowd.start(r.limiter(queued))
	}
	defer func() { loads[0].stop(); loads[1].stop(); crowd.end() }()
	time.Sleep(2 * time.Second)
	one.must(one.server.Pause())
	time.Sleep(2 * time.Second) // for so long it hangs
	one.must(one.server.Resume())
	for _, r := range []*rig{one, other} {
		one.until(recovery, "it is back", func() bool { return !r.Health().StoreDown })
	}
	back := time.Now()
	before := crowd.admitted.Load()
	time.Sleep(2 * time.Second)
	served, calm := crowd.admitted.Load()-before, time.Since(back)
	admitted, again := 0, 0
	for _, l := range loads {
		calls := l.stop()
		l.wantInTime(t, calls)
		for _, c := range calls {
			if c.d.Allowed {
				admitted++
			}
		}
		for _, c := range between(calls, back, time.Now()) {
			if c.d.Allowed {
				again++
			}
		}
	}
	crowd.end()
	took := time.Since(start) + fleet.DefaultStoreTimeout // what was decided before is seen so much later
	t.Logf("in %v: %d calls by leases, %d waited; after the outage, in %v: %d and %d",
		took.Round(time.Millisecond), admitted, crowd.admitted.Load(), calm.Round(time.Millisecond), again, served)
	if most := 400 + 1000*took.Seconds(); float64(admitted) > most {
		t.Errorf("%d calls by leases; want %.0f at most", admitted, most)
	}
	if most := 10 + 50*took.Seconds(); float64(crowd.admitted.Load()) > most {
		t.Errorf("%d who waited; want %.0f at most", crowd.admitted.Load(), most)
	}
	if float64(again) < 0.7*1000*calm.Seconds() || float64(served) < 0.7*50*calm.Seconds() {
		t.Errorf("after the outage only %d and %d", again, served)
	}
	if crowd.worst > patient+fleet.DefaultStoreTimeout+50*time.Millisecond+loads[0].late {
		t.Errorf("somebody waited %v; want %v at most", crowd.worst, patient)
	}
}

// patient is how long each waiter waits at most.
const patient = 400 * time.Millisecond

// waiters are callers who wait for tokens, again and again.
type waiters struct {
	admitted atomic.Int64
	mu       sync.Mutex
	worst    time.Duration

	stopped atomic.Bool
	all     sync.WaitGroup
}

// start lets twenty of them wait, more than can be served.
func (w *waiters) start(limit *fleet.Limiter) {
	for range 20 {
		w.all.Go(func() {
			for !w.stopped.Load() {
				w.one(limit)
			}
		})
	}
}

func (w *waiters) one(limit *fleet.Limiter) {
	ctx, cancel := context.WithTimeout(context.Background(), patient)
	defer cancel()
	begun := time.Now()
	err := limit.Wait(ctx, "")
	took := time.Since(begun)
	w.mu.Lock()
	w.worst = max(w.worst, took)
	w.mu.Unlock()
	if err == nil {
		w.admitted.Add(1)
		return
	}
	if errors.Is(err, domain.ErrRateLimited) || errors.Is(err, domain.ErrStoreUnavailable) {
		<-time.After(pace) // and asks again, as a client does
	}
}

// end lets all of them end.
func (w *waiters) end() {
	w.stopped.Store(true)
	w.all.Wait()
}
