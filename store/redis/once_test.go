package redisstore

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/domain/bucket"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/internal/redisserver"
)

// A call whose reply is lost was executed, perhaps; but it is sent once only.
// go-redis by itself would send it four times.
func TestLostRepliesAreNotAskedForAgain(t *testing.T) {
	t.Parallel()
	server := redisserver.ForTest(t)
	kinds := map[string]func(t *testing.T, addr string) redis.UniversalClient{
		"a plain client": func(t *testing.T, addr string) redis.UniversalClient { return connect(t, addr) },
		"a plain client that ends calls itself": func(t *testing.T, addr string) redis.UniversalClient {
			client := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
			t.Cleanup(func() { _ = client.Close() })
			return client
		},
		"a ring": func(t *testing.T, addr string) redis.UniversalClient {
			client := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"one": addr}})
			t.Cleanup(func() { _ = client.Close() })
			return client
		},
	}
	for kind, newClient := range kinds {
		for how, mode := range map[string]int32{"swallowed": relayDrop, "the connection closed": relayClose} {
			for name, buckets := range map[string]int{"one call": 1, "a pipeline": 2*bucketsPerScript + 1} {
				t.Run(kind+", "+how+", "+name, func(t *testing.T) {
					t.Parallel()
					between := newRelay(t, server.Addr())
					s := New(newClient(t, between.addr), newFleet(), Options{})
					direct := New(connect(t, server.Addr()), s.fleet, Options{})
					in, out := manyBuckets(t, buckets), make([]port.TakeReply, buckets)
					s.Stores().Buckets.Take(t.Context(), in, out) // loads the script
					sent := between.scripts.Load()

					between.mode.Store(mode)
					ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
					defer cancel()
					s.Stores().Buckets.Take(ctx, in, out)
					for i := range out {
						_ = storeError(t, out[i].Err)
					}
					calls := int64(len(bucketStore{s}.split(bucketStore{s}.groups(in))))
					// A connection that is closed on it may keep a client from sending the
					// rest of a pipeline; nothing may make it send anything twice.
					again := between.scripts.Load() - sent
					if again > calls || again < calls && mode != relayClose {
						t.Errorf("%d scripts were sent for %d calls", again, calls)
					}
					for i := range in {
						in[i].Ask = bucket.Ask{Count: 1}
					}
					direct.Stores().Buckets.Take(t.Context(), in, out)
					for i := range out {
						unsent := again < calls && out[i].Remaining == 9
						if out[i].Remaining != 8 && !unsent {
							t.Fatalf("bucket %d afterwards: %+v; want 8 of 10: one for the first call, one for the lost one", i, out[i])
						}
					}
				})
			}
		}
	}
}

// manyBuckets takes one token of each of n buckets, which earn nothing
// meanwhile.
func manyBuckets(t *testing.T, n int) []port.TakeRequest {
	t.Helper()
	rule := ruleOf(t, 10, 10)
	rule.Bands[0].Worth, rule.Bands[0].Full = 3_600_000_000, 36_000_000_000
	in := make([]port.TakeRequest, n)
	for i := range in {
		in[i] = port.TakeRequest{Bucket: port.ID{Name: "limit", Key: strconv.Itoa(i)}, Rule: rule, Ask: takeOne()}
	}
	return in
}
