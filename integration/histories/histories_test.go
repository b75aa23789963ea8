package histories

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// env makes the run long: `make histories` sets it.
const env = "HOLDFAST_HISTORIES"

// The calls of each story, of which there are four.
const (
	shortRun = 1_000
	longRun  = 51_000
)

// TestHistories is the stories: what goes wrong while the workers call. Each
// goes on until there are enough calls.
func TestHistories(t *testing.T) {
	for _, story := range []struct {
		what string
		play func(f *fleet)
	}{
		{"replies are lost and connections reset", repliesAreLost},
		{"processes and servers are killed", killed},
		{"processes and servers are stopped", stopped},
		{"servers fail over and lose writes", failOver},
	} {
		t.Run(story.what, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			t.Cleanup(func() { goleak.VerifyNone(t, before) }) // the last one
			f := startFleet(t, false)
			f.lose(5, 2)
			for enough := f.replies.Load() + calls(); f.replies.Load() < enough; {
				story.play(f)
			}
			h := f.end()
			h.check(t)
			if h.unknown == 0 {
				t.Error("no outcome is unknown: nothing was put to the test")
			}
		})
	}
}

func calls() int64 {
	if os.Getenv(env) == "long" {
		return longRun
	}
	return shortRun
}
