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

// oneReplicaIsCutOff: it goes on with its share; the others notice nothing; what
// all admit stays in the envelope, also when it is back.
func oneReplicaIsCutOff(t *testing.T) {
	const rate = 200
	well := newRig(t, plan{})
	w := newWay(t, well.server.Addr())
	cut := joinRig(t, well.server, plan{addr: w.addr()})
	policy := domain.RateLimit{Name: "api", Limit: domain.PerSecond(rate).WithBurst(20), Outage: domain.OutageLocalShare}
	a, b := well.limiter(policy), cut.limiter(policy)
	start := time.Now()
	loads := []*load{startLoad(a, a, a), startLoad(b, b, b)} // 600 calls a second each, three times too many
	defer func() { loads[0].stop(); loads[1].stop() }()
	well.until(patience, "both are seen", func() bool { return well.Health().Replicas == 2 && cut.Health().Replicas == 2 })
	w.poison(`{"type":"timeout","stream":"downstream","attributes":{"timeout":0}}`)()
	well.until(patience, "one is cut off", func() bool { return cut.events.count(domain.EventStoreDown) == 1 })
	down := time.Now()
	time.Sleep(2 * time.Second) // for so long it is
	w.heal()
	well.until(recovery, "it is back", func() bool { return cut.events.count(domain.EventStoreUp) == 1 })
	out := time.Since(down)
	time.Sleep(500 * time.Millisecond) // and settles
	took := time.Since(start)
	admitted, degraded := 0, 0
	for i, l := range loads {
		calls := l.stop()
		l.wantInTime(t, calls)
		for _, c := range calls {
			if c.err != nil {
				t.Fatalf("replica %d: %v", i, c.err)
			}
			if c.d.Allowed {
				admitted++
			}
			if c.d.Degraded {
				degraded++
				if i == 0 && !well.stoodStill(loads[0].late) {
					t.Fatal("the replica that is well decided without the store")
				}
			}
		}
	}
	// The share of one in two while it was out, and what was lost on the way when it was cut off.
	most := 20 + rate*took.Seconds() + rate/2*out.Seconds() + 3*callers
	t.Logf("%d calls admitted in %v, of which it was cut off for %v; %d decided without the store", admitted, took.Round(time.Millisecond), out.Round(time.Millisecond), degraded)
	if float64(admitted) > most {
		t.Errorf("%d calls admitted; want %.0f at most", admitted, most)
	}
	if degraded == 0 {
		t.Error("nothing was decided without the store")
	}
}

// replicaDiesWithProbe: its lease ends, and another replica probes.
func replicaDiesWithProbe(t *testing.T) {
	const lease = time.Second
	well := newRig(t, plan{})
	w := newWay(t, well.server.Addr())
	dying := joinRig(t, well.server, plan{addr: w.addr()})
	policy := domain.CircuitBreaker{
		Name: "api", RecoveryTimeout: 300 * time.Millisecond, ProbeLease: lease, MaxHalfOpen: 30 * time.Second,
	}
	b, other := well.breaker(policy), dying.breaker(policy)
	well.fail(b)
	well.fail(other)
	well.until(patience, "the fleet's breaker opens", func() bool {
		_, _ = b.Acquire(t.Context())
		return b.Status().Fleet == domain.StateOpen
	})
	var permit fleet.Permit
	well.until(patience, "the dying one has the probe", func() bool {
		var err error
		if permit, err = other.Acquire(t.Context()); err != nil {
			return false
		}
		_, probe := permit.Lease()
		return probe
	})
	w.proxy.Stop() // nobody hears of it again
	died := time.Now()
	well.until(lease+500*time.Millisecond, "another one probes", func() bool {
		permit, err := b.Acquire(t.Context())
		if err == nil {
			permit.Report(domain.Success)
		}
		return err == nil
	})
	t.Logf("another probe %v after", time.Since(died).Round(time.Millisecond))
	well.until(patience, "the breaker closes", func() bool {
		permit, _ := b.Acquire(t.Context())
		permit.Report(domain.Success)
		return b.Status().Fleet == domain.StateClosed
	})
}

