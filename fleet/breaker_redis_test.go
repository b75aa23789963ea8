package fleet_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/internal/leaktest"
	"github.com/holdfast-go/holdfast/internal/redisserver"
	redisstore "github.com/holdfast-go/holdfast/store/redis"
)

// A member is a replica on a real server, with a client of its own.
type member struct {
	*fleet.Breaker
	tb     testing.TB
	events chan domain.Event
	opened chan time.Time // when it heard that the fleet opened
}

// patience is how long a test waits for what must come.
const patience = 10 * time.Second

func newMembers(tb testing.TB, addr string, count int, p domain.CircuitBreaker) []*member {
	tb.Helper()
	leaktest.Check(tb)
	members := make([]*member, count)
	for i := range members {
		m := &member{tb: tb, events: make(chan domain.Event, 1024), opened: make(chan time.Time, 1024)}
		members[i] = m
		client := redis.NewClient(&redis.Options{Addr: addr, Dialer: leaktest.Dialer(tb)})
		tb.Cleanup(func() { _ = client.Close() })
		replica, err := fleet.Join(redisstore.New(client, "test", redisstore.Options{}).Stores(), fleet.Config{OnEvent: func(e domain.Event) {
			if e.Kind == domain.EventBreaker && e.Scope == domain.ScopeFleet && e.To == domain.StateOpen {
				m.opened <- time.Now()
			}
			m.events <- e
		}})
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() {
			if err := replica.Close(context.Background()); err != nil {
				tb.Error(err)
			}
		})
		p.Name = breakerName
		if m.Breaker, err = replica.Breaker(p); err != nil {
			tb.Fatal(err)
		}
	}
	return members
}

func (m *member) call(o domain.Outcome) error {
	permit, err := m.Acquire(context.Background())
	if err == nil {
		permit.Report(o)
	}
	return err
}

// hears waits for an event.
func (m *member) hears(what string, is func(domain.Event) bool) {
	m.tb.Helper()
	for end := time.After(patience); ; {
		select {
		case e := <-m.events:
			if is(e) {
				return
			}
		case <-end:
			m.tb.Fatalf("not heard within %s: %s; it is %+v", patience, what, m.Status())
		}
	}
}

// hearsFleet waits until the fleet is in a state.
func (m *member) hearsFleet(to domain.State) {
	m.tb.Helper()
	m.hears("the fleet is "+to.String(), func(e domain.Event) bool {
		return e.Kind == domain.EventBreaker && e.Scope == domain.ScopeFleet && e.To == to
	})
}

// passes asks until it is let through. A refusal says when that is at the latest:
// a lease may come back earlier.
func (m *member) passes() fleet.Permit {
	m.tb.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		permit, err := m.Acquire(context.Background())
		if err == nil {
			return permit
		}
		open, ok := errors.AsType[*domain.CircuitOpenError](err)
		if !ok {
			m.tb.Fatal(err)
		}
		<-time.After(min(max(open.RetryAfter, time.Millisecond), 10*time.Millisecond))
	}
	m.tb.Fatalf("not let through within %s: %+v", patience, m.Status())
	return fleet.Permit{}
}

// known makes the breaker in the store, and all members hear of it.
func known(members []*member) {
	for _, m := range members {
		for m.Status().Epoch == 0 {
			_ = m.call(domain.Success)
			<-time.After(time.Millisecond)
		}
	}
}

