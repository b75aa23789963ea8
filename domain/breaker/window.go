package breaker

import "time"

// slots is how many parts a window has. An outcome counts for at least 9/10 of
// the window and never longer than it.
const slots = 10

// tally counts outcomes: those of the dependency, of which some failed and some were
// slow, and this replica's own trouble.
type tally struct{ calls, failures, slow, own int64 }

func (t *tally) add(o tally, sign int64) {
	t.calls += sign * o.calls
	t.failures += sign * o.failures
	t.slow += sign * o.slow
	t.own += sign * o.own
}

// A window is the sum of the last slots.
type window struct {
	slot  time.Duration // length of one
	last  int64         // number of the newest slot since time zero
	parts [slots]tally
	sum   tally
}

// advance drops the slots that are too old at now.
func (w *window) advance(now time.Duration) {
	current := int64(now / w.slot)
	if current-w.last >= slots {
		w.parts, w.sum, w.last = [slots]tally{}, tally{}, current
		return
	}
	for w.last < current {
		w.last++
		part := &w.parts[w.last%slots]
		w.sum.add(*part, -1)
		*part = tally{}
	}
}

func (w *window) count(now time.Duration, t tally) {
	w.advance(now)
	w.parts[w.last%slots].add(t, 1)
	w.sum.add(t, 1)
}

func (w *window) clear() { w.parts, w.sum = [slots]tally{}, tally{} }
