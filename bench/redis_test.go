package bench

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/internal/redisserver"
	redisstore "github.com/holdfast-go/holdfast/store/redis"
)

// A rig is one Redis and both limiters on it, through clients that are the same.
type rig struct {
	client  *redis.Client
	limiter *fleet.Limiter
	rate    *redis_rate.Limiter
	limit   redis_rate.Limit
}

// newRig makes a rig for a limit of so many tokens a second, and as many at once.
func newRig(b testing.TB, perSecond int, keyed bool) *rig {
	b.Helper()
	connect := serve(b)
	r := &rig{client: connect(), limit: redis_rate.PerSecond(perSecond)}
	r.rate = redis_rate.NewLimiter(connect())
	replica, err := fleet.Join(redisstore.New(connect(), "bench", redisstore.Options{}).Stores(), fleet.Config{StoreTimeout: 2 * time.Second})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = replica.Close(context.Background()) })
	r.limiter, err = replica.Limiter(domain.RateLimit{
		Name: "api", Limit: domain.PerSecond(int64(perSecond)), Keyed: keyed, Outage: domain.OutageClosed,
	})
	if err != nil {
		b.Fatal(err)
	}
	return r
}

// serve starts a Redis, and returns how to connect to it: all clients are the same.
func serve(b testing.TB) (connect func() *redis.Client) {
	b.Helper()
	server, err := redisserver.Start(context.Background(), redisserver.Config{})
	if err != nil {
		b.Skip(err)
	}
	b.Cleanup(func() { _ = server.Stop() })
	return func() *redis.Client {
		client := redis.NewClient(&redis.Options{Addr: server.Addr(), PoolSize: 64})
		b.Cleanup(func() { _ = client.Close() })
		return client
	}
}

func (r *rig) theirs(key func(caller, n int) string) decider {
	return func(ctx context.Context, caller, n int) (bool, error) {
		result, err := r.rate.Allow(ctx, key(caller, n), r.limit)
		return err == nil && result.Allowed > 0, err
	}
}

func (r *rig) ours(key func(caller, n int) string) decider {
	return func(ctx context.Context, caller, n int) (bool, error) {
		d, err := r.limiter.Allow(ctx, key(caller, n))
		return d.Allowed, err
	}
}

// cpu is the time that the server has used, in seconds.
func (r *rig) cpu(b testing.TB) func() float64 {
	return func() float64 {
		b.Helper()
		info, err := r.client.Info(context.Background(), "cpu").Result()
		if err != nil {
			b.Fatal(err)
		}
		total := 0.0
		for line := range strings.Lines(info) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
			if name == "used_cpu_sys" || name == "used_cpu_user" {
				x, err := strconv.ParseFloat(value, 64)
				if err != nil {
					b.Fatal(err)
				}
				total += x
			}
		}
		return total
	}
}

// compare plays rounds of both sides.
func (r *rig) compare(b *testing.B, callers int, key func(caller, n int) string) {
	b.Helper()
	const long = 200 * time.Millisecond
	cpu := r.cpu(b)
	measure(b, callers, long, r.theirs(key), cpu) // warm
	measure(b, callers, long, r.ours(key), cpu)
	var all rounds
	for b.Loop() {
		all.add(measure(b, callers, long, r.theirs(key), cpu), measure(b, callers, long, r.ours(key), cpu))
	}
	all.report(b)
}

// plenty is a limit that nobody reaches here.
const plenty = 50_000_000

// BenchmarkHotKey: one key that many callers want, against one script for each
// call.
//
//	go test -run '^$' -bench HotKey -benchtime 20x
func BenchmarkHotKey(b *testing.B) {
	r := newRig(b, plenty, false)
	for _, callers := range []int{1, 16, 64, 256, 1024} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			r.compare(b, callers, func(int, int) string { return "hot" })
		})
	}
}

// manyKeys are the keys of BenchmarkManyKeys.
const manyKeys = 10_000

// spread has each caller walk through all the keys in an order of its own.
func spread(keys []string) func(caller, n int) string {
	return func(caller, n int) string { return keys[(caller*7919+n*104_729)%len(keys)] }
}

func names(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = "tenant" + strconv.Itoa(i)
	}
	return keys
}

// BenchmarkManyKeys: 10,000 keys and 256 callers, so that hardly any two ask for
// the same at once.
//
//	go test -run '^$' -bench ManyKeys -benchtime 20x
func BenchmarkManyKeys(b *testing.B) {
	r := newRig(b, plenty, true)
	r.compare(b, 256, spread(names(manyKeys)))
}

// Both sides admit what a limit allows, and nothing fails: else there would be
// nothing to compare.
func TestBothSidesLimit(t *testing.T) {
	const perSecond, calls = 100, 150
	r := newRig(t, perSecond, true)
	key := spread(names(1))
	for name, decide := range map[string]decider{"theirs": r.theirs(key), "ours": r.ours(key)} {
		start, allowed := time.Now(), 0
		for n := range calls {
			ok, err := decide(t.Context(), 0, n)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if ok {
				allowed++
			}
		}
		most := perSecond + int(time.Since(start).Seconds()*perSecond) + 1
		if allowed < perSecond || allowed > most {
			t.Errorf("%s: %d of %d calls allowed; want %d to %d", name, allowed, calls, perSecond, most)
		}
	}
}

// BenchmarkDenied is what a known denial costs: it is answered from memory, and
// the store is asked once a second.
func BenchmarkDenied(b *testing.B) {
	r := newRig(b, 1, false)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.limiter.Allow(context.Background(), ""); err != nil {
			b.Fatal(err)
		}
	}
}
