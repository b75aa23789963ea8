package redsynclock_test

import (
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	redsynclock "github.com/holdfast-go/holdfast/contrib/redsync"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/internal/leaktest"
	"github.com/holdfast-go/holdfast/store/storetest"
)

func TestConformanceOnMiniredis(t *testing.T) {
	storetest.TestLocks(t, func(t *testing.T) (port.LockStore, func(time.Duration)) {
		leaktest.Check(t)
		server := miniredis.RunT(t)
		return redsynclock.New(connect(t, server.Addr()), newFleet(), redsynclock.Options{}), server.FastForward
	})
}

func TestConformanceOnRedis(t *testing.T) {
	storetest.TestLocks(t, func(t *testing.T) (port.LockStore, func(time.Duration)) {
		client, fleet := realRedis(t), newFleet()
		pass := func(d time.Duration) { age(t, client, fleet, d) }
		return redsynclock.New(client, fleet, redsynclock.Options{}), pass
	})
}

// On several servers, one of which is dead, it is the same.
func TestConformanceOnThree(t *testing.T) {
	storetest.TestLocks(t, func(t *testing.T) (port.LockStore, func(time.Duration)) {
		leaktest.Check(t)
		servers := []*miniredis.Miniredis{miniredis.RunT(t), miniredis.RunT(t), miniredis.RunT(t)}
		locks := redsynclock.New(connectHasty(t, servers[0].Addr()), newFleet(), redsynclock.Options{
			Others: []redis.UniversalClient{connectHasty(t, servers[1].Addr()), connectHasty(t, servers[2].Addr())},
		})
		servers[1].Close()
		return locks, func(d time.Duration) {
			servers[0].FastForward(d)
			servers[2].FastForward(d)
		}
	})
}

// age lets a time pass for a fleet's keys: a server's clock cannot be moved, but what it
// leaves them can.
func age(t *testing.T, client *redis.Client, fleet string, d time.Duration) {
	t.Helper()
	for all := client.Scan(t.Context(), 0, fleet+":*", 1000).Iterator(); all.Next(t.Context()); {
		left, err := client.PTTL(t.Context(), all.Val()).Result()
		must(t, err)
		if left > d {
			must(t, client.PExpire(t.Context(), all.Val(), left-d).Err())
		} else {
			must(t, client.Del(t.Context(), all.Val()).Err())
		}
	}
}
