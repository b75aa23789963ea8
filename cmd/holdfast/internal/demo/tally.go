package demo

import "time"

// A tally is what the load generator of one replica counted since its start.
// Attempts are counted, not calls: each asks the breaker and the limit anew.
type tally struct {
	Succeeded int64     `json:"succeeded"` // the downstream answered well
	Failed    int64     `json:"failed"`    // it did not, or could not be reached
	Limited   int64     `json:"limited"`   // refused by the limit
	Refused   int64     `json:"refused"`   // refused by the breaker
	Undecided int64     `json:"undecided"` // neither: the store could not decide
	StoreTime histogram `json:"store_time"`
}

// decisions is how often breaker and limit were asked.
func (t tally) decisions() int64 {
	return t.Succeeded + t.Failed + t.Limited + t.Refused + t.Undecided
}

// A histogram counts durations by the millisecond in which they end; the last
// place holds all that are longer.
type histogram []int64

// histogramEnd is where single milliseconds end to matter.
const histogramEnd = 1000

// add counts d.
func (h *histogram) add(d time.Duration) {
	place := min(max(int(d/time.Millisecond), 0), histogramEnd)
	for len(*h) <= place {
		*h = append(*h, 0)
	}
	(*h)[place]++
}

// merge adds all that other counted.
func (h *histogram) merge(other histogram) {
	for len(*h) < len(other) {
		*h = append(*h, 0)
	}
	for place, n := range other {
		(*h)[place] += n
	}
}

// quantile is a duration that at least the share q of all is not above, rounded
// up to the millisecond; false when nothing was counted.
func (h *histogram) quantile(q float64) (time.Duration, bool) {
	var all, below int64
	for _, n := range *h {
		all += n
	}
	for place, n := range *h {
		below += n
		if n > 0 && float64(below) >= q*float64(all) {
			return time.Duration(place+1) * time.Millisecond, true
		}
	}
	return 0, false
}
