package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/internal/leaktest"
	"github.com/holdfast-go/holdfast/internal/redisserver"
	redisstore "github.com/holdfast-go/holdfast/store/redis"
)

// onRedis is a replica on a server of its own.
func onRedis(t *testing.T) (*redisserver.Server, *redis.Client, *watched) {
	t.Helper()
	return onRedisWithin(t, fleet.DefaultStoreTimeout)
}

// onRedisWithin is for tests that count, which a busy machine must not disturb.
func onRedisWithin(t *testing.T, storeTimeout time.Duration) (*redisserver.Server, *redis.Client, *watched) {
	t.Helper()
	leaktest.Check(t)
	server := redisserver.ForTest(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), Dialer: leaktest.Dialer(t)})
	t.Cleanup(func() { _ = client.Close() })
	stores := redisstore.New(client, "test", redisstore.Options{}).Stores()
	return server, client, join(t, stores, fleet.Config{StoreTimeout: storeTimeout})
}

// executed is how many scripts the server has run to their end.
func executed(t *testing.T, client *redis.Client) (n int64) {
	t.Helper()
	info, err := client.Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(info) {
		var calls, usec, failed, rejected int64
		var perCall float64
		for _, name := range []string{"evalsha", "eval"} {
			_, err := fmt.Sscanf(line, "cmdstat_"+name+":calls=%d,usec=%d,usec_per_call=%f,rejected_calls=%d,failed_calls=%d",
				&calls, &usec, &perCall, &rejected, &failed)
			if err == nil {
				n += calls - failed
			}
		}
	}
	return n
}

// cases.md part 2, 16: SCRIPT FLUSH between calls, also under load: nobody
// notices, and each call is executed once.
func TestLimitCase16ScriptFlush(t *testing.T) {
	_, client, r := onRedisWithin(t, 10*time.Second)
	const burst = 5000
	l := r.limiter(domain.RateLimit{Name: "api", Limit: domain.PerHour(1).WithBurst(burst), Keyed: true})
	for i := range 20 {
		if err := client.ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		if d := allow(t, l, "one"); !d.Allowed || d.Degraded || d.Remaining != int64(burst-1-i) {
			t.Fatalf("call %d after a flush: %+v", i, d)
		}
	}
	stop := make(chan struct{})
	var flushes sync.WaitGroup
	flushes.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				client.ScriptFlush(context.WithoutCancel(t.Context()))
			}
		}
	})
	// On many keys at once, so that they ride together.
	const callers, each = 16, 100
	var all sync.WaitGroup
	var wrong atomic.Int64
	for i := range callers {
		all.Go(func() {
			for range each {
				if d, err := l.Allow(t.Context(), fmt.Sprint("key", i%4)); err != nil || !d.Allowed || d.Degraded {
					wrong.Add(1)
				}
			}
		})
	}
	all.Wait()
	close(stop)
	flushes.Wait()
	if wrong.Load() != 0 {
		t.Errorf("%d calls of %d noticed", wrong.Load(), callers*each)
	}
	for i := range 4 {
		if got, want := burst-peek(t, l, fmt.Sprint("key", i)).Remaining, int64(callers*each/4); got != want {
			t.Errorf("key %d was charged %d tokens; want %d", i, got, want)
		}
	}
}

// cases.md part 2, 15, on a real server: 64 callers × 200 on one key.
func TestLimitCase15ManyCallersOnRedis(t *testing.T) {
	_, client, r := onRedisWithin(t, 10*time.Second)
	const callers, each, burst = 64, 200, 10_000
	l := r.limiter(domain.RateLimit{Name: "api", Limit: domain.PerHour(1).WithBurst(burst)})
	var allowed, failed atomic.Int64
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for range each {
				switch d, err := l.Allow(t.Context(), ""); {
				case err != nil || d.Degraded:
					failed.Add(1)
				case d.Allowed:
					allowed.Add(1)
				}
			}
		})
	}
	all.Wait()
	if allowed.Load() != burst || failed.Load() != 0 {
		t.Errorf("%d allowed, %d failed; want %d, 0", allowed.Load(), failed.Load(), burst)
	}
	t.Logf("%d scripts for %d calls", executed(t, client), callers*each)
}

