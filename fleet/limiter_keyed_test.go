package fleet_test

import (
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/store/memory"
)

// A forgotten key is an error, never one bucket for all; and a limit that is not
// keyed does not look at keys.
func TestAForgottenKey(t *testing.T) {
	onEachStore(t, func(t *testing.T, stores port.Stores) {
		r := join(t, stores, fleet.Config{})
		keyed := r.limiter(domain.RateLimit{Name: "tenants", Limit: domain.PerHour(1), Keyed: true})
		for _, cost := range []int64{0, 1} {
			if d, err := keyed.AllowN(t.Context(), "", cost); !errors.Is(err, domain.ErrKeyMissing) || d.Allowed {
				t.Errorf("AllowN(%d) without a key: %+v, %v; want ErrKeyMissing", cost, d, err)
			}
		}
		if d := allow(t, keyed, "a"); !d.Allowed {
			t.Errorf("with a key: %+v", d)
		}
		plain := r.limiter(domain.RateLimit{Name: "all", Limit: domain.PerHour(1)})
		if d := allow(t, plain, "a"); !d.Allowed {
			t.Errorf("the first call: %+v", d)
		}
		if d := allow(t, plain, "b"); d.Allowed {
			t.Error("a limit that is not keyed gave a key a bucket of its own")
		}
	})
}

// Keys are hostile: any bytes, any length, and none touches another's bucket.
func TestHostileKeys(t *testing.T) {
	keys := []string{
		"a", "A", " ", "  ", "\x00", "\x00\x00", "\xff\xfe", "a\nb", "a\r\n", "{", "}", "{a}", "}{", "a}b{", "*", "?", "[a]",
		"api", "=a", "#a", "a=b", "a#b", "test:{bapi=a}", ":", "::", "%", "%s%n", "'; FLUSHALL", "\u00e9", "e\u0301",
		strings.Repeat("a", 63), strings.Repeat("a", 64), strings.Repeat("a", 65), strings.Repeat("a", 66),
		strings.Repeat("x", 1<<20), strings.Repeat("x", 1<<20) + "y",
	}
	onEachStore(t, func(t *testing.T, stores port.Stores) {
		r := join(t, stores, fleet.Config{})
		l := r.limiter(domain.RateLimit{Name: "api", Limit: domain.PerHour(2), Keyed: true})
		other := r.limiter(domain.RateLimit{Name: "apj", Limit: domain.PerHour(2), Keyed: true})
		plain := r.limiter(domain.RateLimit{Name: "plain", Limit: domain.PerHour(2)})
		for _, key := range keys {
			for i := range 3 {
				if d := allow(t, l, key); d.Allowed != (i < 2) || d.Degraded {
					t.Errorf("key %.20q, call %d: %+v", key, i, d)
				}
			}
		}
		for _, key := range keys {
			if d := peek(t, other, key); d.Remaining != 2 {
				t.Errorf("key %.20q touched another limit's: %+v", key, d)
			}
		}
		if d := peek(t, plain, ""); d.Remaining != 2 {
			t.Errorf("keys touched a limit without: %+v", d)
		}
		r.wantKinds()
	})
}

// heap is what is in use after a collection.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A replica's memory does not grow with the number of keys that it ever saw.
func TestMemoryOfKeysIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := join(t, port.Stores{Buckets: allowAll{}}, fleet.Config{}).limiter(domain.RateLimit{Name: "api", Limit: domain.PerHour(2), Keyed: true})
		before := heap()
		const keys = 50_000
		for i := range keys {
			allow(t, l, fmt.Sprint("key", i))
		}
		grown := int64(heap()) - int64(before)
		t.Logf("%d keys: %d kB", keys, grown>>10)
		if grown > 2<<20 {
			t.Errorf("%d keys, of which none is used again, take %d kB; want 2 MB at most", keys, grown>>10)
		}
		runtime.KeepAlive(l)
	})
}

