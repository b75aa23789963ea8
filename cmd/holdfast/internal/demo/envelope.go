package demo

import (
	"math"
	"time"
)

// worstInterval returns the most calls that any interval had beyond rate·t: the
// maximum of n − rate·t over all intervals, where n calls arrived within t. A
// limit with that rate and a burst of B keeps it at B or below. It returns 0 for
// no calls. The times are in order.
//
// An interval is worst when it begins and ends with a call. For the one that
// ends with call j, n − rate·t is (j − rate·tⱼ) − (i−1 − rate·tᵢ), so the best
// beginning is the smallest i − rate·tᵢ so far: one pass is exact.
func worstInterval(times []time.Duration, rate float64) float64 {
	worst, smallest := 0.0, math.Inf(1)
	for j, t := range times {
		due := rate * t.Seconds()
		smallest = min(smallest, float64(j)-due)
		worst = max(worst, float64(j+1)-due-smallest)
	}
	return worst
}
