package main

import (
	"math"
	"os"
	"testing"
	"time"
)

// inRegion is whether the tolerance was found to hold for s: see docs/wrongly-open.md.
func (s setting) inRegion() bool {
	return s.window <= s.recovery && s.long <= s.recovery && s.quorum <= 0.6 && s.suffices(5, 0)
}

// TestHeldOut holds the formula against the last draw, to a third and three standard
// deviations of the number of openings, as TestTheFormula does. HOLDFAST_HELDOUT=long plays
// all draws, four times each and for longer, and prints the table of docs/wrongly-open.md.
func TestHeldOut(t *testing.T) {
	if os.Getenv("HOLDFAST_HELDOUT") == "long" {
		for _, d := range draws() {
			d.table(t)
		}
		return
	}
	all := draws()
	last := all[len(all)-1]
	if raceDetector {
		last.settings = last.settings[:1]
	}
	for i, s := range last.settings {
		if !s.inRegion() {
			t.Errorf("%+v is not of the region", s)
		}
		s.hold(t, last.seed+100*uint64(i), s.lastingFor(150))
	}
}

// lastingFor is how long it takes until so many openings are to be expected.
func (s setting) lastingFor(openings float64) time.Duration {
	perSecond := s.openings() / (1 - s.again()) * (1 - s.wrongly())
	return time.Duration(openings / perSecond * float64(time.Second))
}

// table prints how far the formula is from four simulations of each setting, together.
func (d draw) table(t *testing.T) {
	t.Helper()
	const seeds = 4
	within, runs, least, most := 0, 0, math.Inf(1), 0.0
	for i, s := range d.settings {
		ratio := 0.0
		for seed := range uint64(seeds) {
			sim := simulate(t, s, d.seed+100*uint64(i)+seed, 200_000*time.Second)
			ratio += sim.share() / s.wrongly() / seeds
			if math.Abs(sim.share()/s.wrongly()-1) <= sim.allowed() {
				runs++
			}
		}
		t.Logf("%+v: %.2f times what is computed", s, ratio)
		least, most = min(least, ratio), max(most, ratio)
		if math.Abs(ratio-1) <= tolerance {
			within++
		}
	}
	n := len(d.settings)
	t.Logf("| %s | %d | %d | %d of %d | %.2f to %.2f |", d.of, n, within, runs, seeds*n, least, most)
}
