package histories

import (
	"os"
	"slices"
	"testing"

	"go.uber.org/goleak"
)

// env makes the run long: `make histories` sets it.
const env = "HOLDFAST_HISTORIES"

// The calls of a run, and some more.
const (
	shortRun = 4_000
	longRun  = 202_000 // of which nobody hears that a few were never executed
)

// TestHistories plays the stories, in any order, until there were enough calls,
// and judges what happened. Then it judges forgeries of that.
func TestHistories(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) }) // the last one
	f := startFleet(t, false)
	f.nextRound()
	f.await(400) // all is well, of which the forgeries are told
	f.lose(5, 2)
	for enough := f.replies.Load() + calls(); f.replies.Load() < enough; {
		all := stories()
		f.rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		for _, play := range all {
			f.nextRound()
			play(f)
		}
	}
	h := f.end()
	h.check(t)
	if h.unknown == 0 || len(h.losses) == 0 {
		t.Errorf("%d unknown outcomes, %d losses: nothing was put to the test", h.unknown, len(h.losses))
	}
	if !t.Failed() {
		t.Run("forgeries are found", func(t *testing.T) { h.forgeries(t, f.rng) })
	}
}

func calls() int64 {
	if os.Getenv(env) == "long" {
		return longRun
	}
	return shortRun
}

// TestRetriesAreFound: a client that asks again for a lost reply has it executed
// twice, now and then, and no order explains that.
func TestRetriesAreFound(t *testing.T) {
	f := startFleet(t, true)
	f.nextRound()
	f.lose(100, 50)
	f.await(800)
	if keys := f.end().illegal(t); len(keys) == 0 {
		t.Error("nothing tells of calls that were executed twice")
	} else {
		t.Logf("%d keys tell of it: %s", len(keys), slices.Sorted(slices.Values(keys)))
	}
}