// Nor with their length, and a key does not hold on to what it was cut from.
func TestMemoryOfLongKeysIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := join(t, port.Stores{Buckets: allowAll{}}, fleet.Config{}).limiter(domain.RateLimit{Name: "api", Limit: domain.PerHour(2), Keyed: true})
		before := heap()
		for i := range 500 {
			allow(t, l, strings.Repeat("x", 100_000)+strconv.Itoa(i))
		}
		for i := range 100 {
			body := strings.Repeat("y", 1<<20) + fmt.Sprint("key", i)
			allow(t, l, body[1<<20:])
		}
		grown := int64(heap()) - int64(before)
		t.Logf("500 keys of 100 kB, 100 cut from 1 MB: %d kB", grown>>10)
		if grown > 8<<20 {
			t.Errorf("they take %d kB; want 8 MB at most", grown>>10)
		}
		runtime.KeepAlive(l)
	})
}

// Also in an outage, when each key that was admitted something owes it.
func TestMemoryOfKeysIsBoundedInAnOutage(t *testing.T) {
	if raceDetector {
		t.Skip("it makes many keys, one after the other")
	}
	for _, outage := range []domain.Outage{domain.OutageOpen, domain.OutageLocalShare} {
		t.Run(outage.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, stores := newFaulty(port.Stores{Buckets: allowAll{}})
				store.forgets = true
				r := join(t, stores, fleet.Config{ExpectedReplicas: 1})
				l := r.limiter(domain.RateLimit{Name: "api", Limit: domain.PerSecond(2), Keyed: true, Outage: outage})
				store.set(isBroken)
				bringDown(t, r, l, "first")
				time.Sleep(time.Minute)
				before := heap()
				const keys = 150_000
				admitted := 0
				for i := range keys {
					if d := allow(t, l, fmt.Sprint("key", i)); d.Allowed {
						admitted++
					}
				}
				grown := int64(heap()) - int64(before)
				t.Logf("%d keys, %d admitted: %d MB", keys, admitted, grown>>20)
				if grown > 100<<20 {
					t.Errorf("%d keys take %d MB; want 100 MB at most", keys, grown>>20)
				}
				switch outage {
				case domain.OutageOpen:
					if admitted != keys {
						t.Errorf("%d of %d were admitted; want all", admitted, keys)
					}
				default:
					if admitted == keys || admitted < 100_000 {
						t.Errorf("%d of %d were admitted; want as many as can be kept", admitted, keys)
					}
					// Those beyond are refused, and not given a share of their own each time.
					for range 3 {
						if d := allow(t, l, "one too many"); d.Allowed || !d.Degraded || d.RetryAfter <= 0 {
							t.Errorf("a key beyond those that are kept: %+v", d)
						}
					}
				}
				store.set(nil)
				bringUp(t, r, l, "first")
				if d := allow(t, l, "one too many"); !d.Allowed || d.Degraded {
					t.Errorf("once the store is back: %+v", d)
				}
				runtime.KeepAlive(l)
			})
		})
	}
}

// What a lane remembers is not lost while it is needed: idle ones go first.
func TestLanesInUseAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, stores := newFaulty(memory.New(memory.Options{}).Stores())
		stores.Members = nil
		l := join(t, stores, fleet.Config{}).limiter(domain.RateLimit{Name: "api", Limit: domain.PerHour(1), Keyed: true})
		for i := range 100 {
			allow(t, l, fmt.Sprint("denied", i))
			allow(t, l, fmt.Sprint("denied", i)) // remembered for a second
		}
		for i := range 10_000 {
			allow(t, l, fmt.Sprint("other", i))
		}
		calls := store.asked.Load()
		for i := range 100 {
			if d := allow(t, l, fmt.Sprint("denied", i)); d.Allowed {
				t.Errorf("%+v", d)
			}
		}
		if n := store.asked.Load() - calls; n != 0 {
			t.Errorf("%d denials of 100 were forgotten", n)
		}
	})
}

// Each key is a limit of its own, under any number of callers.
func TestKeysAreIndependent(t *testing.T) {
	onEachStore(t, func(t *testing.T, stores port.Stores) {
		l := join(t, stores, fleet.Config{}).limiter(domain.RateLimit{Name: "api", Limit: domain.PerHour(5), Keyed: true})
		const keys = 50
		allowed := make([]int, keys)
		var all sync.WaitGroup
		for i := range keys {
			all.Go(func() {
				for range 8 {
					if d := allow(t, l, fmt.Sprint("tenant", i)); d.Allowed {
						allowed[i]++
					}
				}
			})
		}
		all.Wait()
		for i, n := range allowed {
			if n != 5 {
				t.Errorf("tenant %d was allowed %d calls; want 5", i, n)
			}
		}
	})
}
