package fleet_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/internal/redisserver"
	redisstore "github.com/holdfast-go/holdfast/store/redis"
)

// BenchmarkKeyedBreaker is a call of a key that has a breaker, closed, beside the same
// without keys.
func BenchmarkKeyedBreaker(b *testing.B) {
	r := joinKeyed(b, domain.CircuitBreaker{MaxKeys: 1000})
	keys := make([]string, 1000)
	for i := range keys {
		keys[i] = "key-" + strconv.Itoa(i)
	}
	plain, err := r.replica.Breaker(domain.CircuitBreaker{Name: "plain", Sharing: domain.ShareLocal})
	if err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	once := func(p fleet.Permit, err error) { // without Helper, which takes longer than a call
		if err != nil {
			panic(err)
		}
		p.Report(domain.Success)
	}
	b.Run("without keys", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			once(plain.Acquire(ctx))
		}
	})
	b.Run("one key", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			once(r.breaker.Acquire(ctx, keys[0]))
		}
	})
	b.Run("1,000 keys", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			once(r.breaker.Acquire(ctx, keys[i%len(keys)]))
		}
	})
	b.Run("1,000 keys, in parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				once(r.breaker.Acquire(ctx, keys[i%len(keys)]))
			}
		})
	})
	b.Run("no room", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			once(r.breaker.Acquire(ctx, "another"))
		}
	})
}

// BenchmarkSharedKeys is what one replica with keys in use costs a real server in the
// background: each op is a second of that, with a call of each key.
func BenchmarkSharedKeys(b *testing.B) {
	const keys = 500
	server := redisserver.ForTest(b)
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer client.Close()
	r := joinKeyedOn(b, redisstore.New(client, "test", redisstore.Options{}).Stores(), domain.CircuitBreaker{
		Sharing: domain.ShareQuorum, MaxKeys: keys,
	})
	called := names("k", keys)
	r.call(domain.Success, called...)
	second := time.NewTicker(time.Second)
	defer second.Stop()
	<-second.C
	before := cpuOf(b, client)
	b.ResetTimer()
	for range b.N {
		r.call(domain.Success, called...)
		<-second.C
	}
	used := cpuOf(b, client) - before
	b.ReportMetric(used*1e6/float64(b.N)/keys, "redis-µs/key")
}
