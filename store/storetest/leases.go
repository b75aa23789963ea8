package storetest

import (
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/bucket"
	"github.com/holdfast-go/holdfast/domain/port"
)

// lend asks for a lease of so many tokens, for a holder who has no other.
func lend(holder, seq uint64, most int64, life time.Duration) bucket.Ask {
	return renew(holder, seq, most, life, seq, 0)
}

// renew asks for a further lease: of the holder's lease old that much is left, and
// of those before it nothing.
func renew(holder, seq uint64, most int64, life time.Duration, old uint64, left int64) bucket.Ask {
	return bucket.Ask{Cost: 1, Count: most, Lease: &bucket.LeaseAsk{
		ID: bucket.LeaseID{Start: holder, Seq: seq}, Milli: life.Milliseconds(), Spent: old, Left: left,
	}}
}

// giveBack returns what is left of a lease.
func giveBack(holder, seq uint64, left int64) bucket.Ask {
	ask := renew(holder, seq+1, 0, time.Millisecond, seq, left)
	ask.Lease.Sealed = true
	return ask
}

// worth is an ask for a lease of no fewer tokens than that.
func worth(least int64, ask bucket.Ask) bucket.Ask {
	ask.Cost = least
	return ask
}

func withTurn(ask bucket.Ask) bucket.Ask {
	ask.Turn = true
	return ask
}

func lent(tokens, remaining int64) port.TakeReply {
	return port.TakeReply{Granted: tokens, Remaining: remaining}
}