// pushesAreLost: a replica that hears nothing finds out by itself.
func pushesAreLost(t *testing.T) {
	sick := newRig(t, plan{})
	deaf := joinRig(t, sick.server, plan{})
	policy := domain.CircuitBreaker{Name: "api", Sharing: domain.ShareAny, RecoveryTimeout: time.Minute}
	b := deaf.breaker(policy)
	acquire := func() error {
		permit, err := b.Acquire(t.Context())
		permit.Report(domain.Success)
		return err
	}
	deaf.must(acquire())
	var over atomic.Bool
	var killer sync.WaitGroup
	killer.Go(func() {
		for !over.Load() {
			_ = sick.admin.Do(context.WithoutCancel(t.Context()), "client", "kill", "type", "pubsub").Err()
		}
	})
	defer func() { over.Store(true); killer.Wait() }()
	sick.tripped(policy)
	tripped := time.Now()
	deaf.until(fleet.DefaultMaxStaleness+500*time.Millisecond, "the deaf one knows", func() bool {
		return errors.Is(acquire(), domain.ErrCircuitOpen)
	})
	t.Logf("known after %v; want %v at most, and a round trip", time.Since(tripped).Round(time.Millisecond), fleet.DefaultMaxStaleness)
}

// oneKeyIsHot: callers share store calls, and denials are remembered.
func oneKeyIsHot(t *testing.T) {
	r := newRig(t, plan{})
	const crowd, each = 200, 100
	rush := func(l *fleet.Limiter) (admitted int64) {
		var n atomic.Int64
		var all sync.WaitGroup
		for range crowd {
			all.Go(func() {
				for range each {
					if d, err := l.Allow(t.Context(), ""); err != nil || d.Degraded {
						t.Errorf("%+v, %v", d, err)
					} else if d.Allowed {
						n.Add(1)
					}
				}
			})
		}
		all.Wait()
		return n.Load()
	}
	before := r.calls()
	if n := rush(r.limit("wide", domain.OutageClosed)); n != crowd*each {
		t.Errorf("%d of %d calls admitted", n, crowd*each)
	}
	wide := r.calls() - before
	if n := rush(r.limiter(domain.RateLimit{Name: "narrow", Limit: domain.PerHour(50), Outage: domain.OutageClosed})); n != 50 {
		t.Errorf("%d calls admitted; want 50", n)
	}
	narrow := r.calls() - before - wide
	t.Logf("%d decisions took %d scripts; as many, of which 50 were admitted, %d", crowd*each, wide, narrow)
	if wide > crowd*each/5 || narrow > crowd {
		t.Error("want fewer")
	}
}

// callersHaveNoTime: who has no time gets an error and takes no token, and the
// store is not to blame.
func callersHaveNoTime(t *testing.T) {
	r := newRig(t, plan{})
	l := r.limit("api", domain.OutageClosed)
	gone, cancel := context.WithCancelCause(t.Context())
	why := errors.New("the user left")
	cancel(why)
	for range 100 {
		if _, err := l.Allow(gone, ""); !errors.Is(err, why) {
			t.Fatalf("%v; want the caller's own reason", err)
		}
	}
	if n := r.calls(); n > 1 {
		t.Errorf("%d scripts were executed for callers who had left", n)
	}
	hasty := startHasty(l)
	r.must(r.server.Pause())
	time.Sleep(50 * time.Millisecond) // less than StoreTimeout: no failure yet
	r.must(r.server.Resume())
	hasty()
	if n := r.events.count(domain.EventStoreDown); n > 0 {
		t.Errorf("%d outages told; want none", n)
	}
}

// startHasty lets callers with a millisecond each call, until it is called.
func startHasty(l *fleet.Limiter) (stop func()) {
	var over atomic.Bool
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for !over.Load() {
				ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
				_, _ = l.Allow(ctx, "")
				cancel()
			}
		})
	}
	return func() { over.Store(true); all.Wait() }
}
