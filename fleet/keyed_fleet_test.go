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

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/internal/leaktest"
	"github.com/holdfast-go/holdfast/internal/redisserver"
	"github.com/holdfast-go/holdfast/store/memory"
	redisstore "github.com/holdfast-go/holdfast/store/redis"
)

// sharedKeys are keys as they come: plain, and such as a store must not take as they are.
func sharedKeys() []string {
	return []string{"sick", "sick=1", "a key {of} \x00 any kind", strings.Repeat("x", 1000)}
}

// try makes one call, whether it is let through or not.
func (r *keyedRig) try(key string, o domain.Outcome) error {
	r.tb.Helper()
	p, err := r.breaker.Acquire(context.Background(), key)
	if err == nil {
		p.Report(o)
	} else if !errors.Is(err, domain.ErrCircuitOpen) {
		r.tb.Errorf("key %.20q: %v", key, err)
	}
	return err
}

// fleetState is that of a key's fleet layer, as the replica has it.
func (r *keyedRig) fleetState(key string) domain.State {
	s, _ := r.breaker.Status(key)
	return s.Fleet
}

// keyedFleet is replicas that share keys, and have called some of them.
func keyedFleet(t *testing.T, n int, stores port.Stores, p domain.CircuitBreaker, keys ...string) []*keyedRig {
	t.Helper()
	rigs := make([]*keyedRig, n)
	for i := range rigs {
		rigs[i] = joinKeyedOn(t, stores, p)
		rigs[i].call(domain.Success, keys...)
	}
	time.Sleep(3 * time.Second) // each has heard of each
	synctest.Wait()
	return rigs
}

// fail makes so many calls of a key fail.
func (r *keyedRig) fail(key string, times int) {
	r.tb.Helper()
	for range times {
		_ = r.try(key, domain.Failure)
	}
}

// Where keys are shared, each key's breaker is one of the fleet: it opens by votes, for
// replicas that saw nothing too, and no other key is touched. So are its probes.
func TestKeysAreShared(t *testing.T) {
	onEachStore(t, func(t *testing.T, stores port.Stores) {
		keys := sharedKeys()
		rigs := keyedFleet(t, 3, stores, domain.CircuitBreaker{Sharing: domain.ShareQuorum}, append(keys, "well")...)
		for _, key := range keys {
			rigs[0].fail(key, 5)
			time.Sleep(time.Second)
			if s, _ := rigs[2].breaker.Status(key); s.State != domain.StateClosed {
				t.Errorf("key %.20q: one replica of three opened it for another: %+v", key, s)
			}
			rigs[1].fail(key, 5)
			time.Sleep(time.Second) // a key that is hashed is not pushed, but read within MaxStaleness
			synctest.Wait()
			for i, r := range rigs {
				err := r.try(key, domain.Success)
				open, is := errors.AsType[*domain.CircuitOpenError](err)
				if !is || open.Scope != domain.ScopeFleet || open.Key != key {
					t.Errorf("replica %d, key %.20q: %v; want it refused by the fleet", i, key, err)
				}
				if s := r.fleetState("well"); s != domain.StateClosed {
					t.Errorf("replica %d: the key that is well is %v", i, s)
				}
				r.call(domain.Success, "well")
			}
		}
		time.Sleep(30 * time.Second)
		for range 300 {
			for _, r := range rigs {
				_ = r.try(keys[0], domain.Success)
			}
			time.Sleep(10 * time.Millisecond)
		}
		for i, r := range rigs {
			if s := r.fleetState(keys[0]); s != domain.StateClosed {
				t.Errorf("replica %d: after good probes key %q is %v", i, keys[0], s)
			}
			if s := r.fleetState(keys[1]); s != domain.StateOpen {
				t.Errorf("replica %d: key %q, which nobody called, is %v", i, keys[1], s)
			}
		}
	})
}

