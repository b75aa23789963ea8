// Package bulkhead is how a fleet shares the room of a bulkhead: a pure rule on who
// holds how many permits, with the time as an argument. It is the twin of
// scripts/lua/permit_hold.lua, and the conformance suite of store/storetest holds the
// two together.
//
// A replica holds permits for the calls that it runs, as one number, and says anew what
// it needs: absolute, so that what is lost, doubled or late does no harm. Permits are
// taken from it only after it has heard that it is to give them back: an answer may be
// lost. Who says
// nothing for as long as it said loses them. All permits together are never more than
// the room, while replicas agree on it. Where more is wanted than there is, each has an
// even share at least; and one each in turn, where there are more replicas than room.
package bulkhead

import "slices"

// A State is who holds permits, by holder. The zero State is nobody.
type State map[string]Holder

// A Holder is what one replica said last, and holds.
type Holder struct {
	Seq     int64 // of what it said
	Held    int64 // permits
	Want    int64 // how many it could use
	AtMicro int64 // when it said so, by the store's clock, Unix µs
	Lasting int64 // for how long that counts, µs
}

// live reports whether what a holder said still counts. A start in the future, since
// the clock stepped back, is now.
func (h Holder) live(nowMicro int64) bool { return nowMicro-min(h.AtMicro, nowMicro) < h.Lasting }

// An Ask is what a replica says of itself.
type Ask struct {
	Holder  string
	Seq     int64 // counts up; what is not above the last one is too late, and changes nothing
	Room    int64 // how many calls the fleet may run; at least 1
	Keep    int64 // how many it may run until it is answered: these permits it keeps, if it has them still
	Want    int64 // how many it could use, those included; 0 = it leaves
	Lasting int64 // for how long this counts, µs
}

// An Answer answers an Ask.
type Answer struct {
	Held int64 // permits that are the holder's until it says something else, or its time is over
	Room int64 // how many calls it may run: below Held, it is to give permits back as calls end
}

// turnMicro is for how long a replica has its turn, where there are fewer permits than
// replicas that want one.
const turnMicro = 250_000

// Hold does what a replica says, at the time nowMicro of the store's clock.
func (st State) Hold(nowMicro int64, ask Ask) Answer {
	before := st.sweep(nowMicro, ask.Holder)
	share := st.shares(nowMicro, ask)
	held, owed := int64(0), int64(0)
	for holder, h := range st {
		if holder == ask.Holder {
			continue
		}
		held += h.Held
		owed += max(min(h.Want, share(holder))-h.Held, 0)
	}
	free, own := ask.Room-held, share(ask.Holder)
	if ask.Seq <= before.Seq {
		return Answer{Held: before.Held, Room: max(min(before.Held, max(own, free-owed)), 0)}
	}
	room := max(min(ask.Want, max(own, free-owed), free), 0)
	next := Holder{ask.Seq, max(room, min(ask.Keep, before.Held)), ask.Want, nowMicro, ask.Lasting}
	if delete(st, ask.Holder); next.Held > 0 || next.Want > 0 {
		st[ask.Holder] = next
	}
	return Answer{Held: next.Held, Room: room}
}

// sweep forgets those whose time is over, and returns what was there of one.
func (st State) sweep(nowMicro int64, holder string) Holder {
	for other, h := range st {
		if !h.live(nowMicro) {
			delete(st, other)
			continue
		}
		h.AtMicro = min(h.AtMicro, nowMicro)
		st[other] = h
	}
	return st[holder]
}

// shares says what part of the room is each one's that wants something, the asker
// included: an even one or, of less room than there are of them, one for each in its turn.
func (st State) shares(nowMicro int64, ask Ask) func(holder string) int64 {
	var wanting []string
	for holder, h := range st {
		if holder != ask.Holder && h.Want > 0 {
			wanting = append(wanting, holder)
		}
	}
	if ask.Want > 0 {
		wanting = append(wanting, ask.Holder)
	}
	n, room := int64(max(len(wanting), 1)), max(ask.Room, 0)
	if room >= n {
		return func(string) int64 { return room / n }
	}
	slices.Sort(wanting)
	first := max(nowMicro, 0) / turnMicro % n * room % n
	return func(holder string) int64 {
		at := int64(slices.Index(wanting, holder))
		if at >= 0 && (at-first+n)%n < room {
			return 1
		}
		return 0
	}
}