// TestBreakerOnRedis is the story of a fleet on a real server: it trips, probes,
// reopens, recovers, and loses its state.
func TestBreakerOnRedis(t *testing.T) {
	server := redisserver.ForTest(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer client.Close()
	members := newMembers(t, server.Addr(), 4, domain.CircuitBreaker{
		RecoveryTimeout: 300 * time.Millisecond, Window: time.Second, ProbeLease: 10 * time.Second, MaxHalfOpen: time.Minute,
	})
	known(members)
	fail := func() {
		t.Helper()
		for _, m := range members {
			for range domain.DefaultFailureThreshold {
				_ = m.call(domain.Failure)
			}
		}
		for _, m := range members {
			m.hearsFleet(domain.StateOpen)
		}
	}
	fail()
	for _, m := range members {
		if err := m.call(domain.Success); !errors.Is(err, domain.ErrCircuitOpen) {
			t.Errorf("while open: %v", err)
		}
	}

	var all sync.WaitGroup
	var mu sync.Mutex
	var probes []fleet.Permit
	<-time.After(300 * time.Millisecond) // of being open: there is nothing to hear
	for _, m := range members {
		for range 50 {
			all.Go(func() {
				if permit, err := m.Acquire(context.Background()); err == nil {
					mu.Lock()
					defer mu.Unlock()
					probes = append(probes, permit)
				}
			})
		}
	}
	all.Wait()
	if len(probes) != 1 {
		t.Fatalf("%d probes of 200 racers; want 1", len(probes))
	}
	probes[0].Report(domain.Failure)
	for range 2 { // another replica's failure makes two of two: it reopens
		for _, m := range members {
			if v := m.Status(); v.Fleet == domain.StateHalfOpen {
				if permit, err := m.Acquire(context.Background()); err == nil {
					permit.Report(domain.Failure)
				}
			}
		}
		<-time.After(20 * time.Millisecond)
	}
	for _, m := range members {
		m.hearsFleet(domain.StateOpen)
	}
	members[0].passes().Report(domain.Success)
	members[1].passes().Report(domain.Success)
	for _, m := range members {
		m.hearsFleet(domain.StateClosed)
	}

	before := members[0].Status().Epoch
	if err := client.Del(t.Context(), "test:{c"+breakerName+"}").Err(); err != nil {
		t.Fatal(err)
	}
	for _, m := range members {
		if err := m.call(domain.Success); err != nil {
			t.Errorf("after a loss: %v", err)
		}
		m.hears("the loss", func(e domain.Event) bool { return e.Kind == domain.EventLost && e.Epoch > before })
	}
	fail() // and the fresh one works
}

// TestStoppedRedis: with a server that was stopped, calls go on by the local
// layer, without waiting.
func TestStoppedRedis(t *testing.T) {
	server := redisserver.ForTest(t)
	members := newMembers(t, server.Addr(), 2, domain.CircuitBreaker{RecoveryTimeout: 200 * time.Millisecond, Window: time.Second})
	known(members)
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Resume() }()
	for _, m := range members {
		start := time.Now()
		for range 10_000 {
			if err := m.call(domain.Success); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); took > fleet.DefaultStoreTimeout {
			t.Errorf("10,000 calls took %s", took)
		}
		m.hears("the store is down", func(e domain.Event) bool { return e.Kind == domain.EventStoreDown })
		for range domain.DefaultFailureThreshold {
			_ = m.call(domain.Failure)
		}
		m.passes().Report(domain.Success)
		m.passes().Report(domain.Success)
		if s := m.Status(); s.Local != domain.StateClosed {
			t.Errorf("%+v; want it recovered by itself", s)
		}
	}
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	for _, m := range members {
		m.hears("the store is up", func(e domain.Event) bool { return e.Kind == domain.EventStoreUp })
	}
}

// BenchmarkTripPropagation is the time from the report that opens the fleet to
// the last of 8 replicas that hears it, on a real server.
func BenchmarkTripPropagation(b *testing.B) {
	server, err := redisserver.Start(b.Context(), redisserver.Config{})
	if err != nil {
		b.Skip(err)
	}
	b.Cleanup(func() { _ = server.Stop() })
	members := newMembers(b, server.Addr(), 8, domain.CircuitBreaker{
		Sharing: domain.ShareAny, FailureThreshold: 1, SuccessThreshold: 1,
		RecoveryTimeout: time.Millisecond, MaxRecoveryTimeout: time.Millisecond,
	})
	known(members)
	var took []time.Duration
	round := func() time.Duration {
		start := time.Now()
		_ = members[0].call(domain.Failure)
		last := time.Duration(0)
		for _, m := range members {
			last = max(last, (<-m.opened).Sub(start))
		}
		members[0].passes().Report(domain.Success)
		for _, m := range members {
			m.hearsFleet(domain.StateClosed)
		}
		return last
	}
	for range 10 { // until everyone listens
		round()
	}
	for b.Loop() {
		took = append(took, round())
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "µs-p50")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "µs-p99")
	b.ReportMetric(float64(took[len(took)-1].Microseconds()), "µs-max")
}
