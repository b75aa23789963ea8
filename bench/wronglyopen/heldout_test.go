package main

import (
	"math"
	"os"
	"testing"
	"time"
)

// TestHeldOut holds the formula against all settings that were held out: what is measured
// is within a factor of two of it, beside chance. HOLDFAST_HELDOUT=long plays each four
// times and for longer, and prints the table of docs/wrongly-open.md.
func TestHeldOut(t *testing.T) {
	for i, d := range draws() {
		t.Run(string(rune('1'+i)), func(t *testing.T) {
			if os.Getenv("HOLDFAST_HELDOUT") == "long" {
				d.table(t)
				return
			}
			if raceDetector {
				d.settings = d.settings[:1]
			}
			for i, s := range d.settings {
				s.hold(t, d.seed+100*uint64(i), s.lastingFor(75), factor)
			}
		})
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
	thirds, factors, least, most := 0, 0, math.Inf(1), 0.0
	for i, s := range d.settings {
		ratio := 0.0
		for seed := range uint64(seeds) {
			ratio += simulate(t, s, d.seed+100*uint64(i)+seed, 200_000*time.Second).share() / s.wrongly() / seeds
		}
		t.Logf("%+v: %.2f times what is computed", s, ratio)
		least, most = min(least, ratio), max(most, ratio)
		if ratio >= 1-third && ratio <= 1+third {
			thirds++
		}
		if ratio >= 1/factor && ratio <= factor {
			factors++
		}
	}
	n := len(d.settings)
	t.Logf("| %s | %d | %d | %d | %.2f to %.2f |", d.of, n, thirds, factors, least, most)
}
