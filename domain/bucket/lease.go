package bucket

import (
	"cmp"
	"slices"
)

// The bounds of leases in the protocol.
const (
	// MaxLeaseMilli is the longest life of a lease, in ms.
	MaxLeaseMilli = 10_000
	// MaxLeases is how many leases of one bucket live at most.
	MaxLeases = 512

	tenthMicro = 100_000 // leases end on the tenth of a second, so that they are small

	roomMilli = 500 // room is kept for so long after the denied cost was told to ask again
)

// A LeaseID names a lease of a bucket. Start is random for each holder, so that no
// two have the same, also when a process starts again; Seq counts from 1.
type LeaseID struct{ Start, Seq uint64 }

// A LeaseAsk makes an Ask one for a lease: tokens that a replica takes ahead, to
// spend without asking. Count is how many it wants, Cost the fewest that are worth
// it; a Count of 0 only tells of leases that it has.
type LeaseAsk struct {
	// ID is of the lease to be. Asked again under the same ID, the bucket
	// answers as before while that lease lives.
	ID LeaseID
	// Milli is how long it is to live, in ms, from 1 to MaxLeaseMilli.
	Milli int64
	// Spent is the Seq of the oldest lease of this holder of which something is
	// unspent: those before it are at an end.
	Spent uint64
	// Left is what of that one was unspent when this was sent. It can only
	// lower what the bucket remembers.
	Left int64
	// Sealed says that its holder has stopped to spend it: what is left goes
	// back into the bucket.
	Sealed bool
}

// A Lease is tokens that somebody may spend until it ends.
type Lease struct {
	ID       LeaseID
	Tokens   int64 // that may be unspent
	EndTenth int64 // the store's clock, in tenths of a second of Unix time
}

func (l Lease) endMicro() int64 { return l.EndTenth * tenthMicro }

// Leases are what a bucket has lent. They are replaced as a whole, never changed.
type Leases struct {
	Live []Lease // in no order
	// Room is tokens of the burst that no lease may take until RoomMilli, Unix
	// ms: a cost was denied that does not fit beside the leases.
	Room, RoomMilli int64
}

// lent is the tokens of all live leases.
func (st *State) lent() (tokens int64) {
	if st.Leases != nil {
		for _, l := range st.Leases.Live {
			tokens += l.Tokens
		}
	}
	return tokens
}

// cap is up to how many credits a band is refilled beside tokens that are lent.
func (b Band) cap(lent int64) int64 { return b.Full - min(lent, b.Burst())*b.Worth }

// byEnd are the live leases, those that end first before the others.
func (st *State) byEnd() []Lease {
	if st.Leases == nil {
		return nil
	}
	return slices.SortedFunc(slices.Values(st.Leases.Live), func(a, b Lease) int { return cmp.Compare(a.EndTenth, b.EndTenth) })
}

// earn refills each band from one instant to another: before a lease ends, there is
// room for less. Where the second is not later than the first nothing happens.
func (st *State) earn(from, to int64) {
	if to <= from {
		return
	}
	lent := st.lent()
	for _, l := range st.byEnd() {
		end := l.endMicro()
		if end > to {
			break
		}
		if end > from {
			st.refill(end-from, lent)
			from = end
		}
		lent -= l.Tokens
	}
	st.refill(to-from, lent)
}

// expire drops the leases that have ended.
func (st *State) expire() {
	if st.Leases == nil {
		return
	}
	kept := Leases{Room: st.Leases.Room, RoomMilli: st.Leases.RoomMilli}
	for _, l := range st.Leases.Live {
		if l.endMicro() > st.AtMicro {
			kept.Live = append(kept.Live, l)
		}
	}
	st.keepLeases(kept, st.AtMicro)
}

// keepLeases stores leases, or that there is nothing to be kept.
func (st *State) keepLeases(l Leases, nowMicro int64) {
	if st.Leases = nil; len(l.Live) > 0 || l.RoomMilli*1000 > nowMicro {
		st.Leases = &l
	}
}

// refill is what elapsedMicro µs earn in each band beside tokens that are lent.
func (st *State) refill(elapsedMicro, lent int64) {
	for i := range st.Rule.Count() {
		b := st.Rule.Bands[i]
		st.Credits[i] = b.refill(st.Credits[i], elapsedMicro, b.cap(lent))
	}
}

// shift moves the leases and what was given back with a clock that stepped back so far.
func (st *State) shift(backMicro int64) {
	if st.Returners != nil {
		moved := slices.Clone(*st.Returners)
		for i := range moved {
			moved[i].Second = max(moved[i].Second-backMicro/1_000_000, 0)
		}
		st.Returners = &moved
	}
	if st.Leases == nil {
		return
	}
	moved := Leases{Room: st.Leases.Room, RoomMilli: max(st.Leases.RoomMilli-backMicro/1000, 0)}
	for _, l := range st.Leases.Live {
		l.EndTenth = max(l.EndTenth-backMicro/tenthMicro, 0)
		moved.Live = append(moved.Live, l)
	}
	st.Leases = &moved
}