// cases.md part 2, 23, and rule L4, on a server that is stopped: calls come back
// within StoreTimeout, then at once; when it goes on, what had timed out is not
// executed late, and the replica is back by itself.
func TestLimitCase23AStoppedServer(t *testing.T) {
	server, client, r := onRedis(t)
	const burst = 1000
	l := r.limiter(domain.RateLimit{Name: "api", Limit: domain.PerHour(1).WithBurst(burst), Outage: domain.OutageClosed})
	for range 10 {
		allow(t, l, "")
	}
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				if _, err := l.Allow(t.Context(), ""); !errors.Is(err, domain.ErrStoreUnavailable) {
					t.Errorf("on a stopped server: %v", err)
				}
			}
		})
	}
	all.Wait()
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	for start := time.Now(); r.Health().StoreDown; time.Sleep(5 * time.Millisecond) {
		_, _ = l.Peek(t.Context(), "")
		if time.Since(start) > 5*time.Second {
			t.Fatal("it did not come back")
		}
	}
	if d := peek(t, l, ""); d.Remaining != burst-10 {
		t.Errorf("%d tokens were charged; want 10: calls that had timed out were executed late", burst-d.Remaining)
	}
	if n := client.PoolStats().TotalConns; n > 20 {
		t.Errorf("%d connections", n)
	}
}

// A crash and a restart: the state is gone, the scripts are gone, and nothing
// has to be done about it.
func TestARestartedServer(t *testing.T) {
	server, _, r := onRedis(t)
	l := r.limiter(domain.RateLimit{Name: "api", Limit: domain.PerHour(10), Outage: domain.OutageOpen})
	for range 4 {
		allow(t, l, "")
	}
	server.Kill()
	for range 20 {
		if d := allow(t, l, ""); !d.Allowed || !d.Degraded {
			t.Fatalf("on a killed server: %+v", d)
		}
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	for start := time.Now(); r.Health().StoreDown; time.Sleep(5 * time.Millisecond) {
		_, _ = l.Peek(t.Context(), "")
		if time.Since(start) > 10*time.Second {
			t.Fatal("it did not come back")
		}
	}
	// The bill is a burst at most, of a bucket that is fresh.
	for start := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		if d := peek(t, l, ""); !d.Degraded && d.Remaining == 0 && !d.Allowed {
			break
		}
		if time.Since(start) > 10*time.Second {
			t.Fatalf("the bill was not paid: %+v", peek(t, l, ""))
		}
	}
}

