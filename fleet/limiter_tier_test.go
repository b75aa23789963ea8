package fleet_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/store/memory"
)

// burstOf takes all that a key has.
func burstOf(t *testing.T, l *fleet.Limiter, key string) (n int64) {
	t.Helper()
	for d := allow(t, l, key); d.Allowed; d = allow(t, l, key) {
		n++
	}
	return n
}

// Each key has the numbers that LimitFor gives it: also in the memory of a denial,
// in what is too high for it, and where a part is taken.
func TestTiers(t *testing.T) {
	onEachStore(t, func(t *testing.T, stores port.Stores) {
		l := join(t, stores, fleet.Config{LimitFor: func(limit, key string) (domain.Limit, bool) {
			switch {
			case limit != "api":
				t.Errorf("asked for the limit %q", limit)
				return domain.Limit{}, false
			case strings.HasPrefix(key, "gold"):
				return domain.PerSecond(100), true
			case key == "iron":
				return domain.PerSecond(1), true
			default:
				return domain.Limit{}, false
			}
		}}).limiter(domain.RateLimit{Name: "api", Limit: domain.PerSecond(10), Keyed: true})
		for key, want := range map[string]int64{"gold": 100, "gold2": 100, "iron": 1, "wood": 10} {
			if d, err := l.AllowN(t.Context(), key, want+1); err == nil {
				t.Errorf("%s: %d tokens: %+v; want ErrCostTooHigh", key, want+1, d)
			}
			if d := peek(t, l, key); d.Remaining != want {
				t.Errorf("%s: %+v; want %d tokens", key, d, want)
			}
			if got := burstOf(t, l, key); got != want {
				t.Errorf("%s: a burst of %d; want %d", key, got, want)
			}
			if d := allow(t, l, key); d.RetryAfter <= 0 || d.RetryAfter > time.Second/time.Duration(want) {
				t.Errorf("%s: retry after %v; want the time of its token at most", key, d.RetryAfter)
			}
			time.Sleep(2 * time.Second)
			if d, err := l.AllowUpTo(t.Context(), key, 1000); d.Granted != want || err != nil {
				t.Errorf("%s: %+v, %v; want %d", key, d, err, want)
			}
		}
	})
}

// LimitFor is not asked by every call, and its answer is not kept for ever.
func TestLimitForIsAskedNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked, tokens atomic.Int64
		tokens.Store(5)
		r := join(t, memory.New(memory.Options{}).Stores(), fleet.Config{LimitFor: func(string, string) (domain.Limit, bool) {
			asked.Add(1)
			return domain.PerSecond(tokens.Load()), true
		}})
		policy := domain.RateLimit{Name: "api", Limit: domain.PerSecond(10), Keyed: true}
		l := r.limiter(policy)
		for range 100 {
			allow(t, l, "a")
		}
		time.Sleep(9 * time.Second)
		if burstOf(t, l, "a"); asked.Load() != 1 {
			t.Errorf("asked %d times within ten seconds; want once", asked.Load())
		}
		tokens.Store(3)
		time.Sleep(2 * time.Second)
		if got := burstOf(t, l, "a"); got != 3 || asked.Load() != 2 {
			t.Errorf("a burst of %d, asked %d times; want the new 3, and two", got, asked.Load())
		}
		policy.Outage = domain.OutageOpen
		if err := l.Update(policy); err != nil {
			t.Fatal(err)
		}
		if burstOf(t, l, "a"); asked.Load() != 3 {
			t.Errorf("asked %d times; want again after an update", asked.Load())
		}
		plain := r.limiter(domain.RateLimit{Name: "plain", Limit: domain.PerSecond(10)})
		if got := burstOf(t, plain, "a"); got != 10 || asked.Load() != 3 {
			t.Errorf("a limit without keys: a burst of %d, asked %d times", got, asked.Load())
		}
	})
}

// What cannot be meant is told once, and harms nobody.
func TestATierThatCannotBeMeant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := join(t, memory.New(memory.Options{}).Stores(), fleet.Config{LimitFor: func(_, key string) (domain.Limit, bool) {
			if key == "slow" {
				return domain.PerHour(1), true // slower than the policy's second band
			}
			return domain.Limit{Tokens: -1}, true
		}})
		l := r.limiter(domain.RateLimit{Name: "api", Limit: domain.PerSecond(10), Also: domain.Bands{domain.PerMinute(30)}, Keyed: true})
		for _, key := range []string{"slow", "nonsense", "more nonsense"} {
			if got := burstOf(t, l, key); got != 10 {
				t.Errorf("%s: a burst of %d; want the policy's", key, got)
			}
		}
		synctest.Wait()
		r.wantKinds(domain.EventSettings)
	})
}

// A replica that comes back pays a key's bill by the key's numbers: under the
// limit's own, which are stricter here, the whole fleet would have those.
func TestTheBillOfATier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, stores := newFaulty(memory.New(memory.Options{}).Stores())
		r := join(t, stores, fleet.Config{LimitFor: func(string, string) (domain.Limit, bool) { return domain.PerSecond(100), true }})
		l := r.limiter(domain.RateLimit{Name: "api", Limit: domain.PerSecond(10), Keyed: true})
		peek(t, l, "a")
		synctest.Wait()
		store.set(isBroken)
		bringDown(t, r, l, "a")
		time.Sleep(500 * time.Millisecond)
		if got := burstOf(t, l, "a"); got != 50 {
			t.Errorf("%d admitted; want 50", got)
		}
		store.requests()
		store.set(nil)
		bringUp(t, r, l, "a")
		time.Sleep(5 * time.Second)
		billed := int64(0)
		for _, asked := range store.requests() {
			if asked.Rule.Bands[0].Burst() != 100 {
				t.Errorf("%+v; want the key's numbers", asked)
			}
			if asked.Bill != 0 {
				billed += asked.Cost
			}
		}
		if billed != 50 {
			t.Errorf("billed %d; want 50", billed)
		}
	})
}
