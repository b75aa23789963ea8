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
	return func(_ *testing.T, now func() time.Time) port.Stores {
		return New(client, newFleet(), Options{now: now}).Stores()
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