// A transition of a key is pushed, as one without a key is.
func TestKeysArePushed(t *testing.T) {
	onEachStore(t, func(t *testing.T, stores port.Stores) {
		rigs := keyedFleet(t, 2, stores, domain.CircuitBreaker{Sharing: domain.ShareAny}, "sick", "sick=1")
		rigs[0].fail("sick=1", 5)
		synctest.Wait() // no time passes
		if s := rigs[1].fleetState("sick=1"); s != domain.StateOpen {
			t.Errorf("the other replica has it %v", s)
		}
		if s := rigs[1].fleetState("sick"); s != domain.StateClosed {
			t.Errorf("another key is %v", s)
		}
	})
}

// A spy sees the reports that go to a store, and may lose those that withdraw.
type spy struct {
	port.BreakerStore

	loses bool

	mu      sync.Mutex
	reports []port.Report
}

func spied(s port.Stores, loses bool) (*spy, port.Stores) {
	sp := &spy{BreakerStore: s.Breakers, loses: loses}
	s.Breakers = sp
	return sp, s
}

func (s *spy) Report(ctx context.Context, in []port.Report, out []port.View) {
	s.mu.Lock()
	s.reports = append(s.reports, in...)
	s.mu.Unlock()
	for i := range in {
		if !in[i].Leaving || !s.loses {
			s.BreakerStore.Report(ctx, in[i:i+1], out[i:i+1])
		}
	}
}

// of takes the reports about a key.
func (s *spy) of(key string) (list []port.Report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.reports {
		if r.Breaker.Key == key {
			list = append(list, r)
		}
	}
	s.reports = nil
	return list
}

// A key that is forgotten takes its vote back.
func TestForgettingAKeyWithdrawsItsVote(t *testing.T) {
	onEachStore(t, func(t *testing.T, stores port.Stores) {
		sp, stores := spied(stores, false)
		r := joinKeyedOn(t, stores, domain.CircuitBreaker{Sharing: domain.ShareQuorum, MaxKeys: 1})
		r.call(domain.Success, "a")
		time.Sleep(12 * time.Second)
		told := sp.of("a")
		if len(told) == 0 || told[len(told)-1].Leaving {
			t.Fatalf("of a key that is called it told %+v", told)
		}
		r.call(domain.Success, "b")
		r.wantState("none", "a")
		time.Sleep(time.Second)
		last := told[len(told)-1]
		if told = sp.of("a"); len(told) != 1 || !told[0].Leaving || told[0].Seq <= last.Seq {
			t.Errorf("of a forgotten key it told %+v, after %+v", told, last)
		}
		if told = sp.of("b"); slices.ContainsFunc(told, func(r port.Report) bool { return r.Leaving }) {
			t.Errorf("of another key it told %+v", told)
		}
	})
}

// A key that comes back is heard, also if the store never heard that it was forgotten:
// what is told of it is newer.
func TestAKeyThatComesBackIsHeard(t *testing.T) {
	onEachStore(t, func(t *testing.T, stores port.Stores) {
		_, stores = spied(stores, true)
		p := domain.CircuitBreaker{Sharing: domain.ShareQuorum, MaxKeys: 1}
		rigs := keyedFleet(t, 2, stores, p, "a")
		for range 20 { // many reports
			for _, r := range rigs {
				r.call(domain.Success, "a")
			}
			time.Sleep(3 * time.Second)
		}
		time.Sleep(12 * time.Second)
		for _, r := range rigs {
			r.call(domain.Success, "b")
			r.wantState("none", "a")
		}
		time.Sleep(12 * time.Second)
		for _, r := range rigs {
			r.call(domain.Success, "a")
		}
		time.Sleep(time.Second)
		for _, r := range rigs {
			r.fail("a", 5)
		}
		synctest.Wait()
		for i, r := range rigs {
			if s := r.fleetState("a"); s != domain.StateOpen {
				t.Errorf("replica %d: both failed, and the fleet is %v", i, s)
			}
		}
	})
}

