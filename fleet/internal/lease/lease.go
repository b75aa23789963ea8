// Package lease holds the tokens that a replica took ahead from one bucket, spends
// them without asking anybody, and says when to take how many more. It makes no
// call: its owner carries what it asks to the store.
//
// The rules are those of package bucket, and L6 of the protocol: the store
// remembers what it lent, so that nothing that happens to a holder, its messages
// or its process admits more than the limit.
package lease

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/domain/bucket"
)

const (
	shortest = time.Second            // the life of a lease where it need not be longer
	refresh  = 250 * time.Millisecond // for so long a lease is meant to last
	pace     = 20 * time.Millisecond  // a lease of less than the limit earns in this time is not worth a call
	again    = 100 * time.Millisecond // until more is asked for again, if nothing came of it
	first    = 4                      // tokens of the first lease

	margin     = 5 * time.Millisecond // a holder stops so long before the store forgets, and
	driftParts = 50                   // by this part of the lease's life, twice a clock's drift of 1 %
)

// A Holder is the leases of one bucket. It is safe for concurrent use.
type Holder struct {
	start uint64

	current atomic.Pointer[held] // spent first; nil = none
	fetchAt atomic.Int64         // not before is more fetched ahead

	mu     sync.Mutex
	next   *held // spent when the current one is
	seq    uint64
	asked  *asked // what was not answered yet
	quiet  time.Duration
	size   int64 // of the last lease asked for
	used   int64 // tokens used since
	since  time.Duration
	sealed bool // for good
}

// held is a lease that this replica has.
type held struct {
	seq     uint64
	granted int64
	low     int64         // from so few on the next one is fetched
	renewAt time.Duration // or from then on
	until   time.Duration // not spent from then on
	left    atomic.Int64
	counted int64 // of those spent, under the holder's lock
}

// asked is a question that the store may have heard.
type asked struct {
	seq   uint64
	want  int64
	least int64
	milli int64
	sent  time.Duration // the first time
}

// until is when a holder stops to spend what it got for an answer to a.
func (a *asked) until() time.Duration {
	life := time.Duration(a.milli) * time.Millisecond
	return a.sent + life - life/driftParts - margin
}

// New returns a holder that has nothing. No other holder of the bucket, of any time
// or process, may have the same start.
func New(start uint64) *Holder { return &Holder{start: start} }

// Empty reports whether there is nothing to spend, as far as can be seen without the
// time.
func (h *Holder) Empty() bool { return h.current.Load() == nil }

// Take spends cost tokens, if one lease has so many, and says how many are left of
// it. Fetch says that it is time to ask for more: to one caller at a time.
func (h *Holder) Take(now time.Duration, cost int64) (left int64, taken, fetch bool) {
	l := h.current.Load()
	if l == nil {
		return 0, false, false
	}
	if now < l.until {
		left, taken = l.take(cost)
	}
	if !taken {
		if l, left, taken = h.takeNext(now, cost); !taken {
			return 0, false, false
		}
	}
	return left, true, (left <= l.low || now >= l.renewAt) && h.fetch(now)
}

func (l *held) take(cost int64) (left int64, taken bool) {
	for {
		left = l.left.Load()
		if left < cost {
			return left, false
		}
		if l.left.CompareAndSwap(left, left-cost) {
			return left - cost, true
		}
	}
}

// takeNext spends from the second lease, which takes the place of the first once
// that is at an end.
func (h *Holder) takeNext(now time.Duration, cost int64) (l *held, left int64, taken bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.promote(now)
	if l = h.current.Load(); l != nil && now < l.until {
		if left, taken = l.take(cost); taken {
			return l, left, true
		}
	}
	if l = h.next; l != nil && now < l.until {
		left, taken = l.take(cost)
	}
	return l, left, taken
}

// promote puts the second lease into the place of the first, if that is at an end.
// It requires that h.mu is held.
func (h *Holder) promote(now time.Duration) {
	l := h.current.Load()
	if l != nil && now < l.until && l.left.Load() > 0 {
		return
	}
	h.count(l)
	if h.next != nil && now >= h.next.until {
		h.next = nil
	}
	h.current.Store(h.next)
	h.next = nil
}

// count adds to the tokens used what was spent of a lease since the last time. It
// requires that h.mu is held.
func (h *Holder) count(l *held) {
	if l != nil {
		spent := l.granted - l.left.Load()
		h.used += spent - l.counted
		l.counted = spent
	}
}

// fetch reports whether to ask for more now.
func (h *Holder) fetch(now time.Duration) bool {
	at := h.fetchAt.Load()
	return int64(now) >= at && h.fetchAt.CompareAndSwap(at, int64(now+again))
}

// Left is how many tokens can be spent now.
func (h *Holder) Left(now time.Duration) (tokens int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range [...]*held{h.current.Load(), h.next} {
		if l != nil && now < l.until {
			tokens += l.left.Load()
		}
	}
	return tokens
}

// Terms are what a lease depends on.
type Terms struct {
	Rule     *bucket.Rule
	Replicas int   // that share the limit
	Riding   int64 // tokens that callers ask for in the same call
}

