package redisstore

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
	"github.com/holdfast-go/holdfast/domain/bucket"
	"github.com/holdfast-go/holdfast/domain/port"
)

// A bucket of one band takes at most 160 bytes where the whole key has up to 32
// characters. Turns and bills, which few buckets have for long, add to that. How
// much it is, only a real server can say.
func TestSizeOfABucket(t *testing.T) {
	t.Parallel()
	client := realRedis(t)
	ctx := t.Context()
	fleet := newFleet()[:6]
	now := time.Now().UnixMicro()
	s := patient(t, New(client, fleet, Options{now: func() time.Time { return time.UnixMicro(now) }}))
	for _, limit := range []domain.RateLimit{
		{Limit: domain.PerSecond(10)},
		{Limit: domain.PerSecond(10), Version: 1_795_000_000},
		{Limit: domain.PerMinute(1000).WithBurst(50)},
		{Limit: domain.PerHour(100_000), Version: 20_261_123},
		{Limit: domain.Per(1, 24*time.Hour).WithBurst(6000)},
	} {
		rule, err := bucket.Compile(limit)
		must(t, err)
		// The whole key has 32 characters.
		id := port.ID{Name: "limit", Key: "0123456789abcdef"}
		for len(s.key(kindBucket, id)) < 32 {
			id.Key += "k"
		}
		key := s.key(kindBucket, id)
		if len(key) != 32 {
			t.Fatalf("the key %q has %d characters", key, len(key))
		}
		ask := func(ask bucket.Ask) int64 {
			var out [1]port.TakeReply
			s.Stores().Buckets.Take(ctx, []port.TakeRequest{{Bucket: id, Rule: rule, Ask: ask}}, out[:])
			must(t, out[0].Err)
			return memoryOf(ctx, t, client, key)
		}
		granted := ask(takeOne())
		now += 1_234_567
		again := ask(takeOne())
		empty := ask(bucket.Ask{Cost: 1, Count: rule.Burst()})
		turns := ask(bucket.Ask{Cost: 1, Count: 1, Turn: true})
		t.Logf("%-45s granted %d, again %d, empty %d, with a turn %d, with a bill %d bytes",
			limit, granted, again, empty, turns, ask(bucket.Ask{Cost: 1, Count: 1, Bill: 1<<64 - 1}))
		if most := max(granted, again, empty); most > 160 {
			t.Errorf("%v: a bucket takes %d bytes; want at most 160", limit, most)
		}
		must(t, client.Del(ctx, key).Err())
	}
}

// A live lease takes at most 40 bytes more.
func TestSizeOfALease(t *testing.T) {
	t.Parallel()
	client := realRedis(t)
	f := newFixture(t, client)
	rule, err := bucket.Compile(domain.RateLimit{Limit: domain.PerSecond(1000)})
	must(t, err)
	take := func(ask bucket.Ask) port.TakeReply {
		var out [1]port.TakeReply
		f.Stores().Buckets.Take(t.Context(), []port.TakeRequest{{Bucket: theBucket, Rule: rule, Ask: ask}}, out[:])
		must(t, out[0].Err)
		return out[0]
	}
	take(takeOne())
	plain := memoryOf(t.Context(), t, client, f.bucketKey())
	const leases = 48
	sum := 0.0
	for i := range uint64(leases) {
		// Ids are as long as they can be of a replica, after 100,000 leases.
		id := bucket.LeaseID{Start: 1<<40 - 1 - i, Seq: 100_000 + i}
		reply := take(bucket.Ask{Cost: 1, Count: 10, Lease: &bucket.LeaseAsk{ID: id, Milli: 10_000, Spent: id.Seq}})
		if reply.Granted != 10 {
			t.Fatalf("lease %d: %+v", i, reply)
		}
		each := float64(memoryOf(t.Context(), t, client, f.bucketKey())-plain) / float64(i+1)
		sum += each
	}
	t.Logf("a bucket takes %d bytes, each lease %.1f more on average", plain, sum/leases)
	if sum/leases > 40 {
		t.Errorf("a lease takes %.1f bytes; want at most 40", sum/leases)
	}
}

func memoryOf(ctx context.Context, t *testing.T, client *redis.Client, key string) int64 {
	t.Helper()
	bytes, err := client.MemoryUsage(ctx, key).Result()
	must(t, err)
	return bytes
}

// A breaker's size grows with the replicas that have an opinion, and stops at
// 1,024 of them.
func TestSizeOfABreaker(t *testing.T) {
	t.Parallel()
	client := realRedis(t)
	f := newFixture(t, client)
	rules := rulesOf(t, domain.CircuitBreaker{})
	view := f.report(domain.CircuitBreaker{}, breaker.Evidence{Replica: "first", Seq: 1})
	one := memoryOf(t.Context(), t, client, f.breakerKey())
	const replicas = 1100
	in, out := make([]port.Report, replicas), make([]port.View, replicas)
	for i := range in {
		e := breaker.Evidence{Replica: fmt.Sprintf("replica-%06d", i), Seq: 1, Known: view.Epoch}
		e.Calls, e.Failures, e.Weight, e.ForMicro = 1000, 10, 1000, 10_000_000
		in[i] = port.Report{Breaker: theBreaker, Rules: rules, Evidence: e}
	}
	f.Stores().Breakers.Report(t.Context(), in, out)
	for i := range out {
		must(t, out[i].Err)
	}
	many := memoryOf(t.Context(), t, client, f.breakerKey())
	fields, err := client.HGetAll(t.Context(), f.breakerKey()).Result()
	must(t, err)
	if fields["nr"] != "1024" {
		t.Errorf("%s replicas have a vote; want 1024 of %d", fields["nr"], replicas)
	}
	t.Logf("a breaker with one vote takes %d bytes, each further vote %d", one, (many-one)/1023)
}
