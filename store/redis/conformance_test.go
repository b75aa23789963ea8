package redisstore

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/internal/redisserver"
	"github.com/holdfast-go/holdfast/store/memory"
	"github.com/holdfast-go/holdfast/store/storetest"
)

// tapeLength is how many random operations the stores have to agree on.
const tapeLength = 100_000

func onMiniredis(t *testing.T) storetest.Maker {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
	t.Cleanup(func() { _ = client.Close() })
	return maker(client)
}

func onRedis(t *testing.T) storetest.Maker {
	t.Helper()
	options, err := redis.ParseURL(redisserver.URLForTest(t))
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() })
	return maker(client)
}

// maker gives each store a fleet of its own, so that the server is never
// flushed: it may be someone's.
func maker(client *redis.Client) storetest.Maker {
	return func(_ *testing.T, now func() time.Time) port.Stores {
		fleet := "test" + strconv.FormatUint(rand.Uint64(), 36)
		return New(client, fleet, Options{now: now}).Stores()
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

// TestStoresAgree repeats a run when HOLDFAST_SEED is set.
func TestStoresAgree(t *testing.T) {
	t.Parallel()
	seed, _ := strconv.ParseUint(os.Getenv("HOLDFAST_SEED"), 10, 64)
	stores := map[string]storetest.Maker{
		"memory": func(_ *testing.T, now func() time.Time) port.Stores {
			return memory.New(memory.Options{Now: now}).Stores()
		},
		"miniredis": onMiniredis(t),
		"redis":     onRedis(t),
	}
	storetest.TestAgree(t, tapeLength, seed, stores)
}
