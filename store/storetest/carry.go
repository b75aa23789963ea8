package storetest

import (
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
)

// carryStories are what becomes of the tokens in a bucket when its limit changes.
func carryStories() []takeStory {
	second := time.Second
	old := limit(10, second, 10)
	next := func(how domain.Carry, tokens, burst int64) domain.RateLimit {
		r := version(limit(tokens, second, burst), 1)
		r.Carry = how
		return r
	}
	keep, reset := domain.CarryTokens, domain.CarryReset
	banded := with(next(keep, 10, 20), limit(1, second, 30))
	return []takeStory{
		{"tokens are kept", "as many as there were, whatever the new burst and rate", old, []takeStep{
			{0, domain.RateLimit{}, cost(4), yes(6)},
			{0, next(keep, 7, 100), one(), yes(5)},
			{0, domain.RateLimit{}, one(), foreign(yes(4))},
			{second, next(keep, 7, 100), one(), yes(10)},
		}},
		{"no more tokens are kept than the new burst holds", "and no part of one", old, []takeStep{
			{0, domain.RateLimit{}, cost(4), yes(6)},
			{second / 20, next(keep, 1, 5), cost(5), yes(0)},
			{0, next(keep, 1, 5), one(), no(0, second)},
		}},
		{"a debt is kept with the tokens", "no change forgives it", old, []takeStep{
			{0, domain.RateLimit{}, bill(1, 10), yes(0)},
			{0, domain.RateLimit{}, bill(2, 5), yes(0)},
			{0, next(keep, 1, 20), turn(), no(0, 6*second)},
		}},
		{"a reset begins full", "each change is worth a burst", old, []takeStep{
			{0, domain.RateLimit{}, cost(10), yes(0)},
			{0, next(reset, 10, 5), cost(5), yes(0)},
			{0, next(reset, 10, 5), one(), no(0, second/10)},
			{0, domain.RateLimit{}, one(), foreign(no(0, second/10))},
			{0, next(reset, 10, 5), one(), no(0, second/10)},
		}},
		{"numbers that lose reset nothing", "nor does asking with them for long", next(reset, 10, 5), []takeStep{
			{0, domain.RateLimit{}, cost(5), yes(0)},
			{0, reseting(old), one(), foreign(no(0, second/10))},
			{0, reseting(old), one(), foreign(no(0, second/10))},
		}},
		{"each band keeps its own tokens", "a new one begins full", old, []takeStep{
			{0, domain.RateLimit{}, cost(4), yes(6)},
			{0, banded, one(), yes(5)},
			{0, banded, cost(6), port.TakeReply{Remaining: 5, RetryAfter: second / 10}},
		}},
	}
}

// reseting is r, which begins with a full bucket where it changes something.
func reseting(r domain.RateLimit) domain.RateLimit {
	r.Carry = domain.CarryReset
	return r
}