// lease answers an ask for a lease.
func (st *State) lease(ask *Ask) (a Answer, wrote bool) {
	l := ask.Lease
	if ask.Count < 0 || ask.Cost < 1 || ask.Cost > st.Rule.Burst() || l.Milli < 1 || l.Milli > MaxLeaseMilli || l.ID.Seq < 1 {
		return Answer{Remaining: st.remaining(), RetryMicro: Never}, false
	}
	wrote = st.settleLeases(l)
	switch again, there := st.leaseOf(l.ID); {
	case ask.Count == 0:
	case st.blockedMicro() > 0:
		a.RetryMicro, a.Band = st.waitFor(ask.Cost)
	case there:
		a.Granted = min(again.Tokens, ask.Count)
	default:
		if a.Granted = st.lendable(ask); a.Granted >= ask.Cost {
			st.lend(l, a.Granted)
			wrote = true
		} else {
			a.Granted = 0
			a.RetryMicro, a.Band = st.waitFor(ask.Cost)
		}
	}
	a.Remaining = st.remaining()
	return a, wrote
}

// leaseOf finds a live lease.
func (st *State) leaseOf(id LeaseID) (Lease, bool) {
	if st.Leases != nil {
		for _, l := range st.Leases.Live {
			if l.ID == id {
				return l, true
			}
		}
	}
	return Lease{}, false
}

// settleLeases does what a holder says of its leases.
func (st *State) settleLeases(ask *LeaseAsk) (wrote bool) {
	if st.Leases == nil {
		return false
	}
	kept, back := Leases{Room: st.Leases.Room, RoomMilli: st.Leases.RoomMilli}, int64(0)
	for _, l := range st.Leases.Live {
		if l.ID.Start == ask.ID.Start && l.ID.Seq < ask.ID.Seq && l.ID.Seq <= ask.Spent {
			left := int64(0)
			if l.ID.Seq == ask.Spent {
				left = max(min(ask.Left, l.Tokens), 0)
			}
			wrote = wrote || left < l.Tokens || ask.Sealed
			if l.Tokens = left; ask.Sealed {
				l.Tokens, back = 0, back+left
			}
		}
		if l.Tokens > 0 {
			kept.Live = append(kept.Live, l)
		}
	}
	if wrote {
		st.keepLeases(kept, st.AtMicro)
		st.giveBack(back)
	}
	return wrote
}

// giveBack adds tokens, as far as there is room beside those that are lent.
func (st *State) giveBack(tokens int64) {
	lent := st.lent()
	for i := range st.Rule.Count() {
		b := st.Rule.Bands[i]
		back := min(tokens, (maxDebts+1)*b.Burst()) * b.Worth // from the deepest debt to a full bucket
		st.Credits[i] = max(st.Credits[i], min(st.Credits[i]+back, b.cap(lent)))
	}
}

// lendable is how many tokens may be lent: what is there, while leases have no more
// than half of the burst and leave the room that was asked for.
func (st *State) lendable(ask *Ask) int64 {
	if st.Ahead > 0 {
		return 0
	}
	lent, burst := st.lent(), st.Rule.Burst()
	most := min(ask.Count, burst/2-lent)
	if l := st.Leases; l != nil {
		if len(l.Live) >= MaxLeases {
			return 0
		}
		if l.RoomMilli*1000 > st.AtMicro {
			most = min(most, burst-l.Room-lent)
		}
	}
	for i := range st.Rule.Count() {
		most = min(most, max(st.Credits[i], 0)/st.Rule.Bands[i].Worth)
	}
	return most
}

// lend takes tokens out of the bucket and remembers who has them.
func (st *State) lend(ask *LeaseAsk, tokens int64) {
	kept := Leases{}
	if st.Leases != nil {
		kept = *st.Leases
	}
	kept.Live = append(slices.Clone(kept.Live), Lease{ask.ID, tokens, ceilDiv(st.AtMicro+ask.Milli*1000, tenthMicro)})
	for i := range st.Rule.Count() {
		st.Credits[i] -= tokens * st.Rule.Bands[i].Worth
	}
	st.Leases = &kept
}

// makeRoom keeps leases from taking the place of a cost that was denied and does not
// fit beside them, until it has asked again.
func (st *State) makeRoom(ask *Ask, retryMicro int64) (wrote bool) {
	if st.Leases == nil || ask.Lease != nil || ask.Cost <= st.Rule.Burst()-st.lent() {
		return false
	}
	kept, until := *st.Leases, ceilDiv(st.AtMicro+retryMicro, 1000)+roomMilli
	if kept.RoomMilli*1000 <= st.AtMicro {
		kept.Room = 0
	}
	kept.Room, kept.RoomMilli = max(kept.Room, ask.Cost), max(kept.RoomMilli, until)
	st.Leases = &kept
	return true
}

// due is when a band has so many credits if nothing more is taken or lent, in µs
// after AtMicro, rounded up: those who wait, and the leases in the way, come first.
func (st *State) due(band int, credits int64) int64 {
	b, have := st.Rule.Bands[band], st.Credits[band]
	if have >= credits {
		return st.Ahead
	}
	at, lent := st.AtMicro+st.Ahead, st.lent()
	for _, l := range st.byEnd() {
		if end := l.endMicro(); end > at {
			room := b.cap(lent)
			if credits <= room {
				break
			}
			have, at = b.refill(have, end-at, room), end
		}
		lent -= l.Tokens
	}
	return at - st.AtMicro + max(b.micro(credits-have), 0)
}
