package storetest

import (
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/bucket"
	"github.com/holdfast-go/holdfast/domain/port"
)

// place asks for a place in the queue that is no further away than that.
func place(n int64, atMost time.Duration) bucket.Ask {
	return bucket.Ask{Cost: n, Count: 1, WaitMicro: atMost.Microseconds()}
}

// due is a place that was granted when the suite's clock had moved that far, and is due
// so long after the one before.
func due(at, wait, step time.Duration) port.TakeReply {
	return port.TakeReply{Granted: 1, Wait: wait, DueMicro: epoch + (at + wait).Microseconds(), StepMicro: step.Microseconds()}
}

// leave gives up the place of so many tokens that is due when the suite's clock has
// moved that far.
func leave(holder, seq uint64, n int64, at, step time.Duration) bucket.Ask {
	ask := settle(holder, seq, n)
	ask.Return.StepMicro = step.Microseconds()
	ask.Return.DueMicro = epoch + at.Microseconds()
	return ask
}

// settle returns tokens, or takes some that were found to be missing.
func settle(holder, seq uint64, n int64) bucket.Ask {
	return bucket.Ask{Return: &bucket.Return{ID: bucket.LeaseID{Start: holder, Seq: seq}, Tokens: n}}
}

func moved(tokens, remaining int64) port.TakeReply {
	return port.TakeReply{Granted: tokens, Remaining: remaining}
}