// cases.md part 2, 24, on a real server.
func TestLimitCase24ARealServersRefusals(t *testing.T) {
	ctx := context.Background()
	for name, row := range map[string]struct {
		refuse, mend func(admin *redis.Client) error
		config       bool
	}{
		"OOM": {
			refuse: func(admin *redis.Client) error { return admin.ConfigSet(ctx, "maxmemory", "1").Err() },
			mend:   func(admin *redis.Client) error { return admin.ConfigSet(ctx, "maxmemory", "0").Err() },
		},
		"READONLY": {
			refuse: func(admin *redis.Client) error { return admin.ReplicaOf(ctx, "127.0.0.1", "1").Err() },
			mend:   func(admin *redis.Client) error { return admin.ReplicaOf(ctx, "NO", "ONE").Err() },
		},
		"NOPERM, the script": {
			refuse: func(admin *redis.Client) error {
				return admin.Do(ctx, "ACL", "SETUSER", "app", "-evalsha", "-eval").Err()
			},
			mend:   func(admin *redis.Client) error { return admin.Do(ctx, "ACL", "SETUSER", "app", "+@all").Err() },
			config: true,
		},
		"NOPERM, in the script": {
			refuse: func(admin *redis.Client) error { return admin.Do(ctx, "ACL", "SETUSER", "app", "-hset").Err() },
			mend:   func(admin *redis.Client) error { return admin.Do(ctx, "ACL", "SETUSER", "app", "+@all").Err() },
			config: true,
		},
		"NOPERM, the key": {
			refuse: func(admin *redis.Client) error {
				return admin.Do(ctx, "ACL", "SETUSER", "app", "resetkeys", "~other:*").Err()
			},
			mend:   func(admin *redis.Client) error { return admin.Do(ctx, "ACL", "SETUSER", "app", "~*").Err() },
			config: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := redisserver.ForTest(t)
			admin := redis.NewClient(&redis.Options{Addr: server.Addr()})
			defer admin.Close()
			if err := admin.Do(ctx, "ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all").Err(); err != nil {
				t.Fatal(err)
			}
			client := redis.NewClient(&redis.Options{Addr: server.Addr(), Username: "app", Password: "secret"})
			defer client.Close()
			r := join(t, redisstore.New(client, "test", redisstore.Options{}).Stores(), fleet.Config{})
			defer r.close()
			closed := r.limiter(domain.RateLimit{Name: "closed", Limit: domain.PerHour(100), Outage: domain.OutageClosed})
			open := r.limiter(domain.RateLimit{Name: "open", Limit: domain.PerHour(100), Outage: domain.OutageOpen})
			allow(t, closed, "")
			if err := row.refuse(admin); err != nil {
				t.Fatal(err)
			}
			for i := range 10 {
				_, err := closed.Allow(t.Context(), "")
				if want := domain.ErrStoreUnavailable; !row.config && !errors.Is(err, want) {
					t.Fatalf("call %d: %v; want %v", i, err, want)
				}
				if want := domain.ErrStoreConfig; row.config && !errors.Is(err, want) {
					t.Fatalf("call %d: %v; want %v", i, err, want)
				}
				if d := allow(t, open, ""); !d.Allowed || !d.Degraded {
					t.Fatalf("call %d: %+v; want it open", i, d)
				}
			}
			if err := row.mend(admin); err != nil {
				t.Fatal(err)
			}
			for start := time.Now(); ; time.Sleep(5 * time.Millisecond) {
				if d, err := closed.Allow(t.Context(), ""); err == nil && d.Allowed && !d.Degraded {
					return
				}
				if time.Since(start) > 5*time.Second {
					t.Fatal("it did not come back")
				}
			}
		})
	}
}

// A network on which connections cannot be made, or die in their beginnings,
// takes no call longer than StoreTimeout either, whatever go-redis's own
// timeouts are (5 s for a dial).
func TestANetworkThatSwallows(t *testing.T) {
	deaf, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0") // accepts, and never answers
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = deaf.Close() })
	for name, dial := range map[string]func(ctx context.Context) (net.Conn, error){
		"dials hang": func(ctx context.Context) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		},
		"nobody answers": func(ctx context.Context) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", deaf.Addr().String())
		},
	} {
		for _, bounded := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, ContextTimeoutEnabled %v", name, bounded), func(t *testing.T) {
				client := redis.NewClient(&redis.Options{
					Addr: "127.0.0.1:1", ContextTimeoutEnabled: bounded,
					Dialer: func(ctx context.Context, _, _ string) (net.Conn, error) {
						ctx, end := context.WithCancel(ctx) // with the test, or go-redis dials for a minute after it
						defer end()
						defer context.AfterFunc(t.Context(), end)()
						return dial(ctx)
					},
				})
				defer client.Close()
				r := join(t, redisstore.New(client, "test", redisstore.Options{}).Stores(), fleet.Config{})
				defer r.close()
				l := r.limiter(domain.RateLimit{Name: "api", Limit: domain.PerHour(100), Outage: domain.OutageOpen})
				for i := range 5 {
					start := time.Now()
					if d := allow(t, l, ""); !d.Allowed || !d.Degraded {
						t.Errorf("call %d: %+v", i, d)
					}
					// Far from go-redis's seconds; a busy machine adds some to 100 ms.
					if took := time.Since(start); took > 5*storeTimeout {
						t.Errorf("call %d took %v", i, took)
					}
				}
			})
		}
	}
}
