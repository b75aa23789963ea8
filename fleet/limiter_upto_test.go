package fleet_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/store/memory"
)

func upTo(t *testing.T, l *fleet.Limiter, most int64) domain.Decision {
	t.Helper()
	d, err := l.AllowUpTo(t.Context(), "", most)
	if err != nil {
		t.Fatalf("AllowUpTo(%d): %v", most, err)
	}
	return d
}

// cases.md part 2, 12: a part is taken where not all is there, and what is
// charged is what is granted.
func TestLimitCase12APartIsChargedAsGranted(t *testing.T) {
	onEachStore(t, func(t *testing.T, stores port.Stores) {
		l := join(t, stores, fleet.Config{}).limiter(domain.RateLimit{Name: "api", Limit: domain.PerSecond(10)})
		for i, row := range []struct {
			after   time.Duration
			most    int64
			granted int64
			left    int64
			retry   time.Duration
		}{
			{0, 4, 4, 6, 0},
			{0, 9, 6, 0, 0},
			{0, 3, 0, 0, 100 * time.Millisecond},
			{100 * time.Millisecond, 1, 1, 0, 0},
			{250 * time.Millisecond, 5, 2, 0, 0},
			{50 * time.Millisecond, 5, 1, 0, 0},
			{time.Hour, 1 << 60, 10, 0, 0},
			{time.Hour, 10, 10, 0, 0},
		} {
			time.Sleep(row.after)
			d := upTo(t, l, row.most)
			want := domain.Decision{Allowed: row.granted > 0, Granted: row.granted, Remaining: row.left, RetryAfter: row.retry}
			if d != want {
				t.Fatalf("step %d, at most %d: %+v; want %+v", i, row.most, d, want)
			}
		}
	})
}

// Those who ask for parts at the same time share a store call, and each has its
// own part: first come, first served.
func TestPartsInOneFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, stores := hold(memory.New(memory.Options{}).Stores())
		l := join(t, stores, fleet.Config{}).limiter(domain.RateLimit{Name: "api", Limit: domain.PerSecond(10)})
		first := ask(t, l, 1)
		granted := make([]int64, 4)
		for i := range granted {
			go func() {
				d, err := l.AllowUpTo(t.Context(), "", 4)
				if err != nil || d.Allowed != (d.Granted > 0) {
					t.Errorf("%+v, %v", d, err)
				}
				granted[i] = d.Granted
			}()
			synctest.Wait()
		}
		h.release(t)
		first.wants(t, true, nil)
		h.release(t)
		synctest.Wait()
		if want := [4]int64{4, 4, 1, 0}; [4]int64(granted) != want {
			t.Errorf("granted %v; want %v", granted, want)
		}
	})
}

// Without the store a part of this replica's share is taken, and billed.
func TestPartsInAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, stores := newFaulty(memory.New(memory.Options{}).Stores())
		r := join(t, stores, fleet.Config{})
		l := r.limiter(domain.RateLimit{Name: "api", Limit: domain.PerSecond(10)})
		peek(t, l, "")
		synctest.Wait()
		store.set(isBroken)
		bringDown(t, r, l, "")
		time.Sleep(350 * time.Millisecond)
		if d := upTo(t, l, 9); d.Granted != 3 || !d.Degraded {
			t.Errorf("%+v; want the three that the share has earned", d)
		}
		if d := upTo(t, l, 9); d.Allowed || d.Granted != 0 || d.RetryAfter != 50*time.Millisecond {
			t.Errorf("%+v; want none, and the next in 50 ms", d)
		}
		store.requests()
		store.set(nil)
		bringUp(t, r, l, "")
		time.Sleep(5 * time.Second)
		billed := int64(0)
		for _, asked := range store.requests() {
			if asked.Bill != 0 {
				billed += asked.Cost
			}
		}
		if billed != 3 {
			t.Errorf("billed %d; want 3", billed)
		}
	})
}

func TestUpToNothingIsMisuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := join(t, memory.New(memory.Options{}).Stores(), fleet.Config{}).limiter(domain.RateLimit{Name: "api", Limit: domain.PerSecond(10)})
		for _, most := range []int64{0, -1} {
			if d, err := l.AllowUpTo(t.Context(), "", most); err == nil || !strings.Contains(err.Error(), "less than one token") || d != (domain.Decision{}) {
				t.Errorf("AllowUpTo(%d) = %+v, %v; want an error", most, d, err)
			}
		}
		if d := peek(t, l, ""); d.Remaining != 10 {
			t.Errorf("%+v; want nothing taken", d)
		}
	})
}