// queueStories are rule L7: what a store promises to those who wait.
func queueStories() []takeStory {
	second, ms := time.Second, time.Millisecond
	plain, none := limit(10, second, 10), domain.RateLimit{}
	return []takeStory{
		{"who waits is told when", "one after the other, as they came; others come behind them", plain, []takeStep{
			{0, none, cost(10), yes(0)},
			{0, none, place(1, second), due(0, 100*ms, 100*ms)},
			{0, none, place(1, second), due(0, 200*ms, 100*ms)},
			{0, none, place(3, second), due(0, 500*ms, 300*ms)},
			{0, none, peek(), port.TakeReply{Granted: 1, RetryAfter: 600 * ms}},
			{300 * ms, none, one(), no(0, 300*ms)},
			{0, none, place(1, second), due(300*ms, 300*ms, 100*ms)},
			{300 * ms, none, one(), no(0, 100*ms)},
			{100 * ms, none, one(), yes(0)},
		}},
		{"nobody waits where there are tokens", "but for a cost above the burst", plain, []takeStep{
			{0, none, place(4, second), yes(6)},
			{0, none, place(11, time.Hour), port.TakeReply{Remaining: 6, TooHigh: true}},
			{0, none, place(0, second), yes(6)},
		}},
		{"a place that is too far away is refused", "and costs nothing", plain, []takeStep{
			{0, none, cost(10), yes(0)},
			{0, none, place(5, 499*ms), no(0, 500*ms)},
			{0, none, place(4, 400*ms), due(0, 400*ms, 400*ms)},
			{0, none, place(1, 500*ms-us), no(0, 500*ms)},
			{0, none, place(1, 500*ms), due(0, 500*ms, 100*ms)},
		}},
		{"nobody waits for more than an hour", "whatever was asked for", limit(1, time.Hour, 1), []takeStep{
			{0, none, one(), yes(0)},
			{0, none, place(1, 3*time.Hour), due(0, time.Hour, time.Hour)},
			{0, none, place(1, 3*time.Hour), no(0, 2*time.Hour)},
		}},
		{"the last place goes back", "the queue is as if it had not been", plain, []takeStep{
			{0, none, cost(10), yes(0)},
			{0, none, place(2, second), due(0, 200*ms, 200*ms)},
			{0, none, place(3, second), due(0, 500*ms, 300*ms)},
			{0, none, leave(1, 1, 3, 500*ms, 300*ms), moved(3, 0)},
			{0, none, place(1, second), due(0, 300*ms, 100*ms)},
			{0, none, leave(1, 2, 1, 300*ms, 100*ms), moved(1, 0)},
			{100 * ms, none, leave(1, 3, 2, 200*ms, 200*ms), moved(2, 1)},
			{0, none, one(), yes(0)},
		}},
		{"a place goes back once", "a second time is nothing, and so is what is late or a stranger to the queue", plain, []takeStep{
			{0, none, cost(10), yes(0)},
			{0, none, place(2, second), due(0, 200*ms, 200*ms)},
			{0, none, place(1, second), due(0, 300*ms, 100*ms)},
			{0, none, leave(1, 5, 1, 300*ms, 100*ms), moved(1, 0)},
			{0, none, place(1, second), due(0, 300*ms, 100*ms)},
			{0, none, leave(1, 5, 1, 300*ms, 100*ms), moved(0, 0)},
			{0, none, leave(1, 4, 1, 300*ms, 100*ms), moved(0, 0)},
			{0, none, leave(2, 1, 1, 400*ms, 100*ms), moved(0, 0)},
			{0, none, leave(2, 1, 11, 300*ms, 100*ms), moved(0, 0)},
			{0, none, leave(2, 1, -1, 300*ms, 100*ms), moved(0, 0)},
			{300 * ms, none, leave(2, 1, 1, 300*ms, 100*ms), moved(0, 0)},
			{0, none, one(), no(0, 100*ms)},
		}},
		{"a place with others behind brings back what they left of it", "all of it would break the limit", plain, []takeStep{
			{0, none, cost(10), yes(0)},
			{0, none, place(5, second), due(0, 500*ms, 500*ms)},
			{0, none, place(1, second), due(0, 600*ms, 100*ms)},
			{0, none, leave(1, 1, 5, 500*ms, 500*ms), moved(4, 0)},
			{0, none, one(), no(0, 600*ms)},
			{0, none, place(4, second), due(0, 600*ms, 0)},
			{0, none, place(1, second), due(0, 700*ms, 100*ms)},
			{0, none, leave(1, 2, 1, 600*ms, 0), moved(0, 0)},
			{700 * ms, none, peek(), port.TakeReply{Granted: 1, RetryAfter: 100 * ms}},
		}},
		{"the last place goes back to the one before", "not further, also where there would be tokens for that", plain, []takeStep{
			{0, none, cost(10), yes(0)},
			{0, none, place(5, second), due(0, 500*ms, 500*ms)},
			{0, none, place(1, second), due(0, 600*ms, 100*ms)},
			{0, none, leave(1, 1, 5, 500*ms, 500*ms), moved(4, 0)},
			{0, none, place(2, second), due(0, 600*ms, 0)},
			{0, none, place(4, second), due(0, 800*ms, 200*ms)},
			{0, none, leave(1, 2, 4, 800*ms, 200*ms), moved(4, 0)},
			{0, none, one(), no(0, 600*ms)},
			{0, none, place(2, second), due(0, 600*ms, 0)},
		}},
		{"every band is waited for", "and none is better off for it", with(plain, limit(15, time.Minute, 15)), []takeStep{
			{0, none, cost(10), yes(0)},
			{second, none, cost(5), yes(0)},
			{0, none, place(1, 10*second), due(second, 3*second, 3*second)},
			{0, none, place(1, 10*second), due(second, 7*second, 4*second)},
			{0, none, leave(1, 1, 1, 8*second, 4*second), moved(1, 0)},
			{0, none, place(1, 10*second), due(second, 7*second, second)},
			{7 * second, none, one(), port.TakeReply{RetryAfter: 4 * second, Band: 1}},
			{4 * second, none, one(), yes(0)},
		}},
		{"a clock that steps back a little makes the wait longer", "a place is due at its instant", plain, []takeStep{
			{0, none, cost(10), yes(0)},
			{0, none, place(1, second), due(0, 100*ms, 100*ms)},
			{-50 * ms, none, place(1, second), due(-50*ms, 250*ms, 100*ms)},
			{0, none, place(1, 349*ms), no(0, 350*ms)},
			{0, none, leave(1, 1, 1, 200*ms, 100*ms), moved(1, 0)},
		}},
		{"a clock that steps back far moves the queue", "how long it is stays", plain, []takeStep{
			{0, none, cost(10), yes(0)},
			{0, none, place(1, second), due(0, 100*ms, 100*ms)},
			{-time.Minute, none, place(1, second), due(-time.Minute, 200*ms, 100*ms)},
			{0, none, leave(1, 1, 1, 100*ms, 100*ms), moved(0, 0)},
		}},
		{"a queue outlives another rule", "who has a place keeps it", plain, []takeStep{
			{0, none, cost(10), yes(0)},
			{0, none, place(2, second), due(0, 200*ms, 200*ms)},
			{0, version(limit(20, second, 20), 1), place(1, second), due(0, 250*ms, 50*ms)},
		}},
	}
}

