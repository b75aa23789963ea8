package fleet_test

import (
	"errors"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet"
)

// An operator lets one key through, shuts it out, and starts it afresh; the others
// are as they were.
func TestOperatorsOfOneKey(t *testing.T) {
	onEachStore(t, func(t *testing.T, stores port.Stores) {
		l := join(t, stores, fleet.Config{}).limiter(domain.RateLimit{Name: "api", Limit: domain.PerMinute(10), Keyed: true})
		ctx := t.Context()
		for range 10 {
			allow(t, l, "a")
			allow(t, l, "b")
		}
		if d := allow(t, l, "a"); d.Allowed {
			t.Fatalf("%+v; want the limit reached", d)
		}
		do := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		do(l.Grant(ctx, "a", 2))
		if first, second, third := allow(t, l, "a"), allow(t, l, "a"), allow(t, l, "a"); !first.Allowed || !second.Allowed || third.Allowed {
			t.Errorf("two tokens were granted, and then: %+v, %+v, %+v", first, second, third)
		}
		do(l.Reset(ctx, "a"))
		if d := allowN(t, l, "a", 10); !d.Allowed {
			t.Errorf("after a reset: %+v", d)
		}
		do(l.Reset(ctx, "a"))
		do(l.Block(ctx, "a", time.Hour))
		if d := allow(t, l, "a"); d.Allowed || d.RetryAfter != time.Hour {
			t.Errorf("blocked for an hour: %+v", d)
		}
		if d := peek(t, l, "a"); d.Allowed || d.Remaining != 10 || d.RetryAfter != time.Hour {
			t.Errorf("a look at what is blocked: %+v", d)
		}
		time.Sleep(time.Hour)
		if d := allow(t, l, "a"); !d.Allowed {
			t.Errorf("after the block: %+v", d)
		}
		do(l.Block(ctx, "a", time.Hour))
		do(l.Block(ctx, "a", 0))
		if d := allow(t, l, "a"); !d.Allowed {
			t.Errorf("after the block was lifted: %+v", d)
		}
		if d := allowN(t, l, "b", 10); !d.Allowed {
			t.Errorf("another key: %+v", d)
		}
	})
}

// An order that cannot be carried out says so.
func TestOrdersThatFail(t *testing.T) {
	onLendingStore(t, func(t *testing.T, s *lendingStore) {
		p := leased(10, 10)
		p.Lease, p.Keyed = false, true
		w, l := s.joins(t, p, 1)
		if err := l.Grant(t.Context(), "a", 0); err == nil {
			t.Error("no token was granted without an error")
		}
		if err := l.Block(t.Context(), "a", -1); err == nil {
			t.Error("blocked for less than no time without an error")
		}
		if err := l.Block(t.Context(), "a", 1); err != nil || allow(t, l, "a").RetryAfter != time.Millisecond {
			t.Errorf("blocked for a ns: %v; want a ms", err)
		}
		time.Sleep(time.Millisecond)
		if err := l.Block(t.Context(), "a", 1<<63-1); err != nil || allow(t, l, "a").RetryAfter != 10*365*24*time.Hour {
			t.Errorf("blocked for ever: %v; want ten years", err)
		}
		if err := l.Reset(t.Context(), ""); !errors.Is(err, domain.ErrKeyMissing) {
			t.Errorf("without a key: %v", err)
		}
		s.set(isBroken)
		if err := l.Block(t.Context(), "a", time.Second); !errors.Is(err, domain.ErrStoreUnavailable) {
			t.Errorf("without a store: %v", err)
		}
		s.set(isSilent)
		start := time.Now()
		if err := l.Reset(t.Context(), "a"); !errors.Is(err, domain.ErrStoreUnavailable) || time.Since(start) > 50*time.Millisecond {
			t.Errorf("of a silent store: %v after %v", err, time.Since(start))
		}
		w.close()
		if err := l.Reset(t.Context(), "a"); !errors.Is(err, domain.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		s.stores.Buckets = struct{ port.BucketStore }{s.stores.Buckets}
		plain := join(t, s.stores, fleet.Config{}).limiter(p)
		if err := plain.Reset(t.Context(), "a"); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("of a store that takes none: %v", err)
		}
	})
}
