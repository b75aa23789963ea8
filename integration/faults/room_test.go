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

// roomThroughAHang: two replicas share a bulkhead while Redis hangs and goes on. While it
// is there no more calls run than there is room for; while it is not, each goes on with
// its half beside what it runs; nobody waits longer than it may, and afterwards all is as
// before.
func roomThroughAHang(t *testing.T) {
	const room = 8
	one := newRig(t, plan{})
	other := joinRig(t, one.server, plan{})
	policy := domain.Bulkhead{Name: "room", MaxConcurrent: room, MaxWait: patient, Fleet: true}
	crowd := &guests{}
	var all sync.WaitGroup
	for _, r := range []*rig{one, other} {
		b, err := r.Bulkhead(policy)
		one.must(err)
		for range 10 {
			all.Go(func() { crowd.come(b) })
		}
	}
	defer func() { crowd.gone.Store(true); all.Wait() }()
	one.until(recovery, "all of the room is used", func() bool { return crowd.inside.Load() == room })
	time.Sleep(2 * time.Second)
	calm := crowd.most.Swap(0)
	one.must(one.server.Pause())
	for _, r := range []*rig{one, other} {
		one.until(recovery, "the hang is noticed", func() bool { return r.Health().StoreDown })
	}
	before := crowd.served.Load()
	time.Sleep(4 * time.Second) // longer than permits last
	without, served := crowd.most.Swap(0), crowd.served.Load()-before
	one.must(one.server.Resume())
	for _, r := range []*rig{one, other} {
		one.until(recovery, "it is back", func() bool { return !r.Health().StoreDown })
	}
	time.Sleep(time.Second) // those who came in by the halves have left
	crowd.most.Store(0)
	before = crowd.served.Load()
	time.Sleep(2 * time.Second)
	after, again := crowd.most.Load(), crowd.served.Load()-before
	crowd.gone.Store(true)
	all.Wait()
	t.Logf("%d calls at once, while Redis hung %d (%d calls in 4 s), afterwards %d (%d in 2 s)", calm, without, served, after, again)
	if calm != room || after != room {
		t.Errorf("%d calls at once before and %d after; want %d", calm, after, room)
	}
	if without > 2*room {
		t.Errorf("%d calls at once while Redis hung; want %d at most", without, 2*room)
	}
	if served < 4*room*5/2 || again < 2*room*10/2 {
		t.Errorf("%d calls while Redis hung and %d after; want half of what there is room for, at least", served, again)
	}
	if crowd.worst > patient+fleet.DefaultStoreTimeout+100*time.Millisecond {
		t.Errorf("somebody waited %v; want %v at most", crowd.worst, patient)
	}
}

// guests are callers of a bulkhead, each of whom stays for a tenth of a second.
type guests struct {
	inside, most, served atomic.Int64
	gone                 atomic.Bool

	mu    sync.Mutex
	worst time.Duration
}

func (g *guests) come(b *fleet.Bulkhead) {
	for !g.gone.Load() {
		begun := time.Now()
		slot, err := b.Enter(context.Background())
		took := time.Since(begun)
		g.mu.Lock()
		g.worst = max(g.worst, took)
		if err == nil {
			g.most.Store(max(g.most.Load(), g.inside.Add(1)))
		}
		g.mu.Unlock()
		if err != nil {
			if errors.Is(err, domain.ErrClosed) {
				return
			}
			<-time.After(pace)
			continue
		}
		<-time.After(100 * time.Millisecond)
		g.served.Add(1)
		g.inside.Add(-1)
		slot.Leave()
	}
}