// A replica that closes withdraws what it told of its keys.
func TestCloseWithdrawsVotesOfKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sp, stores := spied(memory.New(memory.Options{}).Stores(), false)
		r := joinKeyedOn(t, stores, domain.CircuitBreaker{Sharing: domain.ShareQuorum})
		r.call(domain.Success, "a", "b")
		time.Sleep(5 * time.Second)
		if err := r.replica.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		left := 0
		for _, told := range sp.reports {
			if told.Leaving {
				left++
			}
		}
		if left != 2 {
			t.Errorf("it withdrew %d votes of 2", left)
		}
	})
}

// Beyond the share, each replica lets Probes calls at a time through a fleet's breaker
// that is open. They feed nothing, and the fleet's time stays as it is.
func TestShareThatMayBeOpenInAFleet(t *testing.T) {
	onEachStore(t, func(t *testing.T, stores port.Stores) {
		keys := names("k", 4)
		rigs := keyedFleet(t, 2, stores, domain.CircuitBreaker{Sharing: domain.ShareAny, MaxOpenShare: 0.5, SuccessThreshold: 1}, keys...)
		for i, key := range keys {
			rigs[i%2].fail(key, 5)
		}
		synctest.Wait()
		for _, r := range rigs {
			r.wantKeys(4, 4)
			r.refuse(keys[0], 3*time.Second)
		}
		time.Sleep(3 * time.Second)
		for _, r := range rigs {
			p := r.admit(keys[0])
			r.refuse(keys[0], 10*time.Second)
			p.Report(domain.Success)
			r.call(domain.Success, keys[0])
			r.call(domain.Failure, keys[0])
			r.refuse(keys[0], 3*time.Second)
			if s, _ := r.breaker.Status(keys[0]); s.Fleet != domain.StateOpen || s.Local != domain.StateClosed || s.Calls != 0 {
				t.Errorf("calls that were let through have changed it: %+v", s)
			}
		}
		time.Sleep(27 * time.Second)
		if p := rigs[0].admit(keys[0]); true {
			if _, probe := p.Lease(); !probe {
				t.Error("at the end of its time a call is no probe")
			}
			if err := rigs[1].try(keys[0], domain.Success); err == nil {
				t.Error("a second probe is out")
			}
			p.Report(domain.Success)
		}
	})
}

// While all keys fail and the store is out of reach, breakers of keys do as others: each
// replica goes on with its own.
func TestKeysWithoutTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := &line{world: w}
		r := joinKeyedOn(t, port.Stores{Breakers: l, Views: l}, domain.CircuitBreaker{Sharing: domain.ShareQuorum})
		l.set(refusing)
		start := time.Now()
		for _, key := range names("k", 50) {
			r.fail(key, 5)
			r.wantState("open", key)
		}
		r.call(domain.Success, "well")
		if took := time.Since(start); took > fleet.DefaultStoreTimeout {
			t.Errorf("it took %v", took)
		}
	})
}

// In the background a shared key in use costs each replica two reads a second, and in their
// place a report in a quarter of Window, and some more in the first one; one that nobody calls costs nothing, and neither do keys
// that are not shared.
func TestBackgroundLoadOfKeys(t *testing.T) {
	for sharing, most := range map[domain.Sharing]traffic{
		domain.ShareQuorum: {reads: 42, reports: 11}, domain.ShareDefault: {},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			l := &line{world: w}
			r := joinKeyedOn(t, port.Stores{Breakers: l, Views: l}, domain.CircuitBreaker{Sharing: sharing})
			keys := names("k", 50)
			for range 20 {
				r.call(domain.Success, keys...)
				time.Sleep(time.Second)
			}
			if c := l.count(); c.reads > most.reads*50 || c.reports > most.reports*50 || c.asks > 0 {
				t.Errorf("%v: 20 s of 50 keys took %+v; want %+v a key at most", sharing, c, most)
			}
			time.Sleep(time.Minute)
			l.count()
			time.Sleep(time.Minute)
			if c := l.count(); c.all() > 0 {
				t.Errorf("%v: keys that nobody calls took %+v", sharing, c)
			}
		})
	}
}

