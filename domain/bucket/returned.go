package bucket

import "slices"

const (
	// maxReturners is how many askers' returns a bucket keeps apart.
	maxReturners = 256

	returnMicro = 10_000_000 // a return is remembered for so long, or longer by a second

	// maxDebts is how many empty buckets' worth late costs can be owed.
	maxDebts = 10
)

// A Return makes an Ask one that changes what was taken before: a place in the
// queue that is not needed, or a cost that turned out otherwise. The Ask's Cost and
// Count are not looked at. Each is heeded once: not again, and not after a later one
// of the same Start.
type Return struct {
	ID LeaseID // of the asker, and this one's number
	// Tokens go back into the bucket, as far as there is room, or are lost while
	// somebody waits; below 0 they are taken out of it, into debt where they are not there, but never below ten
	// empty buckets' worth of it.
	Tokens int64
	// DueMicro, when not 0, is when the place in the queue that they were taken for
	// is due, by the store's clock in Unix µs.
	DueMicro int64
	// StepMicro is that place's, as it was answered.
	StepMicro int64
}

// A Returner is an asker whose returns were heeded.
type Returner struct {
	ID     LeaseID // of its last one
	Second int64   // the store's clock, Unix s, when that was
}

func (r Returner) endMicro() int64 { return (r.Second+1)*1_000_000 + returnMicro }

// takeBack heeds a return, and answers how many tokens that moved.
func (st *State) takeBack(r *Return) (a Answer, wrote bool) {
	kept, fresh := st.returners(r.ID)
	if !fresh {
		return Answer{Remaining: st.remaining()}, false
	}
	switch {
	case r.DueMicro != 0:
		a.Granted = st.leave(r.DueMicro, r.StepMicro, r.Tokens)
	case r.Tokens < 0:
		a.Granted = st.owe(-r.Tokens)
	case st.Ahead > 0: // the bucket may have been full since
	default:
		a.Granted = r.Tokens
		st.giveBack(r.Tokens)
	}
	if a.Granted > 0 {
		kept = append(kept, Returner{r.ID, st.AtMicro / 1_000_000})
		st.Returners = &kept
	}
	a.Remaining = st.remaining()
	return a, a.Granted > 0
}

// returners are those who are remembered but the one of id, and whether its return
// is a new one for which there is room.
func (st *State) returners(id LeaseID) (others []Returner, fresh bool) {
	if st.Returners == nil {
		return nil, true
	}
	for _, r := range *st.Returners {
		if r.ID.Start == id.Start {
			if r.ID.Seq >= id.Seq {
				return nil, false
			}
			continue
		}
		others = append(others, r)
	}
	return others, len(others) < maxReturners
}

// forget drops the returners whose returns were so long ago that none can come again.
func (st *State) forget() {
	if st.Returners == nil || !slices.ContainsFunc(*st.Returners, st.isOver) {
		return
	}
	kept := slices.DeleteFunc(slices.Clone(*st.Returners), st.isOver)
	if st.Returners = nil; len(kept) > 0 {
		st.Returners = &kept
	}
}

func (st *State) isOver(r Returner) bool { return r.endMicro() <= st.AtMicro }

// owe takes tokens, into debt where they are not there, as far as that goes, and
// returns how many.
func (st *State) owe(tokens int64) int64 {
	for i := range st.Rule.Count() {
		b := st.Rule.Bands[i]
		tokens = min(tokens, (st.Credits[i]+maxDebts*b.Full)/b.Worth)
	}
	tokens = max(tokens, 0)
	for i := range st.Rule.Count() {
		st.Credits[i] -= tokens * st.Rule.Bands[i].Worth
	}
	return tokens
}
