package redisstore

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
	"github.com/holdfast-go/holdfast/domain/bucket"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/internal/redisserver"
)

// Case 1: what is admitted together is what one clock would admit, however wrong
// a client's own clock is. In a bubble it is the year 2000, so that the two
// clients here are decades apart.
func TestCase01ClocksOfClientsDoNotMatter(t *testing.T) {
	t.Parallel()
	server := redisserver.ForTest(t)
	fleet := newFleet()
	rule := ruleOf(t, 10, 10)
	rule.Bands[0].Worth, rule.Bands[0].Full = 3_600_000_000, 36_000_000_000 // a token an hour
	now := New(connect(t, server.Addr()), fleet, Options{})
	ask := func(s *Store) (granted int64) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		got := takeWith(ctx, s, rule, takeOne())
		if got.Err != nil {
			t.Errorf("Take: %v", got.Err)
		}
		return got.Granted
	}
	for i := range 6 {
		var granted int64
		synctest.Test(t, func(t *testing.T) {
			client := redis.NewClient(&redis.Options{Addr: server.Addr()})
			defer client.Close()
			if year := time.Now().Year(); year != 2000 {
				t.Skipf("in a bubble it is %d", year)
			}
			long := New(client, fleet, Options{})
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			got := takeWith(ctx, long, rule, takeOne())
			if got.Err != nil {
				t.Errorf("Take, in the year 2000: %v", got.Err)
			}
			granted = got.Granted
		})
		if granted += ask(now); granted != 2*int64(1-i/5) {
			t.Errorf("round %d: %d granted; want 10 in all", i, granted)
		}
	}
}

// Cases 48 and 49: two clients of one fleet share its breaker; failures split
// between them open it for both, and its probe goes to one of them.
func TestCase48TwoClientsShareABreaker(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, client *redis.Client) {
		fleet := newFleet()
		policy := domain.CircuitBreaker{RecoveryTimeout: time.Millisecond}
		rules := rulesOf(t, policy)
		var stores [2]port.Stores
		for i := range stores {
			stores[i] = New(client, fleet, Options{}).Stores()
		}
		report := func(i int, e breaker.Evidence) port.View {
			var out [1]port.View
			stores[i].Breakers.Report(t.Context(), []port.Report{{Breaker: theBreaker, Rules: rules, Evidence: e}}, out[:])
			must(t, out[0].Err)
			return out[0]
		}
		first := report(0, sick("a", 1, 0))
		if got := report(1, sick("b", 1, first.Epoch)); got.State != domain.StateOpen {
			t.Fatalf("two of two: %+v; want it open", got)
		}
		var granted atomic.Int64
		// Until its time is over, which a real server counts in its own clock.
		for deadline := time.Now().Add(10 * time.Second); granted.Load() == 0 && time.Now().Before(deadline); {
			var all sync.WaitGroup
			for i := range stores {
				all.Go(func() {
					var out [1]port.ProbeReply
					ask := breaker.ProbeAsk{Replica: string(rune('a' + i)), Known: first.Epoch, Token: uint64(i + 1)}
					stores[i].Breakers.Probe(t.Context(), []port.ProbeRequest{{Breaker: theBreaker, Rules: rules, ProbeAsk: ask}}, out[:])
					if out[0].Granted {
						granted.Add(1)
					}
				})
			}
			all.Wait()
		}
		if granted.Load() != 1 {
			t.Errorf("%d leases were given; want 1", granted.Load())
		}
	})
}

// Case 54: making a store, or ending one, changes nothing that is shared.
func TestCase54ConstructingWritesNothing(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, client *redis.Client) {
		f := newFixture(t, client)
		f.report(domain.CircuitBreaker{Sharing: domain.ShareAny}, sick("a", 1, 0))
		before := f.dump(f.breakerKey())
		for range 3 {
			again := New(client, f.fleet, Options{})
			var out [1]port.View
			again.Stores().Views.Read(t.Context(), []port.ID{theBreaker}, out[:])
			if out[0].State != domain.StateOpen {
				t.Errorf("another replica reads %+v; want it open", out[0])
			}
		}
		if after := f.dump(f.breakerKey()); after != before {
			t.Errorf("reading changed %s to %s", before, after)
		}
	})
}

// The store keeps no slice of its caller, not even in a call that was left
// behind. The race detector would see it.
func TestCallersKeepTheirSlices(t *testing.T) {
	t.Parallel()
	server := redisserver.ForTest(t)
	client := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"one": server.Addr()}})
	t.Cleanup(func() { _ = client.Close() })
	s := New(client, newFleet(), Options{})
	must(t, client.Set(t.Context(), s.key(kindBreaker, theBreaker), "poison", 0).Err())
	must(t, server.Pause())
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	ids, views := []port.ID{theBreaker}, make([]port.View, 1)
	takes, replies := []port.TakeRequest{{Bucket: theBucket, Rule: ruleOf(t, 10, 10), Ask: takeOne()}}, make([]port.TakeReply, 1)
	s.Stores().Views.Read(ctx, ids, views)
	s.Stores().Buckets.Take(ctx, takes, replies)
	_ = storeError(t, views[0].Err)
	_ = storeError(t, replies[0].Err)
	ids[0], views[0] = port.ID{Name: "another"}, port.View{}
	takes[0], replies[0] = port.TakeRequest{}, port.TakeReply{}
	must(t, server.Resume())
	for deadline := time.Now().Add(10 * time.Second); len(s.link.stranded) > 0; {
		if time.Now().After(deadline) {
			t.Fatal("a call is still under way")
		}
		_ = client.Ping(t.Context()) // which takes the time of a round trip
	}
	if views[0] != (port.View{}) || replies[0] != (port.TakeReply{}) {
		t.Errorf("a late answer was written: %+v, %+v", views[0], replies[0])
	}
}

// More requests than one script carries, to buckets that come again: they are
// decided in the order in which they stand.
func TestLargeBatches(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, client *redis.Client) {
		f := newFixture(t, client)
		in := manyBuckets(t, 3*bucketsPerScript+1)
		in = append(in, in...)
		in = append(in, port.TakeRequest{Bucket: in[0].Bucket, Rule: in[0].Rule, Ask: bucket.Ask{Cost: 8, Count: 1}}, in[0])
		out := make([]port.TakeReply, len(in))
		f.Stores().Buckets.Take(t.Context(), in, out)
		for i, got := range out {
			want := port.TakeReply{Granted: 1, Remaining: 9}
			switch n := 3*bucketsPerScript + 1; {
			case i == 2*n:
				want.Remaining = 0
			case i > 2*n:
				want = port.TakeReply{RetryAfter: time.Hour}
			case i >= n:
				want.Remaining = 8
			}
			if got != want {
				t.Fatalf("request %d: %+v; want %+v", i, got, want)
			}
		}
	})
}
