package bucket

import "github.com/holdfast-go/holdfast/domain"

// A Band is one rate of a limit, compiled. The zero Band is none.
type Band struct {
	Earn  int64 // credits that one µs earns
	Worth int64 // credits of one token
	Full  int64 // credits of a full bucket, a multiple of Worth
}

func compileBand(l domain.Limit) Band {
	earn, worth := l.Reduced()
	return Band{Earn: earn, Worth: worth, Full: l.Burst * worth}
}

// Burst is the number of tokens in a full bucket.
func (b Band) Burst() int64 { return b.Full / b.Worth }

// TokenMicro is the time in which one token is earned, in µs, rounded up.
func (b Band) TokenMicro() int64 { return ceilDiv(b.Worth, b.Earn) }

// micro is the time in which credits are earned, in µs, rounded up.
func (b Band) micro(credits int64) int64 { return ceilDiv(credits, b.Earn) }

// refill is what credits are after elapsedMicro µs, which must not be negative, if
// there is room for so many of them: what is there already stays.
// Time is clamped first where the product could overflow: nearly always it cannot,
// and a division takes as long as the rest.
func (b Band) refill(credits, elapsedMicro, room int64) int64 {
	if credits >= room {
		return credits
	}
	if b.Earn < 1<<20 && elapsedMicro < 1<<42 {
		return min(credits+b.Earn*elapsedMicro, room)
	}
	return min(credits+b.Earn*min(elapsedMicro, b.micro(room-credits)), room)
}

// charge takes tokens, into debt where they are not there, but never below an
// empty bucket's worth of it, if it was not there already.
func (b Band) charge(credits, tokens int64) int64 {
	return max(credits-max(min(tokens, b.Burst()), 0)*b.Worth, min(credits, -b.Full))
}

// sameRate reports whether two bands earn the same, whatever they can hold.
func (b Band) sameRate(other Band) bool { return b.Earn == other.Earn && b.Worth == other.Worth }

// stricter reports whether b is the stricter one of two that differ: by its
// rate, then by its burst; that it is there at all is stricter than none.
func (b Band) stricter(other Band) bool {
	switch {
	case b == (Band{}) || other == (Band{}):
		return b != (Band{})
	case b.Worth/b.Earn != other.Worth/other.Earn:
		return b.Worth/b.Earn > other.Worth/other.Earn
	case b.Burst() != other.Burst():
		return b.Burst() < other.Burst()
	case b.Earn != other.Earn:
		return b.Earn < other.Earn
	default:
		return b.Worth > other.Worth
	}
}

// carry is what credits of the band from are of the band b, carried over like that.
func (b Band) carry(how domain.Carry, from Band, credits int64) int64 {
	switch {
	case how == domain.CarryReset:
		return b.Full
	case how == domain.CarryTokens && credits >= 0:
		return min(credits/from.Worth, b.Burst()) * b.Worth
	default:
		return b.rescale(from, credits)
	}
}

// rescale is what credits of the band from are of the band b: the same share of
// a full bucket, rounded down, so that a change never mints. A debt stays the
// same in tokens, rounded up, up to a full bucket. Every product stays below 2⁵³.
func (b Band) rescale(from Band, credits int64) int64 {
	if credits < 0 {
		owed := ceilDiv(-credits, from.Worth)
		return -min(owed, b.Burst()) * b.Worth
	}
	quantum := ceilDiv(from.Full, 1<<26)
	parts := ceilDiv(from.Full, quantum)
	held := credits / quantum
	return b.Full/parts*held + b.Full%parts*held/parts
}

func ceilDiv(a, b int64) int64 { return (a + b - 1) / b }
