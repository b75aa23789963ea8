package memory_test

import (
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/store/memory"
)

// A hand is a clock that is set by hand.
type hand struct{ time.Time }

func (h *hand) now() time.Time { return h.Time }

func (h *hand) move(d time.Duration) { h.Time = h.Add(d) }

// lockFor takes a lock for ten seconds.
func lockFor(t *testing.T, locks port.LockStore) (port.Lock, bool) {
	t.Helper()
	lock, ok, err := locks.Lock(t.Context(), port.ID{Name: "report"}, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return lock, ok
}

// A clock that steps back lets a lock last for its whole time again, and no longer: it does
// not wait for the clock to come back.
func TestLocksAndAClockThatStepsBack(t *testing.T) {
	t.Parallel()
	clock := &hand{time.Unix(1_795_000_000, 0)}
	locks := memory.New(memory.Options{Now: clock.now}).Stores().Locks
	lockFor(t, locks)
	clock.move(-time.Hour)
	for after, want := range []bool{false, false, true} {
		if _, ok := lockFor(t, locks); ok != want {
			t.Errorf("%d s after the step it is free: %t", after*5, ok)
		}
		clock.move(5 * time.Second)
	}
}

// Tokens go on to grow when the process, and its store with it, begins anew: what they
// guard remembers the last one.
func TestTokensOutliveTheStore(t *testing.T) {
	t.Parallel()
	clock := &hand{time.Unix(1_795_000_000, 0)}
	last := uint64(0)
	for range 3 {
		lock, ok := lockFor(t, memory.New(memory.Options{Now: clock.now}).Stores().Locks)
		if !ok || lock.Token() <= last {
			t.Errorf("of a new store: %t, %d after %d", ok, lock.Token(), last)
		}
		last = lock.Token()
		clock.move(time.Microsecond)
	}
}
