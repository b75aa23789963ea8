package fleet_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/bucket"
	"github.com/holdfast-go/holdfast/domain/port"
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

// BenchmarkHotKey compares decisions about one key that many callers want: ours,
// and one script for each call, which is a bare one, or (same) our own with all
// that it promises. Each round runs all, one after the other, so that a noisy
// machine hurts all; what is reported is the median of the rounds and their
// spread. Above 1 means that ours is better.
//
//	go test ./fleet -run '^$' -bench HotKey -benchtime 20x
func BenchmarkHotKey(b *testing.B) {
	server, err := redisserver.Start(b.Context(), redisserver.Config{})
	if err != nil {
		b.Skip(err)
	}
	b.Cleanup(func() { _ = server.Stop() })
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), PoolSize: 64})
	b.Cleanup(func() { _ = client.Close() })
	script := redis.NewScript(perCall)
	theirs := func(ctx context.Context) bool {
		return script.Run(ctx, client, []string{"percall"}, 1_000_000_000_000_000, 1).Err() == nil
	}
	stores := redisstore.New(client, "bench", redisstore.Options{}).Stores()
	replica, err := fleet.Join(stores, fleet.Config{StoreTimeout: time.Second})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = replica.Close(context.Background()) })
	limit := domain.RateLimit{Name: "hot", Limit: domain.PerSecond(100_000_000)}
	limiter, err := replica.Limiter(limit)
	if err != nil {
		b.Fatal(err)
	}
	rule, err := bucket.Compile(limit)
	if err != nil {
		b.Fatal(err)
	}
	same := func(ctx context.Context) bool {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		in := [1]port.TakeRequest{{Bucket: port.ID{Name: "same"}, Rule: rule, Ask: bucket.Ask{Cost: 1, Count: 1}}}
		var out [1]port.TakeReply
		stores.Buckets.Take(ctx, in[:], out[:])
		return out[0].Granted == 1
	}
	ours := func(ctx context.Context) bool {
		d, err := limiter.Allow(ctx, "")
		return err == nil && d.Allowed && !d.Degraded
	}
	for _, callers := range []int{1, 16, 64, 256, 1024} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			var rounds compared
			for b.Loop() {
				rounds.add(measure(b, client, callers, theirs), measure(b, client, callers, same), measure(b, client, callers, ours))
			}
			rounds.report(b)
		})
	}
}

// roundTime is how long each side runs in a round.
const roundTime = 100 * time.Millisecond

// A speed is what one side did in one round.
type speed struct{ perSecond, cpuNanos float64 }

// measure lets callers decide for roundTime.
func measure(b *testing.B, client *redis.Client, callers int, decide func(context.Context) bool) speed {
	b.Helper()
	ctx := context.Background()
	decide(ctx)
	before := cpuOf(b, client)
	var over atomic.Bool
	var decided, failed atomic.Int64
	stop := time.AfterFunc(roundTime, func() { over.Store(true) })
	defer stop.Stop()
	start := time.Now()
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			n := int64(0)
			for ; !over.Load(); n++ {
				if !decide(ctx) {
					failed.Add(1)
				}
			}
			decided.Add(n)
		})
	}
	all.Wait()
	took := time.Since(start)
	if failed.Load() > 0 {
		b.Errorf("%d of %d calls were not allowed by the store", failed.Load(), decided.Load())
	}
	n := float64(decided.Load())
	return speed{n / took.Seconds(), (cpuOf(b, client) - before) * 1e9 / n}
}

// compared are the rounds of a comparison.
type compared struct{ theirs, ours, ratio, sameRatio, cpuRatio []float64 }

func (c *compared) add(theirs, same, ours speed) {
	c.theirs = append(c.theirs, theirs.perSecond)
	c.ours = append(c.ours, ours.perSecond)
	c.ratio = append(c.ratio, ours.perSecond/theirs.perSecond)
	c.sameRatio = append(c.sameRatio, ours.perSecond/same.perSecond)
	c.cpuRatio = append(c.cpuRatio, theirs.cpuNanos/ours.cpuNanos)
}

func (c *compared) report(b *testing.B) {
	b.Helper()
	b.ReportMetric(0, "ns/op") // a round has no meaning of its own
	b.ReportMetric(median(c.theirs), "theirs/s")
	b.ReportMetric(median(c.ours), "ours/s")
	b.ReportMetric(median(c.ratio), "ratio")
	b.ReportMetric(slices.Min(c.ratio), "ratio-min")
	b.ReportMetric(slices.Max(c.ratio), "ratio-max")
	b.ReportMetric(median(c.sameRatio), "same-ratio")
	b.ReportMetric(median(c.cpuRatio), "cpu-ratio")
}

func median(xs []float64) float64 {
	slices.Sort(xs)
	return xs[len(xs)/2]
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
