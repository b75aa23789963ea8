package fleet_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
)

var fullEvents = []domain.EventKind{domain.EventKeysFull}

// Where room is needed, the key that was called longest ago gives its breaker up, once
// its window is empty; further keys go without until then, and are told of.
func TestRoomForKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := joinKeyed(t, domain.CircuitBreaker{MaxKeys: 3, FailureThreshold: 1, Window: 8 * time.Second})
		for _, key := range []string{"a", "b", "c"} {
			r.call(domain.Success, key)
			time.Sleep(time.Second)
		}
		r.call(domain.Success, "a") // at 3 s: a tick of the window later, and so b is the oldest
		r.call(domain.Failure, "d", "d", "d")
		r.wantState("none", "d")
		time.Sleep(7*time.Second - 1) // b's window is empty 8 s after 1 s, and a tick of 1 s later that is known
		r.call(domain.Failure, "d")
		r.wantState("none", "d")
		r.wantState("closed", "a", "b", "c")
		time.Sleep(time.Nanosecond)
		r.call(domain.Failure, "d")
		r.refuse("d", 30*time.Second)
		r.wantState("none", "b")
		r.wantState("closed", "a", "c")
		r.call(domain.Success, "e")
		r.wantState("none", "b", "e")
		if k := r.breaker.Keys(); k.Unprotected != 5 {
			t.Errorf("%d calls went without a breaker; want 5", k.Unprotected)
		}
		r.wantKeys(3, 1)
	})
}

// An open breaker is never given up for a new key: that would be a free pass.
func TestOpenKeysAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := joinKeyed(t, domain.CircuitBreaker{
			MaxKeys: 4, FailureThreshold: 1, Window: time.Second, RecoveryTimeout: time.Hour, MaxRecoveryTimeout: 2 * time.Hour,
		})
		open := names("open", 4)
		r.call(domain.Failure, open...)
		end := time.Now().Add(time.Hour)
		for range 50 {
			time.Sleep(time.Minute)
			r.call(domain.Success, names("new", 20)...)
		}
		r.wantState("open", open...)
		for _, key := range open {
			r.refuse(key, time.Until(end))
		}
		// At its end, and for as long again as it could be open, it is known that the next
		// call is a probe.
		time.Sleep(time.Until(end) + 2*time.Hour - 1)
		r.call(domain.Success, names("new", 20)...)
		r.wantState("open", open...)
		time.Sleep(time.Nanosecond)
		r.call(domain.Success, names("new", 20)...)
		r.wantState("closed", names("new", 4)...)
		r.wantState("none", open...)
	})
}

// Calls without a breaker are told of once a minute, with how many there were.
func TestNoRoomIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := joinKeyed(t, domain.CircuitBreaker{MaxKeys: 2, FailureThreshold: 1, RecoveryTimeout: time.Hour, MaxRecoveryTimeout: time.Hour})
		time.Sleep(time.Second)
		r.call(domain.Failure, "a", "b")
		r.wantTold(fullEvents)
		for range 125 { // s
			r.call(domain.Success, names("n", 10)...)
			time.Sleep(time.Second)
		}
		synctest.Wait()
		r.wantTold(fullEvents,
			"keys full: 2 keys are in use: 1 more calls went without a breaker",
			"keys full: 2 keys are in use: 600 more calls went without a breaker",
			"keys full: 2 keys are in use: 600 more calls went without a breaker")
	})
}

// Keys that nobody calls are forgotten after a minute, or after Window if that is longer,
// also where there is room.
func TestKeysLapse(t *testing.T) {
	for window, lately := range map[time.Duration]time.Duration{
		10 * time.Second: time.Minute, 10 * time.Minute: 10 * time.Minute,
	} {
		synctest.Test(t, func(t *testing.T) {
			r := joinKeyed(t, domain.CircuitBreaker{Window: window})
			r.call(domain.Success, "a", "b")
			time.Sleep(lately - 1)
			r.call(domain.Success, "b")
			r.wantState("closed", "a", "b")
			r.wantKeys(2, 0)
			time.Sleep(time.Nanosecond)
			r.wantKeys(1, 0)
			r.call(domain.Success, "c")
			r.wantState("none", "a")
			r.wantState("closed", "b", "c")
		})
	}
}

// While a call is out its key keeps its breaker, so that its outcome counts; but not for
// ever: somebody may have forgotten to report it.
func TestCallsOutKeepTheirKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := joinKeyed(t, domain.CircuitBreaker{MaxKeys: 1, FailureThreshold: 1, RecoveryTimeout: time.Second})
		out := r.admit("a")
		for range 59 {
			time.Sleep(time.Minute)
			r.call(domain.Failure, "b")
			r.wantState("none", "b")
		}
		out.Report(domain.Failure)
		r.refuse("a", time.Second)

		time.Sleep(time.Second)
		forgotten := []fleet.Permit{r.admit("a"), {}} // a probe, this time
		r.call(domain.Success, "b")
		r.wantState("none", "b")
		time.Sleep(2 * time.Hour) // and so long it stays out
		r.call(domain.Success, "b")
		r.wantState("closed", "b")
		for _, p := range forgotten {
			p.Report(domain.Failure)
		}
		r.wantState("none", "a")
		r.wantKeys(1, 0)
	})
}

