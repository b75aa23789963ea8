package storetest

import (
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/bucket"
	"github.com/holdfast-go/holdfast/domain/port"
)

func grant(tokens int64) bucket.Ask {
	return bucket.Ask{Order: &bucket.Order{Tokens: tokens, BlockMilli: -1}}
}

func block(lasting time.Duration) bucket.Ask {
	return bucket.Ask{Order: &bucket.Order{BlockMilli: lasting.Milliseconds()}}
}

func reset() bucket.Ask {
	return bucket.Ask{Order: &bucket.Order{Tokens: bucket.Refill}}
}

// blocked is a refusal of a look.
func blocked(remaining int64, rest time.Duration) port.TakeReply {
	return port.TakeReply{Granted: 1, Remaining: remaining, RetryAfter: rest}
}

// orderStories are what an operator can do to one bucket.
func orderStories() []takeStory {
	second, minute := time.Second, time.Minute
	plain, none := limit(10, second, 10), domain.RateLimit{}
	two := with(plain, limit(15, minute, 15))
	return []takeStory{
		{"an operator grants tokens", "no more than there is room for", plain, []takeStep{
			{0, none, cost(8), yes(2)},
			{0, none, grant(5), yes(7)},
			{0, none, cost(7), yes(0)},
			{0, none, grant(1 << 40), yes(10)},
			{0, none, grant(-5), yes(10)},
		}},
		{"a grant is of all bands", "and pays for a debt", two, []takeStep{
			{0, none, cost(10), yes(0)},
			{0, none, bill(1, 15), yes(0)},
			{0, none, grant(13), yes(3)},
			{0, none, cost(3), yes(0)},
		}},
		{"a reset fills the bucket", "and ends a block", two, []takeStep{
			{0, none, cost(10), yes(0)},
			{0, none, block(minute), yes(0)},
			{0, none, reset(), yes(10)},
			{0, none, cost(10), yes(0)},
		}},
		{"a block admits nothing", "until it is over, whatever there is", plain, []takeStep{
			{0, none, cost(4), yes(6)},
			{0, none, block(minute), yes(6)},
			{0, none, one(), no(6, minute)},
			{0, none, many(3), no(6, minute)},
			{0, none, peek(), blocked(6, minute)},
			{minute - us, none, one(), no(10, us)},
			{us, none, one(), yes(9)},
		}},
		{"a block is lifted", "and what was earned meanwhile is there", plain, []takeStep{
			{0, none, cost(10), yes(0)},
			{0, none, block(time.Hour), yes(0)},
			{second / 2, none, block(0), yes(5)},
			{0, none, one(), yes(4)},
		}},
		{"a cost is never granted that waits for more than a block", "the longer wait is told", limit(1, minute, 5), []takeStep{
			{0, none, cost(5), yes(0)},
			{0, none, block(10 * second), yes(0)},
			{0, none, one(), no(0, minute)},
			{0, none, cost(6), port.TakeReply{TooHigh: true}},
		}},
		{"a full bucket stays blocked", "and the block outlives the bucket's own time", plain, []takeStep{
			{0, none, block(time.Hour), yes(10)},
			{30 * minute, none, one(), no(10, 30*minute)},
			{30 * minute, none, cost(10), yes(0)},
		}},
		{"a clock that steps back moves a block with it", "it lasts as long as it was to", plain, []takeStep{
			{0, none, block(minute), yes(10)},
			{-time.Hour, none, turn(), no(10, minute)},
			{minute - us, none, one(), no(10, us)},
			{us, none, one(), yes(9)},
		}},
		{"a bill is paid while blocked", "it was admitted before", plain, []takeStep{
			{0, none, block(minute), yes(10)},
			{0, none, bill(1, 4), yes(6)},
		}},
	}
}

// blockedLeaseStories are what a block means for tokens taken ahead.
func blockedLeaseStories() []takeStory {
	second := time.Second
	plain, none := limit(10, second, 20), domain.RateLimit{}
	return []takeStory{
		{"a block lends nothing", "what is lent goes back as ever", plain, []takeStep{
			{0, none, lend(1, 1, 5, 9*second), lent(5, 15)},
			{0, none, block(3 * second), yes(15)},
			{0, none, lend(1, 2, 5, 9*second), no(15, 3*second)},
			{0, none, lend(2, 1, 5, 9*second), no(15, 3*second)},
			{0, none, giveBack(2, 1, 5), lent(0, 15)},
			{3 * second, none, lend(2, 2, 5, 9*second), lent(5, 15)},
		}},
		{"a grant leaves room for what is lent", "it comes back by itself", plain, []takeStep{
			{0, none, lend(1, 1, 5, 9*second), lent(5, 15)},
			{0, none, cost(5), yes(10)},
			{0, none, reset(), yes(15)},
		}},
	}
}
