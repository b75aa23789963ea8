package fleet_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/store/memory"
)

// A bill is what a replica's store calls came to, by what was asked.
type bill struct {
	mu    sync.Mutex
	calls map[string][]fleet.StoreCall
}

func (b *bill) note(_ context.Context, c fleet.StoreCall) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.calls == nil {
		b.calls = make(map[string][]fleet.StoreCall)
	}
	b.calls[c.Op] = append(b.calls[c.Op], c)
}

// asked is the names of all that was asked so far.
func (b *bill) asked() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Sorted(maps.Keys(b.calls))
}

// plainBuckets have a call for everything, as a store outside this process does.
type plainBuckets struct{ port.BucketStore }

// TestStoreCalls: each call of a store is told, with how long it took and what came of
// it, and what the store can do beside its ports is still known.
func TestStoreCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told bill
		stores := memory.New(memory.Options{}).Stores()
		stores.Buckets = plainBuckets{stores.Buckets}
		r := join(t, stores, fleet.Config{OnStore: told.note})
		if _, err := r.limiter(domain.RateLimit{Name: "l", Limit: domain.PerSecond(5)}).Allow(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		b, err := r.Breaker(domain.CircuitBreaker{Name: "b", FailureThreshold: 1, Sharing: domain.ShareAny})
		if err != nil {
			t.Fatal(err)
		}
		p, err := b.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p.Report(domain.Failure) // one is enough
		time.Sleep(domain.DefaultRecoveryTimeout + time.Second)
		if p, err = b.Acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.Report(domain.Success)
		synctest.Wait()
		room := r.bulkhead(domain.Bulkhead{Name: "room", MaxConcurrent: 2, Fleet: true})
		slot, err := room.Enter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		slot.Leave()
		e, err := r.Exclusive(domain.Exclusive{Name: "e", Lease: 3 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		hold, err := e.Enter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(4 * time.Second)
		hold.Leave()
		synctest.Wait()
		want := []string{
			"breaker probe", "breaker report", "bucket take", "lock extend", "lock give back", "lock take", "member beat", "permit hold", "view read",
		}
		if got := told.asked(); !slices.Equal(got, want) {
			t.Errorf("it asked %q; want %q", got, want)
		}
		take := told.calls["bucket take"][0]
		if take.Items != 1 || take.Failed != 0 || take.Err != nil || take.Took != 0 {
			t.Errorf("the take was %+v", take)
		}
	})
}

// TestStoreCallsThatFail: how long it took, how many got no answer and why.
func TestStoreCallsThatFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told bill
		broken := errors.New("broken")
		r := join(t, port.Stores{Buckets: slowAndBroken{broken}}, fleet.Config{OnStore: told.note})
		_, _ = r.limiter(domain.RateLimit{Name: "l", Limit: domain.PerSecond(5)}).Allow(t.Context(), "")
		c := told.calls["bucket take"][0]
		if c.Items != 1 || c.Failed != 1 || !errors.Is(c.Err, broken) || c.Took != time.Millisecond {
			t.Errorf("the take was %+v", c)
		}
	})
}

type slowAndBroken struct{ why error }

func (s slowAndBroken) Take(_ context.Context, _ []port.TakeRequest, out []port.TakeReply) {
	time.Sleep(time.Millisecond)
	for i := range out {
		out[i].Err = s.why
	}
}
