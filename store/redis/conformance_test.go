package redisstore

import (
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/store/memory"
	"github.com/holdfast-go/holdfast/store/storetest"
)

func onMiniredis(t *testing.T) storetest.Maker {
	t.Helper()
	return maker(connect(t, miniredis.RunT(t).Addr()))
}

func onRedis(t *testing.T) storetest.Maker {
	t.Helper()
	return maker(realRedis(t))
}

// maker gives each store a fleet of its own.
func maker(client *redis.Client) storetest.Maker {
	return func(t *testing.T, now func() time.Time) port.Stores {
		t.Helper()
		return patient(t, New(client, newFleet(), Options{now: now})).Stores()
	}
}

func TestConformanceOnMiniredis(t *testing.T) {
	t.Parallel()
	storetest.TestAll(t, onMiniredis(t))
}

func TestConformanceOnRedis(t *testing.T) {
	t.Parallel()
	storetest.TestAll(t, onRedis(t))
}

// TestStoresAgree plays random operations on all stores (case 13 of limits). Two tapes run side by
// side, which takes half the time; HOLDFAST_SEED repeats one of them. Whatever
// was asked, no key is left that lives for ever.
func TestStoresAgree(t *testing.T) {
	t.Parallel()
	const tapes = 2
	seed, _ := strconv.ParseUint(os.Getenv("HOLDFAST_SEED"), 10, 64)
	for i := range tapes {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			onMini, onReal := connect(t, miniredis.RunT(t).Addr()), realRedis(t)
			miniFleet, serverFleet := newFleet(), newFleet()
			on := func(client *redis.Client, fleet string) storetest.Maker {
				return func(t *testing.T, now func() time.Time) port.Stores {
					t.Helper()
					return patient(t, New(client, fleet, Options{now: now})).Stores()
				}
			}
			storetest.TestAgree(t, tapeLength/tapes, seed, map[string]storetest.Maker{
				"memory": func(_ *testing.T, now func() time.Time) port.Stores {
					return memory.New(memory.Options{Now: now}).Stores()
				},
				"miniredis": on(onMini, miniFleet),
				"redis":     on(onReal, serverFleet),
			})
			checkEveryKeyEnds(t, onMini, miniFleet)
			checkEveryKeyEnds(t, onReal, serverFleet)
		})
	}
}

// checkEveryKeyEnds: no key of the fleet lives for ever (case 56).
func checkEveryKeyEnds(t *testing.T, client *redis.Client, fleet string) {
	t.Helper()
	keys := 0
	for all := client.Scan(t.Context(), 0, fleet+":*", 1000).Iterator(); all.Next(t.Context()); keys++ {
		if life := client.PTTL(t.Context(), all.Val()).Val(); life <= 0 {
			t.Errorf("the key %s has no time to live", all.Val())
		}
	}
	if keys < 6 {
		t.Errorf("only %d keys are left; want the breakers', the buckets' and the members'", keys)
	}
}