// leaseStories are rule L6: what a store promises of tokens that are taken ahead.
func leaseStories() []takeStory {
	second := time.Second
	plain := limit(10, second, 20)
	none := domain.RateLimit{}
	two := with(limit(10, second, 20), limit(15, time.Minute, 30))
	return []takeStory{
		{"what is lent is no longer there", "a lease is paid for when it is made", plain, []takeStep{
			{0, none, lend(1, 1, 5, second), lent(5, 15)},
			{0, none, cost(15), yes(0)},
			{0, none, one(), no(0, second/10)},
		}},
		{"a lost lease comes back after its end (case 20)", "and not before: until then the bucket fills up beside it", plain, []takeStep{
			{0, none, lend(1, 1, 5, 2*second), lent(5, 15)},
			{2*second - us, none, peek(), yes(15)},
			{us, none, peek(), yes(15)},
			{second / 10, none, peek(), yes(16)},
			{second, none, peek(), yes(20)},
		}},
		{"leases end one by one", "after each there is room for its tokens, to be earned from then on", plain, []takeStep{
			{0, none, lend(1, 1, 4, second), lent(4, 16)},
			{0, none, lend(2, 1, 4, 2*second), lent(4, 12)},
			{2100 * time.Millisecond, none, peek(), yes(17)},
		}},
		{"the same lease is granted once", "whose reply was lost asks again by the same name", plain, []takeStep{
			{0, none, lend(1, 1, 5, second), lent(5, 15)},
			{second / 2, none, lend(1, 1, 5, second), lent(5, 15)},
			{0, none, lend(1, 1, 3, second), lent(3, 15)},
			{0, none, lend(2, 1, 5, second), lent(5, 10)},
		}},
		{"a renewal only lowers", "what a holder said to be left can be spent since, and so never goes back", plain, []takeStep{
			{0, none, lend(1, 1, 6, 9*second), lent(6, 14)},
			{0, none, renew(1, 2, 2, 9*second, 1, 4), lent(2, 12)},
			{second, none, peek(), yes(14)},
			{0, none, renew(1, 3, 1, 9*second, 1, 6), lent(1, 13)},
			{second, none, peek(), yes(13)},
		}},
		{"leases before the one that is spent from are at an end", "the bucket fills up in their place", plain, []takeStep{
			{0, none, lend(1, 1, 6, 9*second), lent(6, 14)},
			{0, none, lend(1, 2, 2, 9*second), lent(2, 12)},
			{second, none, peek(), yes(18)},
		}},
		{"who says less than nothing is left has nothing", "and no one else's lease is touched", plain, []takeStep{
			{0, none, lend(1, 1, 3, 9*second), lent(3, 17)},
			{0, none, lend(2, 1, 3, 9*second), lent(3, 14)},
			{0, none, renew(1, 2, 1, 9*second, 1, -7), lent(1, 13)},
			{second, none, peek(), yes(16)},
		}},
		{"what is given back is there at once (case 21)", "once: twice, for a stranger, or more than was lent is nothing", plain, []takeStep{
			{0, none, lend(1, 1, 6, 9*second), lent(6, 14)},
			{0, none, giveBack(1, 1, 4), lent(0, 18)},
			{0, none, giveBack(1, 1, 4), lent(0, 18)},
			{0, none, giveBack(7, 1, 4), lent(0, 18)},
			{0, none, lend(1, 3, 2, 9*second), lent(2, 16)},
			{0, none, giveBack(1, 3, 100), lent(0, 18)},
		}},
		{"what is given back too late is lost (case 21)", "the bucket has filled up in its place", plain, []takeStep{
			{0, none, lend(1, 1, 6, second), lent(6, 14)},
			{second, none, giveBack(1, 1, 6), lent(0, 14)},
			{second / 10, none, peek(), yes(15)},
		}},
		{"no more than half of the burst is lent", "the rest is for those who have no lease; they are not told to wait", plain, []takeStep{
			{0, none, lend(1, 1, 20, second), lent(10, 10)},
			{0, none, withTurn(lend(2, 1, 5, second)), lent(0, 10)},
			{0, none, turn(), yes(9)},
		}},
		{"fewer than are worth it are not lent", "the wait is until they are there, and the turn as long", plain, []takeStep{
			{0, none, cost(17), yes(3)},
			{0, none, worth(5, lend(1, 1, 8, second)), no(3, second/5)},
			{0, none, withTurn(worth(5, lend(1, 1, 8, second))), no(3, second/5)},
			{0, none, withTurn(worth(5, lend(2, 1, 8, second))), no(3, second/2)},
			{0, none, cost(3), yes(0)},
		}},
		{"a cost that does not fit beside leases gets room", "no lease takes it until it was asked for again", limit(10, second, 10), []takeStep{
			{0, none, lend(1, 1, 2, 5*second), lent(2, 8)},
			{0, none, lend(2, 1, 2, 5*second), lent(2, 6)},
			{0, none, cost(8), no(6, 5200*time.Millisecond)},
			{0, none, lend(3, 1, 1, 5*second), lent(0, 6)},
			{5 * second, none, lend(3, 2, 9, 5*second), lent(2, 4)},
			{0, none, giveBack(3, 2, 2), lent(0, 6)},
			{second / 5, none, cost(8), yes(0)},
			{second, none, lend(3, 3, 9, 5*second), lent(5, 5)},
		}},
		{"a change of the limit leaves leases as they are", "the new bucket has room for what is not lent", plain, []takeStep{
			{0, none, lend(1, 1, 8, 5*second), lent(8, 12)},
			{0, version(limit(10, second, 10), 1), peek(), yes(2)},
			{0, version(limit(10, second, 10), 1), cost(2), yes(0)},
			{second, version(limit(10, second, 10), 1), peek(), yes(2)},
			{4500 * time.Millisecond, version(limit(10, second, 10), 1), peek(), yes(7)},
		}},
		{"a lease is of all bands", "the one that has the fewest tokens says how many", two, []takeStep{
			{0, none, lend(1, 1, 5, 9*second), lent(5, 15)},
			{0, none, cost(15), yes(0)},
			{2 * second, none, peek(), yes(10)},
			{0, none, lend(2, 1, 5, 9*second), lent(5, 5)},
			{0, none, cost(5), yes(0)},
			{second, none, lend(2, 2, 5, 9*second), by(1, no(0, second))},
		}},
		{"a clock that steps back moves leases with it", "they last as long as they were to", plain, []takeStep{
			{0, none, lend(1, 1, 5, 2*second), lent(5, 15)},
			{-10 * second, none, one(), yes(14)},
			{2*second - us, none, peek(), yes(15)},
			{second/10 + us, none, peek(), yes(16)},
		}},
		{"a bill is charged beside leases", "and takes nothing from them", plain, []takeStep{
			{0, none, lend(1, 1, 5, 5*second), lent(5, 15)},
			{0, none, bill(1, 20), yes(0)},
			{second, none, one(), yes(4)},
			{0, none, giveBack(1, 1, 5), lent(0, 9)},
		}},
		{"nonsense is refused", "and changes nothing", plain, []takeStep{
			{0, none, worth(0, lend(1, 1, 5, second)), port.TakeReply{Remaining: 20, TooHigh: true}},
			{0, none, worth(21, lend(1, 1, 30, second)), port.TakeReply{Remaining: 20, TooHigh: true}},
			{0, none, lend(1, 1, -5, second), port.TakeReply{Remaining: 20, TooHigh: true}},
			{0, none, lend(1, 0, 5, second), port.TakeReply{Remaining: 20, TooHigh: true}},
			{0, none, lend(1, 1, 5, 0), port.TakeReply{Remaining: 20, TooHigh: true}},
			{0, none, lend(1, 1, 5, 11*second), port.TakeReply{Remaining: 20, TooHigh: true}},
		}},
	}
}
