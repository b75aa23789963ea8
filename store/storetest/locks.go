package storetest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
)

// A LockMaker returns an empty store of locks, and what lets time pass for it: a store
// that goes by its server's time cannot be given a clock.
type LockMaker func(t *testing.T) (locks port.LockStore, pass func(time.Duration))

// A lockStep is one thing that a holder does with the lock, and whether it succeeds.
type lockStep struct {
	after time.Duration
	who   string
	does  string // lock, extend or unlock
	ok    bool
	why   string
}

// lockLasts is for how long the holders of the stories take and extend: so long that the
// time that the test itself takes is nothing beside it.
const lockLasts = time.Hour

// lockStories are what a store promises of a lock.
func lockStories() map[string][]lockStep {
	const most = lockLasts - time.Minute
	return map[string][]lockStep{
		"one has it at a time": {
			{0, "a", "lock", true, "it is free"},
			{0, "b", "lock", false, "and then is not"},
			{0, "a", "lock", false, "nor for its holder once more"},
			{0, "a", "unlock", true, ""},
			{0, "b", "lock", true, "it is free again"},
			{0, "b", "unlock", true, ""},
		},
		"a holder that dies loses it": {
			{0, "a", "lock", true, ""},
			{most, "b", "lock", false, "not before its time is over"},
			{time.Minute, "b", "lock", true, "and then at once"},
		},
		"who extends it keeps it": {
			{0, "a", "lock", true, ""},
			{most, "a", "extend", true, ""},
			{most, "a", "extend", true, "again and again"},
			{most, "b", "lock", false, "its time began anew each time"},
			{time.Minute, "b", "lock", true, "and is over when nobody does"},
		},
		"what was lost is not taken anew by extending it": {
			{0, "a", "lock", true, ""},
			{lockLasts, "a", "extend", false, "its time is over"},
			{0, "b", "lock", true, "so that it is free"},
			{0, "a", "extend", false, "it is another's"},
			{0, "b", "unlock", true, ""},
			{0, "a", "extend", false, "nor when that one has come and gone"},
			{0, "c", "lock", true, ""},
		},
		"what is another's is not given back": {
			{0, "a", "lock", true, ""},
			{lockLasts, "b", "lock", true, ""},
			{0, "a", "unlock", false, "it is another's"},
			{0, "c", "lock", false, "who has it still"},
			{0, "b", "extend", true, ""},
			{0, "b", "unlock", true, ""},
			{0, "b", "unlock", false, "it was given back"},
			{0, "b", "extend", false, "for good"},
		},
	}
}

// TestLocks is the conformance suite of a [port.LockStore].
func TestLocks(t *testing.T, newStore LockMaker) {
	t.Helper()
	for name, story := range lockStories() {
		t.Run(name, func(t *testing.T) {
			locks, pass := newStore(t)
			id, held, last := port.ID{Name: "x"}, make(map[string]port.Lock), uint64(0)
			for i, s := range story {
				if s.after > 0 {
					pass(s.after)
				}
				ok, token := playLock(t, locks, id, held, s)
				if ok != s.ok {
					t.Fatalf("step %d: %s: %s is %t; want %t: %s", i, s.who, s.does, ok, s.ok, s.why)
				}
				if s.does == "lock" && ok {
					if token <= last || token > 1<<53 {
						t.Errorf("step %d: the token %d comes after %d", i, token, last)
					}
					last = token
				}
			}
		})
	}
	t.Run("locks are apart, also those of hostile keys", func(t *testing.T) { locksAreApart(t, newStore) })
	t.Run("of many who ask at once no two have it", func(t *testing.T) { oneOfManyLocks(t, newStore) })
	t.Run("who is not waited for is not heeded", func(t *testing.T) {
		locks, _ := newStore(t)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		_, ok, err := locks.Lock(gone, port.ID{Name: "x"}, lockLasts)
		wantLockRefused(t, ok, err)
		held, ok, err := locks.Lock(t.Context(), port.ID{Name: "x"}, lockLasts)
		if !ok || err != nil {
			t.Fatalf("a lock that nobody has: %t, %v", ok, err)
		}
		ok, err = held.Extend(gone, lockLasts)
		wantLockRefused(t, ok, err)
		ok, err = held.Unlock(gone)
		wantLockRefused(t, ok, err)
		if ok, err = held.Extend(t.Context(), lockLasts); !ok || err != nil {
			t.Errorf("after all that it is not held any more: %t, %v", ok, err)
		}
	})
}

// playLock does one step.
func playLock(t *testing.T, locks port.LockStore, id port.ID, held map[string]port.Lock, s lockStep) (ok bool, token uint64) {
	t.Helper()
	var err error
	switch s.does {
	case "lock":
		var lock port.Lock
		if lock, ok, err = locks.Lock(t.Context(), id, lockLasts); ok {
			held[s.who], token = lock, lock.Token()
		}
	case "extend":
		ok, err = held[s.who].Extend(t.Context(), lockLasts)
	case "unlock":
		ok, err = held[s.who].Unlock(t.Context())
	}
	if err != nil {
		t.Fatalf("%s: %s: %v", s.who, s.does, err)
	}
	return ok, token
}

func wantLockRefused(t *testing.T, ok bool, err error) {
	t.Helper()
	if _, said := errors.AsType[*domain.StoreError](err); !said || ok {
		t.Errorf("%t, %v; want a *StoreError", ok, err)
	}
}

func locksAreApart(t *testing.T, newStore LockMaker) {
	t.Helper()
	locks, _ := newStore(t)
	for _, id := range []port.ID{
		{Name: "x"},
		{Name: "y"},
		{Name: "xy"},
		{Name: "x.fence"},
		{Name: "x", Key: "y"},
		{Name: "x", Key: "z"},
		{Name: "x", Key: "}:{ly"},
		{Name: "x", Key: "\x00"},
		{Name: "x", Key: strings.Repeat("k", 1000)},
		{Name: "x", Key: strings.Repeat("k", 1001)},
	} {
		if _, ok, err := locks.Lock(t.Context(), id, lockLasts); !ok || err != nil {
			t.Errorf("%q: %t, %v; want that it is free", id, ok, err)
		}
		if _, ok, err := locks.Lock(t.Context(), id, lockLasts); ok || err != nil {
			t.Errorf("%q again: %t, %v; want that it is taken", id, ok, err)
		}
	}
}

func oneOfManyLocks(t *testing.T, newStore LockMaker) {
	t.Helper()
	locks, _ := newStore(t)
	var all sync.WaitGroup
	var got atomic.Int32
	for range 16 {
		all.Go(func() {
			_, ok, err := locks.Lock(t.Context(), port.ID{Name: "x"}, lockLasts)
			if err != nil {
				t.Error(err)
			}
			if ok {
				got.Add(1)
			}
		})
	}
	all.Wait()
	n := got.Load()
	if n > 1 {
		t.Errorf("%d have it; want one", n)
	}
	// On several servers each may have let another one through: then none has it for long.
	if _, ok, err := locks.Lock(t.Context(), port.ID{Name: "x"}, lockLasts); ok != (n == 0) || err != nil {
		t.Errorf("afterwards: %t, %v; %d had it", ok, err, n)
	}
}
