package fleet_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/store/memory"
)

func banded(outage domain.Outage) domain.RateLimit {
	return domain.RateLimit{
		Name: "api", Limit: domain.PerSecond(10), Outage: outage,
		Also: domain.Bands{domain.PerMinute(60).WithBurst(20), domain.PerHour(1800).WithBurst(100)},
	}
}

// One who never stops asking gets what the strictest band gives at each time:
// first the burst of the fast one, in the end the rate of the slowest.
func TestBandsTakeTurnsToLimit(t *testing.T) {
	onEachStore(t, func(t *testing.T, stores port.Stores) {
		l := join(t, stores, fleet.Config{}).limiter(banded(domain.OutageClosed))
		admitted, refused := 0, [3]int{}
		start := time.Now()
		for _, row := range []struct {
			after time.Duration
			want  int // the burst of the strictest band, and what it earned
			by    int
		}{
			{0, 10, 0},
			{time.Second, 20, 0},
			{30 * time.Second, 50, 1},
			{10 * time.Minute, 400, 2},
		} {
			for time.Since(start) <= row.after {
				d := allow(t, l, "")
				if d.Allowed {
					admitted++
					continue
				}
				refused[d.Band]++
				if time.Since(start)+d.RetryAfter > row.after {
					break
				}
				time.Sleep(d.RetryAfter)
			}
			if admitted != row.want || refused[row.by] == 0 {
				t.Fatalf("%d admitted after %v, refused by %v; want %d, and band %d to refuse", admitted, row.after, refused, row.want, row.by)
			}
		}
	})
}

// A denial by a slow band is answered from memory, too, and says which it was.
func TestADenialByASlowBandIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, stores := newFaulty(memory.New(memory.Options{}).Stores())
		stores.Members = nil
		l := join(t, stores, fleet.Config{}).limiter(domain.RateLimit{
			Name: "api", Limit: domain.PerSecond(10), Also: domain.Bands{domain.PerMinute(12)},
		})
		allowN(t, l, "", 10)
		time.Sleep(time.Second)
		allowN(t, l, "", 2)
		first := allow(t, l, "")
		if first.Allowed || first.Band != 1 || first.RetryAfter != 4*time.Second {
			t.Fatalf("%+v; want band 1 to refuse for 4 s", first)
		}
		calls := store.asked.Load()
		time.Sleep(time.Second - time.Microsecond)
		if d := allow(t, l, ""); d.Band != 1 || d.RetryAfter != 3*time.Second+time.Microsecond || store.asked.Load() != calls {
			t.Errorf("%+v, with %d store calls; want it denied from memory", d, store.asked.Load()-calls)
		}
		if d := allowN(t, l, "", 2); d.Band != 1 || d.RetryAfter != 8*time.Second+time.Microsecond || store.asked.Load() != calls {
			t.Errorf("2 tokens: %+v, with %d store calls; want it denied from memory, for five seconds more", d, store.asked.Load()-calls)
		}
	})
}

// A replica's share of an outage has all bands, and the bill for it is as large
// as the largest of them can take.
func TestBandsInAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, stores := newFaulty(memory.New(memory.Options{}).Stores())
		r := join(t, stores, fleet.Config{})
		l := r.limiter(banded(domain.OutageLocalShare))
		peek(t, l, "")
		synctest.Wait()
		store.set(isBroken)
		bringDown(t, r, l, "")
		admitted, last := 0, domain.Decision{}
		for start := time.Now(); time.Since(start) <= time.Minute; time.Sleep(50 * time.Millisecond) {
			if last = allow(t, l, ""); last.Allowed {
				admitted++
			}
		}
		if admitted != 30 {
			t.Errorf("%d admitted; want 30: the slowest band, which starts empty, earns one in two seconds", admitted)
		}
		if last = allow(t, l, ""); last.Allowed || last.Band != 2 {
			t.Errorf("%+v; want band 2 to refuse", last)
		}
		store.requests()
		store.set(nil)
		bringUp(t, r, l, "")
		time.Sleep(20 * time.Second)
		billed := int64(0)
		for _, asked := range store.requests() {
			if asked.Bill != 0 {
				billed += asked.Cost
			}
		}
		if billed != 30 {
			t.Errorf("a bill of %d; want all 30, although the fast band holds ten", billed)
		}
	})
}

// A denier denies, by a band that there may not be.
type denier struct{ port.BucketStore }

func (denier) Take(_ context.Context, in []port.TakeRequest, out []port.TakeReply) {
	for i := range in {
		out[i] = port.TakeReply{RetryAfter: time.Second, Band: 3}
	}
}

// A store that names a band which the limit has not is believed, and harms nobody.
func TestABandThatIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := join(t, port.Stores{Buckets: denier{}}, fleet.Config{}).limiter(domain.RateLimit{Name: "api", Limit: domain.PerSecond(10)})
		for _, cost := range []int64{1, 5} {
			want := domain.Decision{Band: 3, RetryAfter: time.Second + time.Duration(cost-1)*100*time.Millisecond}
			if d := allowN(t, l, "", cost); d != want {
				t.Errorf("cost %d: %+v; want %+v", cost, d, want)
			}
		}
	})
}
