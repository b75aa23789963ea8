package bucket

import "github.com/holdfast-go/holdfast/domain"

// An Order makes an Ask what an operator wants of one bucket. Its Cost and Count
// are not looked at, and it is always granted, once.
type Order struct {
	// Tokens are added to each band, as far as there is room beside what is lent.
	// Below 0 none are. From eleven times the largest burst on, which fills the
	// bucket whatever it owes, the queue is forgotten: who waits is served beside.
	Tokens int64
	// BlockMilli is for how long nothing is granted, in ms; 0 ends a block, and
	// below 0 leaves it as it is.
	BlockMilli int64
}

// Refill is tokens that fill any bucket.
const Refill = (maxDebts + 1) * domain.MaxCredits

// MaxBlockMilli is the longest block, in ms: ten years.
const MaxBlockMilli = 10 * 365 * 24 * 3_600_000

// obey does what an operator wants.
func (st *State) obey(o *Order) {
	if o.Tokens >= st.Rule.Capacity()*(maxDebts+1) {
		st.Ahead = 0 // it is to be full
	}
	st.giveBack(max(o.Tokens, 0))
	switch {
	case o.BlockMilli == 0:
		st.Blocked = 0
	case o.BlockMilli > 0:
		st.Blocked = ceilDiv(st.AtMicro, 1000) + min(o.BlockMilli, MaxBlockMilli)
	}
}

// blockedMicro is how long the bucket is blocked still, in µs after AtMicro.
func (st *State) blockedMicro() int64 { return max(st.Blocked*1000-st.AtMicro, 0) }
