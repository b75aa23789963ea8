package fleet_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/internal/redisserver"
	redisstore "github.com/holdfast-go/holdfast/store/redis"
)

// perCall is the usual limiter: one script for each call, through the same
// client. It keeps a token bucket in two fields, with no checks at all.
const perCall = `
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000000 + tonumber(t[2])
local h = redis.call('HMGET', KEYS[1], 'c', 'u')
local full, earn = tonumber(ARGV[1]), tonumber(ARGV[2])
local c = math.min(full, tonumber(h[1] or full) + (now - tonumber(h[2] or now)) * earn)
local ok = 0
if c >= 1000000 then c = c - 1000000; ok = 1 end
redis.call('HSET', KEYS[1], 'c', string.format('%.0f', c), 'u', string.format('%.0f', now))
redis.call('PEXPIRE', KEYS[1], 60000)
return {ok, now}`

// BenchmarkHotKey compares decisions about one key that many callers want:
// ours, and one script for each call. redis-cpu-ns/op is what the server spent.
func BenchmarkHotKey(b *testing.B) {
	server, err := redisserver.Start(b.Context(), redisserver.Config{})
	if err != nil {
		b.Skip(err)
	}
	b.Cleanup(func() { _ = server.Stop() })
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), PoolSize: 64})
	b.Cleanup(func() { _ = client.Close() })
	for _, callers := range []int{1, 16, 64, 256, 1024} {
		b.Run(fmt.Sprintf("callers=%d/script-per-call", callers), func(b *testing.B) {
			script := redis.NewScript(perCall)
			benchmark(b, client, callers, func(ctx context.Context) bool {
				return script.Run(ctx, client, []string{"percall"}, 1_000_000_000_000_000, 1).Err() == nil
			})
		})
		b.Run(fmt.Sprintf("callers=%d/holdfast", callers), func(b *testing.B) {
			replica, err := fleet.Join(redisstore.New(client, "bench", redisstore.Options{}).Stores(), fleet.Config{})
			if err != nil {
				b.Fatal(err)
			}
			defer replica.Close(context.Background())
			limiter, err := replica.Limiter(domain.RateLimit{Name: "hot", Limit: domain.PerSecond(100_000_000)})
			if err != nil {
				b.Fatal(err)
			}
			benchmark(b, client, callers, func(ctx context.Context) bool {
				d, err := limiter.Allow(ctx, "")
				return err == nil && d.Allowed && !d.Degraded
			})
		})
	}
}

func benchmark(b *testing.B, client *redis.Client, callers int, decide func(context.Context) bool) {
	b.Helper()
	ctx := context.Background()
	for range 100 {
		decide(ctx)
	}
	before := cpuOf(b, client)
	var left, bad atomic.Int64
	left.Store(int64(b.N))
	var all sync.WaitGroup
	b.ResetTimer()
	for range callers {
		all.Go(func() {
			for left.Add(-1) >= 0 {
				if !decide(ctx) {
					bad.Add(1)
				}
			}
		})
	}
	all.Wait()
	b.StopTimer()
	b.ReportMetric((cpuOf(b, client)-before)*1e9/float64(b.N), "redis-cpu-ns/op")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "decisions/s")
	if bad.Load() > 0 {
		b.Errorf("%d of %d calls were not allowed by the store", bad.Load(), b.N)
	}
}

// cpuOf is the CPU time that the server has used, in seconds.
func cpuOf(b *testing.B, client *redis.Client) float64 {
	b.Helper()
	info, err := client.Info(context.Background(), "cpu").Result()
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