// A million keys, some of them hostile, leave no more behind than MaxKeys allows.
func TestAMillionKeysAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys, most := 1_000_000, 1000
		if raceDetector {
			keys = 50_000
		}
		r := joinKeyed(t, domain.CircuitBreaker{MaxKeys: most, FailureThreshold: 1, RecoveryTimeout: 24 * time.Hour})
		r.call(domain.Failure, "sick")
		before := heap()
		for i := range keys {
			if i%500 == 0 {
				time.Sleep(time.Second) // so that windows run out, and some come to have a breaker
			}
			r.call(domain.Success, strconv.Itoa(i))
		}
		if kept := fleet.Kept(r.replica); kept["seats"] > most || kept["size of seats"] != kept["seats"] {
			t.Errorf("it keeps %d keys, of size %d", kept["seats"], kept["size of seats"])
		}
		if grown := int64(heap()) - int64(before); grown > 4<<20 { // 1.5 kB each, and what is left of bubbles
			t.Errorf("%d keys take %d bytes", most, grown)
		}
		r.wantState("open", "sick")
		if k := r.breaker.Keys(); k.Unprotected == 0 || k.Unprotected > int64(keys-most) {
			t.Errorf("%d calls went without a breaker", k.Unprotected)
		}
	})
}

// A long key counts as several, and one that never fits has no breaker, and takes none
// from others.
func TestLongKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := joinKeyed(t, domain.CircuitBreaker{MaxKeys: 10})
		r.call(domain.Success, names("k", 6)...)
		long := strings.Repeat("x", 3*512) // as 4
		r.call(domain.Success, long)
		r.wantState("closed", long)
		r.call(domain.Success, "one too many")
		r.wantState("none", "one too many")
		time.Sleep(12 * time.Second)
		huge := strings.Repeat("x", 1<<20)
		r.call(domain.Success, huge)
		r.wantState("none", huge)
		r.wantState("closed", long)
		r.wantState("closed", names("k", 6)...)
		r.call(domain.Success, long+"x")
		r.wantState("none", names("k", 4)...)
		r.wantState("closed", "k4", "k5", long, long+"x")
		if kept := fleet.Kept(r.replica); kept["seats"] != 4 || kept["size of seats"] != 10 {
			t.Errorf("it keeps %v", kept)
		}
	})
}

// At most so many open keys are listed, those that were called last.
func TestListOfOpenKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := joinKeyed(t, domain.CircuitBreaker{FailureThreshold: 1, RecoveryTimeout: time.Hour})
		r.call(domain.Failure, names("old", 10)...)
		time.Sleep(time.Hour / 2)
		r.call(domain.Failure, names("k", 95)...)
		listed := r.breaker.Keys().Opened
		if len(listed) != fleet.KeysListed || listed[0].Key != "k94" || listed[94].Key != "k0" || listed[95].Key != "old9" {
			t.Errorf("%d are listed: %+v", len(listed), listed)
		}
		for _, s := range listed {
			if s.Name != "cells" || s.State != domain.StateOpen || s.RetryAfter <= 0 {
				t.Errorf("listed as open: %+v", s)
			}
		}
		r.wantKeys(95, 95)
	})
}

// Many callers of many more keys than there is room for, with outcomes of all kinds: at
// the end nothing is out, every key counts once, and all that is kept can be given up.
func TestKeysUnderRace(t *testing.T) {
	const most = 32
	r := joinKeyed(t, domain.CircuitBreaker{
		MaxKeys: most, MaxOpenShare: 0.25, FailureThreshold: 3, SuccessThreshold: 1,
		Window: time.Millisecond, RecoveryTimeout: time.Millisecond, MaxRecoveryTimeout: 2 * time.Millisecond, ProbeLease: 5 * time.Millisecond,
	})
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 7))
			for range 4000 {
				r.oneCall(random)
			}
		})
	}
	all.Go(func() {
		for i := range 200 {
			p := r.breaker.Policy()
			p.MaxKeys = most - i%2
			if err := r.breaker.Update(p); err != nil {
				t.Error(err)
			}
			_ = r.breaker.Keys()
		}
	})
	all.Wait()
	kept := fleet.Kept(r.replica)
	if kept["seats"] > most || kept["size of seats"] != kept["seats"] || kept["calls out"] != 0 || kept["rows"] != kept["seats"] {
		t.Errorf("after all calls it keeps %v", kept)
	}
}

// oneCall is any call of any key.
func (r *keyedRig) oneCall(random *rand.Rand) {
	key := strconv.Itoa(random.IntN(100))
	if random.IntN(3) > 0 {
		key = strconv.Itoa(random.IntN(8)) // some are called often
	}
	p, err := r.breaker.Acquire(context.Background(), key)
	if err != nil {
		if !errors.Is(err, domain.ErrCircuitOpen) {
			r.tb.Errorf("key %s: %v", key, err)
		}
		return
	}
	if _, known := r.breaker.Status(key); !known && p != (fleet.Permit{}) {
		r.tb.Errorf("key %s lost its breaker while a call was out", key)
	}
	p.Report(domain.Outcome(random.IntN(4)))
	if random.IntN(10) == 0 {
		p.Report(domain.Failure) // does nothing
	}
}
