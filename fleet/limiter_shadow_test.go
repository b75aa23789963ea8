package fleet_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/store/memory"
)

// A limit that is tried out charges what it admits, and says what it would have
// refused.
func TestShadowRefusesNothing(t *testing.T) {
	onEachStore(t, func(t *testing.T, stores port.Stores) {
		l := join(t, stores, fleet.Config{}).limiter(domain.RateLimit{
			Name: "api", Limit: domain.PerSecond(2), Also: domain.Bands{domain.PerMinute(3)}, Shadow: true,
		})
		for i, row := range []struct {
			after time.Duration
			cost  int64
			want  domain.Decision
		}{
			{0, 1, domain.Decision{Allowed: true, Granted: 1, Remaining: 1}},
			{0, 2, domain.Decision{Allowed: true, Shadowed: true, Remaining: 1, RetryAfter: time.Second / 2}},
			{0, 1, domain.Decision{Allowed: true, Granted: 1}},
			{0, 1, domain.Decision{Allowed: true, Shadowed: true, RetryAfter: time.Second / 2}},
			{time.Second, 2, domain.Decision{Allowed: true, Shadowed: true, Band: 1, Remaining: 1, RetryAfter: 19 * time.Second}},
			{0, 1, domain.Decision{Allowed: true, Granted: 1}},
			{0, 3, domain.Decision{Allowed: true, Shadowed: true}}, // above the burst
		} {
			time.Sleep(row.after)
			d := allowN(t, l, "", row.cost)
			if d.Shadowed { // the store tells it; the memory of a denial does not
				d.Remaining = row.want.Remaining
			}
			if d != row.want {
				t.Fatalf("step %d: %+v; want %+v", i, d, row.want)
			}
		}
		if d, err := l.AllowUpTo(t.Context(), "", 2); !d.Allowed || !d.Shadowed || d.Granted != 0 || err != nil {
			t.Errorf("AllowUpTo = %+v, %v; want it allowed with nothing granted", d, err)
		}
	})
}

// What a limit in shadow cannot decide it lets pass, and says so; what no limit
// can mean stays an error.
func TestErrorsInShadow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, stores := newFaulty(memory.New(memory.Options{}).Stores())
		r := join(t, stores, fleet.Config{})
		l := r.limiter(domain.RateLimit{Name: "api", Limit: domain.PerSecond(2), Keyed: true, Outage: domain.OutageClosed, Shadow: true})
		store.set(isBroken)
		done, cancel := context.WithCancel(t.Context())
		cancel()
		passes := domain.Decision{Allowed: true, Shadowed: true}
		for name, row := range map[string]struct {
			ctx  context.Context //nolint:containedctx // a row of a table
			key  string
			cost int64
			want domain.Decision
			err  bool
		}{
			"the store is down":   {t.Context(), "a", 1, domain.Decision{Allowed: true, Shadowed: true, Degraded: true}, false},
			"no key":              {t.Context(), "", 1, passes, false},
			"more than the burst": {t.Context(), "a", 3, passes, false},
			"a negative cost":     {t.Context(), "a", -1, domain.Decision{}, true},
			"nobody waits":        {done, "a", 1, domain.Decision{}, true},
		} {
			if d, err := l.AllowN(row.ctx, row.key, row.cost); d != row.want || (err != nil) != row.err {
				t.Errorf("%s: %+v, %v; want %+v", name, d, err, row.want)
			}
		}
		r.close()
		if d, err := l.Allow(t.Context(), "a"); !errors.Is(err, domain.ErrClosed) || d.Allowed {
			t.Errorf("after Close: %+v, %v; want ErrClosed", d, err)
		}
	})
}
