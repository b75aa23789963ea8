package integration

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/internal/redisserver"
	redisstore "github.com/holdfast-go/holdfast/store/redis"
)

// TestCallsWhileRedisIsStopped: eight callers make 50 calls a second each, and
// Redis is stopped by SIGSTOP for two seconds. Calls return within StoreTimeout
// + 10 ms at p99 and + 50 ms at worst; after a few, at once. What the machine
// itself adds is measured beside it, by a timer that nothing else holds up.
func TestCallsWhileRedisIsStopped(t *testing.T) {
	const callers, pace, stopped = 8, 20 * time.Millisecond, 2 * time.Second
	server := redisserver.ForTest(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr()}) // as a user makes it
	defer client.Close()
	var down atomic.Pointer[time.Time]
	var outages atomic.Int64
	replica, err := fleet.Join(redisstore.New(client, "stopped", redisstore.Options{}).Stores(), fleet.Config{
		OnEvent: func(e domain.Event) {
			if e.Kind == domain.EventStoreDown {
				down.CompareAndSwap(nil, new(time.Now()))
				outages.Add(1)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = replica.Close(context.WithoutCancel(t.Context())) }()
	limiter, err := replica.Limiter(domain.RateLimit{Name: "api", Limit: domain.PerSecond(100_000), Outage: domain.OutageClosed})
	if err != nil {
		t.Fatal(err)
	}

	var mu sync.Mutex
	type made struct {
		at   time.Time
		took time.Duration
		err  error
	}
	var calls []made
	stop := make(chan struct{})
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			tick := time.NewTicker(pace)
			defer tick.Stop()
			for {
				select {
				case <-stop:
					return
				case <-tick.C:
				}
				start := time.Now()
				_, err := limiter.Allow(t.Context(), "")
				took := time.Since(start)
				mu.Lock()
				calls = append(calls, made{start, took, err})
				mu.Unlock()
			}
		})
	}
	var late time.Duration // the machine's own, at worst
	all.Go(func() {
		for {
			start, timer := time.Now(), time.NewTimer(pace)
			select {
			case <-stop:
				timer.Stop()
				return
			case <-timer.C:
				late = max(late, time.Since(start)-pace)
			}
		}
	})
	time.Sleep(500 * time.Millisecond) // the load before
	paused := time.Now()
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(stopped) // the length of the fault
	resumed := time.Now()
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	for start := time.Now(); replica.Health().StoreDown; time.Sleep(time.Millisecond) {
		if time.Since(start) > 5*time.Second {
			t.Fatal("it did not come back")
		}
	}
	back := time.Since(resumed)
	close(stop)
	all.Wait()

	var before, during, after []time.Duration // of the calls while it was stopped: all, and those made once it was known
	for _, c := range calls {
		switch {
		case c.at.Before(paused) && c.at.Add(c.took).After(paused): // stopped in the middle
		case c.at.Before(paused):
			before = append(before, c.took)
			if c.err != nil {
				t.Errorf("before: %v", c.err)
			}
		case c.at.Before(resumed):
			during = append(during, c.took)
			if down.Load() != nil && c.at.After(*down.Load()) {
				after = append(after, c.took)
			}
			if c.err != nil && !errors.Is(c.err, domain.ErrStoreUnavailable) {
				t.Errorf("while it was stopped: %v", c.err)
			}
		}
	}
	at := func(took []time.Duration, part float64) time.Duration {
		slices.Sort(took)
		return took[min(int(part*float64(len(took))), len(took)-1)].Round(100 * time.Nanosecond)
	}
	slow := 0
	for _, took := range during {
		if took > time.Millisecond {
			slow++
		}
	}
	t.Logf("load: %d callers × 50/s; before: p50 %v, p99 %v of %d calls", callers, at(before, 0.5), at(before, 0.99), len(before))
	t.Logf("stopped for %v: p50 %v, p99 %v, worst %v of %d calls, %d of them slower than 1 ms", stopped,
		at(during, 0.5), at(during, 0.99), at(during, 1), len(during), slow)
	t.Logf("known after %v; from then on p50 %v, p99 %v, worst %v; back %v after SIGCONT", down.Load().Sub(paused).Round(time.Millisecond),
		at(after, 0.5), at(after, 0.99), at(after, 1), back.Round(time.Millisecond))
	t.Logf("a timer of the machine's own was %v late at worst", late)
	if outages.Load() != 1 {
		t.Errorf("%d outages were told; want 1", outages.Load())
	}
	if raceDetector {
		return
	}
	if got, want := at(during, 0.99), fleet.DefaultStoreTimeout+10*time.Millisecond+late; got > want {
		t.Errorf("p99 = %v; want %v at most", got, want)
	}
	if got, want := at(during, 1), fleet.DefaultStoreTimeout+50*time.Millisecond+late; got > want {
		t.Errorf("the worst call took %v; want %v at most", got, want)
	}
	if got := at(after, 0.9); got > time.Millisecond+late {
		t.Errorf("once it is known, one call in ten takes more than %v; want them at once", got)
	}
}
