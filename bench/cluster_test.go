package bench

import (
	"context"
	"net"
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

// BenchmarkManyKeysOnACluster: as BenchmarkManyKeys, on three masters. A script is for one
// key there, and many ride in one pipeline.
//
//	go test -run '^$' -bench ManyKeysOnACluster -benchtime 20x
func BenchmarkManyKeysOnACluster(b *testing.B) {
	connect := serveCluster(b)
	rate, limit := redis_rate.NewLimiter(connect()), redis_rate.PerSecond(plenty)
	replica, err := fleet.Join(redisstore.New(connect(), "bench", redisstore.Options{}).Stores(), fleet.Config{StoreTimeout: 2 * time.Second})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = replica.Close(context.Background()) })
	limiter, err := replica.Limiter(domain.RateLimit{Name: "api", Limit: domain.PerSecond(plenty), Keyed: true, Outage: domain.OutageClosed})
	if err != nil {
		b.Fatal(err)
	}
	key := spread(names(manyKeys))
	theirs := func(ctx context.Context, caller, n int) (bool, error) {
		result, err := rate.Allow(ctx, key(caller, n), limit)
		return err == nil && result.Allowed > 0, err
	}
	ours := func(ctx context.Context, caller, n int) (bool, error) {
		d, err := limiter.Allow(ctx, key(caller, n))
		return d.Allowed, err
	}
	const callers, long = 256, 200 * time.Millisecond
	measure(b, callers, long, theirs, nil) // warm
	measure(b, callers, long, ours, nil)
	var all rounds
	for b.Loop() {
		all.add(measure(b, callers, long, theirs, nil), measure(b, callers, long, ours, nil))
	}
	all.report(b)
}

// serveCluster starts three masters, and returns how to connect to them: all clients are
// the same.
func serveCluster(b testing.TB) (connect func() *redis.ClusterClient) {
	b.Helper()
	const masters, slots = 3, 16384
	addrs, nodes := make([]string, masters), make([]*redis.Client, masters)
	for i := range nodes {
		server, err := redisserver.Start(context.Background(), redisserver.Config{Args: []string{"--cluster-enabled", "yes"}})
		if err != nil {
			b.Skip(err)
		}
		b.Cleanup(func() { _ = server.Stop() })
		addrs[i] = server.Addr()
		nodes[i] = redis.NewClient(&redis.Options{Addr: addrs[i]})
		b.Cleanup(func() { _ = nodes[i].Close() })
		if err := nodes[i].ClusterAddSlotsRange(context.Background(), i*slots/masters, (i+1)*slots/masters-1).Err(); err != nil {
			b.Fatal(err)
		}
	}
	host, port, err := net.SplitHostPort(addrs[0])
	if err != nil {
		b.Fatal(err)
	}
	for _, node := range nodes[1:] {
		if err := node.ClusterMeet(context.Background(), host, port).Err(); err != nil {
			b.Fatal(err)
		}
	}
	for _, node := range nodes {
		for tick := time.Tick(10 * time.Millisecond); ; <-tick {
			info, err := node.ClusterInfo(context.Background()).Result()
			if err != nil {
				b.Fatal(err)
			}
			if strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_known_nodes:3") {
				break
			}
		}
	}
	return func() *redis.ClusterClient {
		client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs, PoolSize: 64, ContextTimeoutEnabled: true})
		b.Cleanup(func() { _ = client.Close() })
		return client
	}
}
