package gobreaker

import "github.com/holdfast-go/holdfast/domain"

// Counts are how many of this replica's calls there were, and what came of them, since
// the state last changed, within Interval. TotalExclusions are those that said
// nothing of the dependency.
type Counts struct {
	Requests             uint32
	TotalSuccesses       uint32
	TotalFailures        uint32
	TotalExclusions      uint32
	ConsecutiveSuccesses uint32
	ConsecutiveFailures  uint32
}

// count counts what came of a call.
func (c *Counts) count(o domain.Outcome) {
	switch o {
	case domain.Success:
		c.TotalSuccesses++
		c.ConsecutiveSuccesses++
		c.ConsecutiveFailures = 0
	case domain.Ignored:
		c.TotalExclusions++
	default:
		c.TotalFailures++
		c.ConsecutiveFailures++
		c.ConsecutiveSuccesses = 0
	}
}

// onTrial is how many calls were let through that may still say something.
func (c *Counts) onTrial() uint32 { return c.Requests - min(c.TotalExclusions, c.Requests) }

// drop takes the totals of a bucket away; a row may go on.
func (c *Counts) drop(b Counts) {
	c.Requests -= b.Requests
	c.TotalSuccesses -= b.TotalSuccesses
	c.TotalFailures -= b.TotalFailures
	c.TotalExclusions -= b.TotalExclusions
}

// A window holds Counts in buckets, of which the oldest leave as time goes by.
type window struct {
	sum     Counts
	buckets []Counts // a ring
	turn    int64    // the number of the bucket that is filled now
}

// moveTo makes turn the bucket that is filled now.
func (w *window) moveTo(turn int64) {
	size := int64(len(w.buckets))
	if turn-w.turn >= size {
		w.clear()
	}
	for w.turn < turn {
		w.turn = max(w.turn+1, turn-size)
		oldest := &w.buckets[w.turn%size]
		w.sum.drop(*oldest)
		*oldest = Counts{}
	}
	if w.sum.Requests == 0 {
		w.sum = Counts{} // nor is there a row that they could be of
	}
}

func (w *window) clear() {
	w.sum = Counts{}
	clear(w.buckets)
}

func (w *window) begin() {
	w.sum.Requests++
	w.buckets[w.turn%int64(len(w.buckets))].Requests++
}

// end counts what came of a call that began in the bucket of that turn; one that has
// left is forgotten, as its beginning is.
func (w *window) end(turn int64, o domain.Outcome) {
	if w.turn-turn >= int64(len(w.buckets)) {
		return
	}
	w.sum.count(o)
	w.buckets[turn%int64(len(w.buckets))].count(o)
}
