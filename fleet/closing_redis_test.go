package fleet_test

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/internal/leaktest"
	"github.com/holdfast-go/holdfast/internal/redisserver"
	redisstore "github.com/holdfast-go/holdfast/store/redis"
)

// connections is how many connections of a type ("normal", "pubsub") a server has.
func connections(t *testing.T, admin *redis.Client, kind string) int {
	t.Helper()
	list, err := admin.Do(t.Context(), "client", "list", "type", kind).Text()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(list, "\n")
}

func until(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !happened(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// Close gives back the connections that a replica opened, and leaves the client to
// its user: others go on with it. So it is for those who come and go, and for
// connections that broke on the way.
func TestCloseLeavesTheClient(t *testing.T) {
	leaktest.Check(t)
	server := redisserver.ForTest(t)
	admin := redis.NewClient(&redis.Options{Addr: server.Addr(), PoolSize: 1})
	t.Cleanup(func() { _ = admin.Close() })
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), Dialer: leaktest.Dialer(t)})
	t.Cleanup(func() { _ = client.Close() })
	listeners := func() int { return connections(t, admin, "pubsub") }
	use := func(w *watched) {
		allow(t, w.limiter(domain.RateLimit{Name: "api", Limit: domain.PerSecond(1000)}), "")
		b, err := w.Breaker(domain.CircuitBreaker{Name: breakerName})
		if err != nil {
			t.Fatal(err)
		}
		permit, err := b.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		permit.Report(domain.Success)
	}
	stores := redisstore.New(client, "test", redisstore.Options{}).Stores()
	stays := join(t, stores, fleet.Config{StoreTimeout: patience, MaxStaleness: 20 * time.Millisecond})
	use(stays)
	until(t, "who stays listens", func() bool { return listeners() == 1 })
	for range 10 {
		comes := join(t, stores, fleet.Config{StoreTimeout: patience})
		use(comes)
		until(t, "both listen", func() bool { return listeners() == 2 })
		comes.close()
		until(t, "who stays listens alone", func() bool { return listeners() == 1 })
		use(stays)
	}
	for range 10 { // a new one takes the place of each that breaks, not a place beside it
		before := admin.Do(t.Context(), "client", "list", "type", "pubsub").String()
		if err := admin.Do(t.Context(), "client", "kill", "type", "pubsub").Err(); err != nil {
			t.Fatal(err)
		}
		until(t, "it listens again", func() bool {
			return listeners() > 0 && admin.Do(t.Context(), "client", "list", "type", "pubsub").String() != before
		})
	}
	until(t, "it listens once", func() bool { return listeners() == 1 })
	stays.close()
	until(t, "nobody listens", func() bool { return listeners() == 0 })
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Errorf("the user's client: %v", err)
	}
	until(t, "the server has the connections that the client knows of", func() bool {
		stats := client.PoolStats()
		known := stats.TotalConns
		if stats.PipelineStats != nil { // go-redis keeps others for pipelines
			known += stats.PipelineStats.TotalConns
		}
		return connections(t, admin, "normal")-1 == int(known)
	})
	_ = client.Close()
	until(t, "only the test is connected", func() bool { return connections(t, admin, "normal") == 1 })
}