// Ask is what is to be asked of the store now, in a call that is about to be sent;
// false is nothing. Answered is to follow, if there is an answer; else the same is
// asked again, under the same name, while that makes sense. One call at a time asks.
func (h *Holder) Ask(now time.Duration, t Terms) (ask bucket.Ask, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.promote(now)
	h.used += t.Riding
	if h.asked != nil && now >= h.asked.until() {
		h.asked = nil // if it was granted, it ends unspent
	}
	if h.asked == nil && !h.wants(now, t) {
		return bucket.Ask{}, false
	}
	a := h.asked
	told := bucket.LeaseAsk{ID: bucket.LeaseID{Start: h.start, Seq: a.seq}, Milli: a.milli, Spent: a.seq}
	if l := h.current.Load(); l != nil {
		told.Spent, told.Left = l.seq, l.left.Load()
	}
	return bucket.Ask{Cost: a.least, Count: a.want, Turn: true, Lease: &told}, true
}

// wants makes a new question, if there is cause for one. It requires that h.mu is
// held.
func (h *Holder) wants(now time.Duration, t Terms) bool {
	l := h.current.Load()
	if h.sealed || now < h.quiet || h.next != nil || l != nil && l.left.Load() > l.low && now < l.renewAt {
		return false
	}
	want := h.sizeNow(now, l)
	most, life := bounds(t, want)
	want = min(want, most)
	if want < 1 {
		return false
	}
	h.size, h.used, h.since = want, 0, now
	h.seq++
	h.asked = &asked{seq: h.seq, want: want, least: min(worth(t.Rule), want), milli: life.Milliseconds(), sent: now}
	return true
}

// sizeNow is how many tokens are used until the next refresh if it goes on as it
// did: at most twice as many as were asked for last, and half of them if most of
// those are there still. It is 0 for the first look, and where nothing is used. It
// requires that h.mu is held.
func (h *Holder) sizeNow(now time.Duration, l *held) int64 {
	h.count(l)
	elapsed := now - h.since
	if h.since == 0 || l == nil && elapsed > 10*refresh {
		h.since, h.used, h.size = max(now, 1), 0, 0
		return 0
	}
	if l != nil && l.left.Load() > l.granted/2 {
		return max(h.size/2, 1)
	}
	need := float64(h.used) * float64(refresh) / float64(max(elapsed, time.Millisecond))
	return int64(min(need, float64(max(2*h.size, first))))
}

// bounds are how many tokens may be asked for, so that leases of all replicas find
// room, and how long a lease of want tokens lives, so that it comes to the turn of
// each: 0 where the bucket is too small, or too slow.
func bounds(t Terms, want int64) (most int64, life time.Duration) {
	b, replicas := t.Rule.Bands[0], int64(t.Replicas)
	if replicas < 1 {
		return 0, 0
	}
	const longest = bucket.MaxLeaseMilli * time.Millisecond
	perReplica := float64(b.Worth) / float64(b.Earn) * float64(time.Microsecond) * 2 * float64(replicas)
	most = min(t.Rule.Burst()/replicas/4, int64(float64(longest)/perReplica))
	return most, min(max(shortest, time.Duration(float64(min(want, most))*perReplica)), longest)
}

// worth is the fewest tokens that are worth a call.
func worth(r *bucket.Rule) int64 {
	slowest := r.Bands[r.Count()-1]
	return max(int64(float64(pace.Microseconds())*float64(slowest.Earn)/float64(slowest.Worth)), 1)
}

// Answered is what the store granted, 0 with how long to be silent then.
func (h *Holder) Answered(now time.Duration, granted int64, silent time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.asked
	if h.asked = nil; a == nil {
		return // it was sealed meanwhile
	}
	if granted < 1 || now >= a.until() {
		if silent <= 0 {
			silent = again
		}
		h.quiet = now + silent
		h.fetchAt.Store(int64(h.quiet))
		return
	}
	l := &held{seq: a.seq, granted: granted, low: granted / 4, renewAt: a.sent + (a.until()-a.sent)/2, until: a.until()}
	l.left.Store(granted)
	h.promote(now)
	if h.current.Load() == nil {
		h.current.Store(l)
	} else {
		h.next = l
	}
	h.fetchAt.Store(0)
}

// Seal ends all spending, for good, and returns what has to be told to the store so
// that the rest goes back into the bucket.
func (h *Holder) Seal() (asks []bucket.Ask) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sealed = true
	for _, l := range [...]*held{h.current.Load(), h.next} {
		if l != nil {
			asks = append(asks, h.giveBack(l.seq, l.left.Swap(0)))
		}
	}
	if h.asked != nil {
		asks = append(asks, h.giveBack(h.asked.seq, h.asked.want)) // it may have been granted, and was never spent
	}
	h.current.Store(nil)
	h.next, h.asked = nil, nil
	return asks
}

// giveBack is the return of a lease. It requires that h.mu is held.
func (h *Holder) giveBack(seq uint64, left int64) bucket.Ask {
	return bucket.Ask{Cost: 1, Lease: &bucket.LeaseAsk{
		ID: bucket.LeaseID{Start: h.start, Seq: h.seq + 1}, Milli: 1, Spent: seq, Left: left, Sealed: true,
	}}
}
