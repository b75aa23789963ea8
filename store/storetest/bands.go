package storetest

import (
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/bucket"
	"github.com/holdfast-go/holdfast/domain/port"
)

// with is r with further bands.
func with(r domain.RateLimit, further ...domain.RateLimit) domain.RateLimit {
	for i := range further {
		r.Also[i] = further[i].Limit
	}
	return r
}

// by is a refusal by a further band.
func by(band int, reply port.TakeReply) port.TakeReply {
	reply.Band = band
	return reply
}

// bandStories are what a limit of several bands promises.
func bandStories() []takeStory {
	second, minute := time.Second, time.Minute
	two := with(limit(10, second, 10), limit(15, minute, 15))
	debts := with(limit(10, second, 10), limit(1, second, 100))
	slow := with(limit(100, second, 10), limit(5, second, 15))
	plain := limit(10, second, 10)
	added := version(with(plain, limit(1, second, 30)), 1)
	return []takeStory{
		{"all bands or none (case 17)", "a band that refuses leaves the others as they are, and is named", two, []takeStep{
			{0, domain.RateLimit{}, cost(10), yes(0)},
			{second, domain.RateLimit{}, cost(6), by(1, no(5, 3*second))},
			{0, domain.RateLimit{}, cost(5), yes(0)},
			{0, domain.RateLimit{}, cost(5), by(1, no(0, 19*second))},
			{19*second - us, domain.RateLimit{}, cost(5), by(1, no(4, us))},
			{us, domain.RateLimit{}, cost(5), yes(0)},
		}},
		{"the band that must be waited for longest is named", "and the wait is enough for all of them", two, []takeStep{
			{0, domain.RateLimit{}, cost(8), yes(2)},
			{0, domain.RateLimit{}, cost(4), no(2, second/5)},
			{second / 5, domain.RateLimit{}, cost(4), yes(0)},
			{0, domain.RateLimit{}, cost(4), by(1, no(0, 3800*time.Millisecond))},
			{0, domain.RateLimit{}, peek(), port.TakeReply{Granted: 1, RetryAfter: second / 10}},
		}},
		{"many calls take what all bands have", "in one ask as one by one", two, []takeStep{
			{0, domain.RateLimit{}, many(99), port.TakeReply{Granted: 10, RetryAfter: second / 10}},
			{second, domain.RateLimit{}, many(99), by(1, port.TakeReply{Granted: 5, RetryAfter: 3 * second})},
		}},
		{"a cost above the smallest burst is never granted", "however much the others hold", two, []takeStep{
			{0, domain.RateLimit{}, cost(11), port.TakeReply{Remaining: 10, TooHigh: true}},
		}},
		{"each band keeps its own burst", "the slow one fills up long after the fast one", two, []takeStep{
			{0, domain.RateLimit{}, cost(10), yes(0)},
			{20*second - us, domain.RateLimit{}, peek(), yes(9)},
			{us, domain.RateLimit{}, peek(), yes(10)},
			{time.Hour, domain.RateLimit{}, cost(10), yes(0)},
			{second, domain.RateLimit{}, many(9), by(1, port.TakeReply{Granted: 5, RetryAfter: 3 * second})},
		}},
		{"a bill is charged to each band", "to each no more than it can hold", debts, []takeStep{
			{0, domain.RateLimit{}, bill(1, 50), yes(0)},
			{0, domain.RateLimit{}, one(), no(0, second/10)},
			{second, domain.RateLimit{}, cost(10), yes(0)},
			{0, domain.RateLimit{}, bill(2, 100), yes(0)},
			{0, domain.RateLimit{}, one(), by(1, no(0, 60*second))},
			{60 * second, domain.RateLimit{}, one(), yes(0)},
		}},
		{"turns are as long as the band that refuses takes", "not as long as the fastest does", slow, []takeStep{
			{0, domain.RateLimit{}, cost(10), yes(0)},
			{second / 10, domain.RateLimit{}, cost(5), yes(0)},
			{0, domain.RateLimit{}, turn(), by(1, no(0, second/10))},
			{0, domain.RateLimit{}, turn(), by(1, no(0, second/5))},
		}},
		{"a clock that steps back refills no band", "nor does one that is far behind", two, []takeStep{
			{0, domain.RateLimit{}, cost(10), yes(0)},
			{second, domain.RateLimit{}, cost(5), yes(0)},
			{-2 * second, domain.RateLimit{}, one(), by(1, no(0, 3*second))},
			{-time.Hour, domain.RateLimit{}, one(), by(1, no(0, 3*second))},
			{3 * second, domain.RateLimit{}, one(), yes(0)},
		}},
		{"a band that is added begins full", "the one that was there goes on", plain, []takeStep{
			{0, domain.RateLimit{}, cost(10), yes(0)},
			{0, added, one(), no(0, second/10)},
			{second / 10, added, one(), yes(0)},
			{second, added, cost(10), yes(0)},
			{second, added, cost(10), yes(0)},
			{second, added, cost(10), yes(0)},
			{second, added, cost(10), by(1, no(3, 7*second))},
		}},
		{"a band goes on from the one of its rate", "wherever it stands, and whatever its burst", added, []takeStep{
			{0, domain.RateLimit{}, cost(10), yes(0)},
			{0, version(limit(1, second, 60), 2), one(), yes(39)},
			{0, version(with(plain, limit(2, second, 20), limit(1, second, 60)), 3), cost(2), yes(8)},
			{0, version(limit(1, second, 60), 4), one(), yes(36)},
		}},
		{"the others go on in their order", "in proportion, as a limit of one band does", two, []takeStep{
			{0, domain.RateLimit{}, cost(6), yes(4)},
			{0, version(with(limit(20, second, 20), limit(30, minute, 30)), 1), one(), yes(7)},
			{0, version(with(limit(20, second, 100), limit(30, minute, 300)), 2), cost(36), by(0, no(35, 50*time.Millisecond))},
		}},
		{"more bands are stricter", "at equal versions, where those before are the same", with(plain, limit(1, second, 30)), []takeStep{
			{0, domain.RateLimit{}, cost(1), yes(9)},
			{0, plain, cost(1), foreign(yes(8))},
			{0, domain.RateLimit{}, bucket.Ask{Cost: 2, Count: 9}, port.TakeReply{Granted: 4, RetryAfter: second / 5}},
		}},
	}
}

// foreign is an answer by other numbers than the asker's.
func foreign(r port.TakeReply) port.TakeReply {
	r.Foreign = true
	return r
}
