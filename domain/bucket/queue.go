package bucket

import (
	"time"

	"github.com/holdfast-go/holdfast/domain"
)

// MaxWaitMicro is the longest that a place in a bucket's queue may be away, in µs.
const MaxWaitMicro = int64(domain.MaxWait / time.Microsecond)

// Those who wait for tokens have them at their due instants, one after the other. A
// bucket with a queue is kept as it will be at the last of these, Ahead of its time:
// nothing is left for others before. So each band is as it would be if the queue
// took its tokens as they came, in every band at the same instant.

// HasPlace reports whether an Answer to the ask, which granted so many and said so many
// µs, gives a place in the queue that is not due yet.
func (ask *Ask) HasPlace(granted, retryMicro int64) bool {
	return ask.WaitMicro > 0 && ask.Cost > 0 && granted > 0 && retryMicro > 0
}

// queue answers an ask for a place: when all who have one are served, and the tokens
// are there, its turn is.
func (st *State) queue(nowMicro int64, ask *Ask) (a Answer, wrote bool) {
	wait, band := st.waitFor(ask.Cost)
	if a.RetryMicro = wait; wait > 0 {
		a.RetryMicro += st.AtMicro - nowMicro // a clock that stepped back comes there later
	}
	if a.RetryMicro > min(ask.WaitMicro, MaxWaitMicro) || st.blockedMicro() > 0 { // a block may end sooner
		a.Band = band
		return a, false
	}
	st.earn(st.AtMicro+st.Ahead, st.AtMicro+wait)
	st.Ahead, a.StepMicro = wait, wait-st.Ahead
	for i := range st.Rule.Count() {
		st.Credits[i] -= ask.Cost * st.Rule.Bands[i].Worth
	}
	a.Granted = 1
	return a, true
}

// leave gives up a place that is not due yet, and returns how many tokens that
// brought back: none, when those behind have used up its time.
func (st *State) leave(dueMicro, stepMicro, tokens int64) int64 {
	last := st.AtMicro + st.Ahead
	switch {
	case tokens < 1 || tokens > st.Rule.Burst() || dueMicro <= st.AtMicro || dueMicro > last:
		return 0
	case dueMicro == last:
		st.unqueue(stepMicro, tokens)
		return tokens
	default:
		return st.skip(last-dueMicro, tokens)
	}
}

// unqueue takes back the last place: the bucket goes back to where the one before it is
// due, to where it has nothing left, or to now. No band can be better off than if that
// place had never been.
func (st *State) unqueue(stepMicro, tokens int64) {
	var credits [len(st.Credits)]int64
	back := min(st.Ahead, max(stepMicro, 0))
	for i := range st.Rule.Count() {
		b := st.Rule.Bands[i]
		credits[i] = min(st.Credits[i]+tokens*b.Worth, b.Full)
		back = min(back, max(credits[i], 0)/b.Earn)
	}
	st.Ahead -= back
	lent := st.lent()
	for i := range st.Rule.Count() {
		b := st.Rule.Bands[i]
		st.Credits[i] = min(credits[i]-b.Earn*back, b.cap(lent))
	}
}

// skip takes back a place with others behind it, so many µs: they keep their dues, and
// it brings back what is certain to be left of it then. (Adding all of it would break
// the limit: the bucket could have been full meanwhile.)
func (st *State) skip(behindMicro, tokens int64) (most int64) {
	var back [len(st.Credits)]int64
	for i := range st.Rule.Count() {
		b := st.Rule.Bands[i]
		if all := tokens * b.Worth; behindMicro < b.micro(all) {
			back[i] = (all - b.Earn*behindMicro) / b.Worth * b.Worth
		}
		most = max(most, back[i]/b.Worth)
	}
	if most == 0 {
		return 0
	}
	lent := st.lent()
	for i := range st.Rule.Count() {
		st.Credits[i] = max(st.Credits[i], min(st.Credits[i]+back[i], st.Rule.Bands[i].cap(lent)))
	}
	return most
}