// returnStories are what becomes of costs that turned out otherwise.
func returnStories() []takeStory {
	second, ms := time.Second, time.Millisecond
	plain, none := limit(10, second, 10), domain.RateLimit{}
	return []takeStory{
		{"what was too much goes back once (case 9)", "no more than there is room for", plain, []takeStep{
			{0, none, cost(6), yes(4)},
			{0, none, settle(1, 2, 4), moved(4, 8)},
			{0, none, settle(1, 2, 4), moved(0, 8)},
			{0, none, settle(1, 1, 4), moved(0, 8)},
			{0, none, settle(2, 1, 9), moved(9, 10)},
			{0, none, settle(2, 2, 0), moved(0, 10)},
		}},
		{"a full bucket remembers what came back", "for ten seconds; in that time the same can come again", plain, []takeStep{
			{0, none, cost(10), yes(0)},
			{0, none, settle(1, 1, 10), moved(10, 10)},
			{9 * second, none, cost(10), yes(0)},
			{0, none, settle(1, 1, 10), moved(0, 0)},
			{0, none, settle(2, 1, 5), moved(5, 5)},
			{1900 * ms, none, cost(10), yes(0)},
			{200 * ms, none, settle(1, 1, 5), moved(5, 7)},
			{0, none, settle(2, 1, 3), moved(0, 7)},
		}},
		{"what was too little is owed", "up to ten empty buckets; a bill finds nothing then", plain, []takeStep{
			{0, none, cost(8), yes(2)},
			{0, none, settle(1, 1, -5), moved(5, 0)},
			{0, none, one(), no(0, 400*ms)},
			{0, none, settle(1, 2, -1000), moved(97, 0)},
			{0, none, settle(1, 3, -1), moved(0, 0)},
			{0, none, bill(7, 5), yes(0)},
			{0, none, one(), no(0, 10_100*ms)},
			{0, none, place(1, 11*second), due(0, 10_100*ms, 10_100*ms)},
			{0, none, settle(1, 4, 102), moved(0, 0)}, // somebody waits
			{0, none, settle(1, 4, -1), moved(1, 0)},
			{0, none, place(1, 11*second), due(0, 10_300*ms, 200*ms)},
		}},
		{"every band is owed to", "the one that can owe least says how much", with(plain, limit(15, time.Minute, 15)), []takeStep{
			{0, none, settle(1, 1, -1000), moved(110, 0)},
			{0, none, settle(1, 2, 1000), moved(1000, 10)},
		}},
	}
}

// orderedQueueStories are of a store that takes orders, too.
func orderedQueueStories() []takeStory {
	second, ms := time.Second, time.Millisecond
	plain, none := limit(10, second, 10), domain.RateLimit{}
	return []takeStory{
		{"nobody waits for the end of a block", "it may end sooner; who has a place keeps it", plain, []takeStep{
			{0, none, cost(10), yes(0)},
			{0, none, place(1, second), due(0, 100*ms, 100*ms)},
			{0, none, block(2 * second), yes(0)},
			{0, none, place(1, second), no(0, 2*second)},
			{0, none, place(1, 3*second), no(0, 2*second)},
			{second, none, block(0), yes(9)},
			{0, none, one(), yes(8)},
		}},
		{"a reset forgets the queue", "and fills the bucket; a grant comes behind the queue", plain, []takeStep{
			{0, none, cost(10), yes(0)},
			{0, none, place(5, second), due(0, 500*ms, 500*ms)},
			{0, none, grant(3), yes(0)},
			{0, none, one(), no(0, 500*ms)},
			{0, none, reset(), yes(10)},
			{0, none, leave(1, 1, 5, 500*ms, 500*ms), moved(0, 10)},
			{0, none, cost(10), yes(0)},
		}},
	}
}

// lentQueueStories are of a store that lends, too.
func lentQueueStories() []takeStory {
	second, ms := time.Second, time.Millisecond
	plain, none := limit(10, second, 10), domain.RateLimit{}
	return []takeStory{
		{"leases in the way are waited for", "and none is lent while somebody waits", plain, []takeStep{
			{0, none, lend(1, 1, 5, 9*second), lent(5, 5)},
			{0, none, place(8, 10*second), due(0, 9300*ms, 9300*ms)},
			{0, none, lend(2, 1, 5, 9*second), no(0, 9400*ms)},
			{0, none, giveBack(1, 1, 5), lent(0, 0)},
			{0, none, place(5, 10*second), due(0, 9300*ms, 0)},
			{9300 * ms, none, one(), no(0, 100*ms)},
		}},
		{"who leaves the queue does not fill a bucket that lends", "there is room beside the lease only", plain, []takeStep{
			{0, none, lend(1, 1, 5, 9*second), lent(5, 5)},
			{0, none, place(8, 10*second), due(0, 9300*ms, 9300*ms)},
			{0, none, leave(1, 1, 8, 9300*ms, 9300*ms), moved(8, 0)},
			{8900 * ms, none, peek(), yes(4)},
			{second, none, peek(), yes(10)},
		}},
	}
}