// An operator's order is for one key, and calls that it lets pass keep no place.
func TestOrdersForKeys(t *testing.T) {
	onEachStore(t, func(t *testing.T, stores port.Stores) {
		rigs := keyedFleet(t, 2, stores, domain.CircuitBreaker{Sharing: domain.ShareQuorum}, "a", "b")
		order := func(force domain.Force) {
			out := make([]port.OrderReply, 1)
			stores.Operator.Order(t.Context(), []port.Order{{
				Breaker: port.ID{Name: "cells", Key: "a"},
				Order:   breaker.Order{Force: force, ForMicro: time.Hour.Microseconds(), By: "ops", Reason: "drill"},
			}}, out)
			if out[0].Err != nil {
				t.Fatal(out[0].Err)
			}
			time.Sleep(time.Second)
			synctest.Wait()
		}
		order(domain.ForceOpen)
		for i, r := range rigs {
			open, is := errors.AsType[*domain.CircuitOpenError](r.try("a", domain.Success))
			if !is || open.Scope != domain.ScopeOperator || open.Key != "a" || open.Reason != "drill" {
				t.Errorf("replica %d: forced open: %+v", i, open)
			}
			r.call(domain.Success, "b")
		}
		for _, force := range []domain.Force{domain.ForceDisabled, domain.ForceClosed, domain.ForceMetricsOnly} {
			order(force)
			for i, r := range rigs {
				r.call(domain.Failure, "a", "a", "a", "a", "a", "a", "a")
				if kept := fleet.Kept(r.replica); kept["calls out"] != 0 {
					t.Errorf("replica %d, %v: %d calls are out", i, force, kept["calls out"])
				}
			}
		}
	})
}

// TestKeysOnRedis is a fleet on a real server: a key opens for all replicas, whatever
// bytes it has, another does not, and it recovers.
func TestKeysOnRedis(t *testing.T) {
	server := redisserver.ForTest(t)
	leaktest.Check(t)
	var rigs []*keyedRig
	for range 2 {
		client := redis.NewClient(&redis.Options{Addr: server.Addr(), Dialer: leaktest.Dialer(t)})
		t.Cleanup(func() { _ = client.Close() })
		stores := redisstore.New(client, "test", redisstore.Options{}).Stores()
		rigs = append(rigs, joinKeyedOn(t, stores, domain.CircuitBreaker{
			Sharing: domain.ShareQuorum, RecoveryTimeout: 300 * time.Millisecond, Window: time.Second,
		}))
	}
	for _, key := range append(sharedKeys(), "well") {
		eventually(t, "each replica knows the key", func() bool {
			known := 0
			for _, r := range rigs {
				_ = r.try(key, domain.Success)
				if s, _ := r.breaker.Status(key); s.Epoch != 0 {
					known++
				}
			}
			return known == len(rigs)
		})
	}
	for _, key := range sharedKeys() {
		for _, r := range rigs {
			r.fail(key, 5)
		}
		for i, r := range rigs {
			eventually(t, "the fleet is open", func() bool { return r.fleetState(key) == domain.StateOpen })
			if err := r.try("well", domain.Success); err != nil {
				t.Errorf("replica %d: the key that is well: %v", i, err)
			}
		}
		for _, r := range rigs {
			eventually(t, "it is closed again", func() bool {
				for _, one := range rigs {
					_ = one.try(key, domain.Success)
				}
				return r.fleetState(key) == domain.StateClosed
			})
		}
	}
}

// eventually waits for what must come.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("within %v not: %s", patience, what)
		}
	}
}
