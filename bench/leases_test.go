package bench

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
	redisstore "github.com/holdfast-go/holdfast/store/redis"
)

// BenchmarkLeases: a fleet of 8 replicas, each with a caller that never stops, wants
// more of one key than the limit has. Decisions of the whole fleet are counted on
// both sides, and what was admitted of the limit.
//
//	go test -run '^$' -bench Leases -benchtime 5x
func BenchmarkLeases(b *testing.B) {
	const replicas, long = 8, time.Second
	for _, perSecond := range []int{100, 1000, 10_000} {
		b.Run(fmt.Sprintf("limit=%d", perSecond), func(b *testing.B) {
			connect := serve(b)
			rig := &rig{client: connect()}
			ours, theirs := make([]*fleet.Limiter, replicas), make([]*redis_rate.Limiter, replicas)
			for i := range replicas {
				theirs[i] = redis_rate.NewLimiter(connect())
				ours[i] = lender(b, connect(), perSecond, replicas)
			}
			limit := redis_rate.PerSecond(perSecond)
			their := func(ctx context.Context, caller, _ int) (bool, error) {
				result, err := theirs[caller].Allow(ctx, "hot", limit)
				return err == nil && result.Allowed > 0, err
			}
			our := func(ctx context.Context, caller, _ int) (bool, error) {
				d, err := ours[caller].Allow(ctx, "")
				return d.Allowed, err
			}
			cpu := rig.cpu(b)
			measure(b, replicas, 2*long, their, cpu) // the burst goes first
			measure(b, replicas, 2*long, our, cpu)
			share := measure(b, replicas, 4*long, our, cpu).allowed / float64(perSecond)
			var all rounds
			for b.Loop() {
				all.add(measure(b, replicas, long, their, cpu), measure(b, replicas, long, our, cpu))
			}
			all.report(b)
			b.ReportMetric(share, "of-limit") // steadily: in a round the burst is there again
		})
	}
}

// lender joins a replica with a limit that takes tokens ahead.
func lender(b *testing.B, client *redis.Client, perSecond, replicas int) *fleet.Limiter {
	b.Helper()
	replica, err := fleet.Join(redisstore.New(client, "bench", redisstore.Options{}).Stores(), fleet.Config{ExpectedReplicas: replicas, StoreTimeout: 2 * time.Second})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = replica.Close(context.Background()) })
	l, err := replica.Limiter(domain.RateLimit{
		Name: "leased" + strconv.Itoa(perSecond), Limit: domain.PerSecond(int64(perSecond)), Lease: true, Outage: domain.OutageClosed,
	})
	if err != nil {
		b.Fatal(err)
	}
	return l
}

// BenchmarkLeased is what a call costs that a lease answers: the limit is never
// reached, and the next lease is there before one ends.
//
//	go test -run '^$' -bench Leased
func BenchmarkLeased(b *testing.B) {
	l := lender(b, serve(b)(), plenty, 1)
	b.ReportAllocs()
	for b.Loop() {
		if d, err := l.Allow(context.Background(), ""); err != nil || !d.Allowed {
			b.Fatal(d, err)
		}
	}
}
