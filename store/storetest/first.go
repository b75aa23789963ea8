package storetest

import (
	"time"

	"github.com/holdfast-go/holdfast/domain"
)

// firstStories are what a store promises of buckets that do not begin full.
func firstStories() []takeStory {
	second := time.Second
	first := func(tokens int64, r domain.RateLimit) domain.RateLimit {
		r.FirstFill = tokens
		return r
	}
	none := domain.RateLimit{}
	empty := first(domain.FirstEmpty, limit(10, second, 20))
	plain := limit(10, second, 20)
	return []takeStory{
		{"a bucket that begins empty", "earns from its first call on, also if that was denied", empty, []takeStep{
			{0, none, one(), no(0, second/10)},
			{second / 10, none, one(), yes(0)},
			{10 * second, none, cost(20), yes(0)},
		}},
		{"one that begins with some", "and no more than it can hold", first(5, plain), []takeStep{
			{0, none, cost(6), no(5, second/10)},
			{0, none, cost(5), yes(0)},
		}},
		{"more than it can hold is full", "", first(500, plain), []takeStep{
			{0, none, cost(20), yes(0)},
		}},
		{"a look is no use of it", "and leaves it as new as it was", empty, []takeStep{
			{0, none, peek(), blocked(0, second/10)},
			{time.Minute, none, peek(), blocked(0, second/10)},
			{0, none, one(), no(0, second/10)},
			{second, none, peek(), yes(10)},
		}},
		{"who comes back within the hour is known", "a full bucket is remembered", empty, []takeStep{
			{0, none, one(), no(0, second/10)},
			{time.Hour - us, none, cost(20), yes(0)},
			{time.Hour - us, none, peek(), yes(20)},
		}},
		{"who comes back later is new", "", empty, []takeStep{
			{0, none, one(), no(0, second/10)},
			{time.Hour, none, one(), no(0, second/10)},
			{second, none, cost(10), yes(0)},
		}},
		{"a bucket that takes longer to fill is not forgotten before", "", first(domain.FirstEmpty, limit(1, time.Hour, 3)), []takeStep{
			{0, none, one(), no(0, time.Hour)},
			{2 * time.Hour, none, cost(2), yes(0)},
			{3*time.Hour - us, none, peek(), yes(2)},
			{us, none, one(), no(0, time.Hour)},
		}},
		{"it begins so in each band", "", first(2, with(limit(10, second, 20), limit(100, time.Minute, 100))), []takeStep{
			{0, none, cost(3), by(1, no(2, 600*time.Millisecond))},
			{600 * time.Millisecond, none, cost(3), yes(0)},
		}},
		{"others who do not say so begin full", "and what they wrote last is forgotten as ever", empty, []takeStep{
			{0, plain, cost(20), yes(0)},
			{2*second - us, none, peek(), yes(19)},
			{us, none, one(), no(0, second/10)},
			{second, plain, cost(10), yes(0)},
			{2 * second, plain, cost(20), yes(0)},
		}},
	}
}
