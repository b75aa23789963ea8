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
)

// A meter counts the calls of all ports of a store.
type meter struct {
	port.Stores

	calls    atomic.Int64
	watching atomic.Int64 // now
}

// metered is a store with a meter before it.
func metered(s port.Stores) (*meter, port.Stores) {
	m := &meter{Stores: s}
	return m, port.Stores{Buckets: meteredBuckets{m}, Breakers: meteredBreakers{m}, Views: meteredViews{m}, Members: meteredMembers{m}}
}

type (
	meteredBuckets  struct{ *meter }
	meteredBreakers struct{ *meter }
	meteredViews    struct{ *meter }
	meteredMembers  struct{ *meter }
)

func (m meteredBuckets) Take(ctx context.Context, in []port.TakeRequest, out []port.TakeReply) {
	m.calls.Add(1)
	m.Buckets.Take(ctx, in, out)
}

func (m meteredBreakers) Report(ctx context.Context, in []port.Report, out []port.View) {
	m.calls.Add(1)
	m.Breakers.Report(ctx, in, out)
}

func (m meteredBreakers) Probe(ctx context.Context, in []port.ProbeRequest, out []port.ProbeReply) {
	m.calls.Add(1)
	m.Breakers.Probe(ctx, in, out)
}

func (m meteredViews) Read(ctx context.Context, in []port.ID, out []port.View) {
	m.calls.Add(1)
	m.Views.Read(ctx, in, out)
}

func (m meteredViews) Watch(ctx context.Context, onView func(port.ID, port.View)) error {
	m.calls.Add(1)
	m.watching.Add(1)
	defer m.watching.Add(-1)
	return m.Views.Watch(ctx, onView)
}

func (m meteredMembers) Beat(ctx context.Context, replica string, lasting time.Duration) (int, error) {
	m.calls.Add(1)
	return m.Members.Beat(ctx, replica, lasting)
}

// A life is a replica that has seen everything: many keys, denials, callers who
// left, an outage with its bills, and a breaker whose probes are out.
type life struct {
	*watched

	store *faulty
	meter *meter
	keyed *fleet.Limiter
	api   *fleet.Breaker
	lost  fleet.Permit // a probe's, not reported yet
}

// live lets a replica live in a bubble. The bucket store is broken in the end.
func live(t *testing.T, stores port.Stores) *life {
	t.Helper()
	f, stores := newFaulty(stores)
	m, stores := metered(stores)
	l := &life{watched: join(t, stores, fleet.Config{}), store: f, meter: m}
	l.keyed = l.limiter(domain.RateLimit{Name: "keyed", Limit: domain.PerHour(1), Keyed: true, Outage: domain.OutageOpen})
	l.probe()
	for i := range 100 {
		allow(t, l.keyed, keyOf(i))
		allow(t, l.keyed, keyOf(i)) // denied, and remembered
	}
	f.set(isSilent)
	l.callers(2 * time.Millisecond)
	f.set(isBroken)
	for i := range 200 {
		allow(t, l.keyed, keyOf(100+i)) // owed
	}
	return l
}

func keyOf(i int) string { return "key" + string(rune('a'+i%26)) + string(rune('0'+i/26)) }

// callers ask together, and leave after a time.
func (l *life) callers(after time.Duration) {
	ctx, cancel := context.WithTimeout(l.t.Context(), after)
	defer cancel()
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			if _, err := l.keyed.Allow(ctx, keyOf(1000+i%5)); !errors.Is(err, context.DeadlineExceeded) && err != nil {
				l.t.Error(err)
			}
		})
	}
	all.Wait()
}

// probe trips a breaker, and keeps the permit of a probe.
func (l *life) probe() {
	l.t.Helper()
	var err error
	l.api, err = l.Breaker(domain.CircuitBreaker{Name: breakerName, Sharing: domain.ShareAny, RecoveryTimeout: time.Second})
	if err != nil {
		l.t.Fatal(err)
	}
	for probe := false; !probe; time.Sleep(50 * time.Millisecond) {
		permit, err := l.api.Acquire(l.t.Context())
		if _, probe = permit.Lease(); probe {
			l.lost = permit
		} else if err == nil {
			permit.Report(domain.Failure)
		}
	}
	synctest.Wait()
}
