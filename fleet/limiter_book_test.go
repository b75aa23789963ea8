package fleet_test

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/bucket"
	"github.com/holdfast-go/holdfast/domain/port"
)

// A storeBook is what a store decided on one bucket: tokens at an instant of its time,
// those who wait at their due one; below 0 they came back.
type storeBook struct {
	mu      sync.Mutex
	entries []bookEntry
}

type bookEntry struct {
	at       time.Duration
	tokens   int64
	dueMicro int64 // by which a place is known
}

// note writes down one decision. Tokens that are lent are not in the book.
func (l *storeBook) note(now time.Duration, ask bucket.Ask, reply *port.TakeReply) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch r := ask.Return; {
	case reply.Granted == 0 || ask.Lease != nil:
	case r == nil:
		l.entries = append(l.entries, bookEntry{now + reply.Wait, reply.Granted * ask.Cost, reply.DueMicro})
	case r.DueMicro == 0:
		l.entries = append(l.entries, bookEntry{at: now, tokens: -reply.Granted})
	default: // nobody comes there any more
		i := slices.IndexFunc(l.entries, func(e bookEntry) bool { return e.dueMicro == r.DueMicro && e.tokens == r.Tokens })
		l.entries = slices.Delete(l.entries, i, i+1)
	}
}

// worst is by how many tokens the book is above the limit, in the worst interval.
func (l *storeBook) worst(limit domain.Limit) (worst float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	slices.SortStableFunc(l.entries, func(a, b bookEntry) int { return cmp.Compare(a.at, b.at) })
	rate, level, at := float64(limit.Tokens)/float64(limit.Period), 0.0, time.Duration(0)
	const rounding = 0.01 // the store counts whole µs
	for _, e := range l.entries {
		level = max(level-rate*float64(e.at-at), 0) + float64(e.tokens)
		if at = e.at; level-float64(limit.Burst) > rounding {
			worst = max(worst, level-float64(limit.Burst))
		}
	}
	return worst
}
