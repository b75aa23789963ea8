package fleet

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/bucket"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet/internal/lease"
)

// A lane is what this replica keeps for one bucket.
type lane struct {
	limiter *Limiter
	id      port.ID
	shard   *shard
	stray   bool // nobody finds it again: there are too many
	flight  laneFlights
	tier    atomic.Pointer[tier] // nil: LimitFor was not asked
	bound   atomic.Pointer[boundBucket]
	lease   *lease.Holder // nil: nothing is taken ahead

	memo atomic.Pointer[memo] // nil: no denial is remembered

	mu      sync.Mutex
	local   outageShare
	queue   queue
	returns returns
}

// A memo is a denial remembered: until then, costs from that one on are denied
// without asking.
type memo struct {
	rule    bucket.Rule // a changed limit ends it
	band    int         // that must be waited for longest
	pace    bucket.Band // at which higher costs are waited for
	cost    int64
	until   time.Duration
	retryAt time.Duration // what callers are told: it may be later than until
}

// remembered answers from the memory of a denial. A peek is never answered so.
func (ln *lane) remembered(set *settings, cost int64, d *domain.Decision) bool {
	m := ln.memo.Load()
	if m == nil || cost == 0 {
		return false
	}
	now := ln.limiter.replica.clock.now()
	if now >= m.until || m.rule != set.rule {
		ln.memo.CompareAndSwap(m, nil)
		return false
	}
	if cost < m.cost {
		return false
	}
	// A higher cost has to wait for its further tokens too. (Where another band
	// must then be waited for even longer, that is told when it asks again.)
	d.Band, d.RetryAfter = m.band, m.retryAt-now+timeToEarn(m.pace, cost-m.cost)
	return true
}

// timeToEarn is how long a band takes to earn tokens, rounded up to µs.
func timeToEarn(b bucket.Band, tokens int64) time.Duration {
	return time.Duration((tokens*b.Worth+b.Earn-1)/b.Earn) * time.Microsecond
}

// remember keeps the denial of the smallest cost: it denies the others too.
func (ln *lane) remember(rule bucket.Rule, cost int64, denied port.TakeReply) {
	now := ln.limiter.replica.clock.now()
	if old := ln.memo.Load(); old != nil && now < old.until && old.rule == rule && old.cost <= cost {
		return
	}
	ln.memo.Store(&memo{rule, denied.Band, paceOf(rule, denied), cost, now + min(denied.RetryAfter, memoLongest), now + denied.RetryAfter})
}

// paceOf is the band that denied, or the first one: the band of other numbers
// than ours, or of a store that is wrong, may be none of these.
func paceOf(rule bucket.Rule, denied port.TakeReply) bucket.Band {
	if denied.Foreign || denied.Band < 0 || denied.Band >= rule.Count() {
		return rule.Bands[0]
	}
	return rule.Bands[denied.Band]
}

// idle reports whether nothing would be lost with the lane.
func (ln *lane) idle() bool {
	if m := ln.memo.Load(); m != nil && ln.limiter.replica.clock.now() < m.until {
		return false
	}
	if ln.lease != nil && ln.lease.Left(ln.limiter.replica.clock.now()) > 0 {
		return false
	}
	ln.mu.Lock()
	ln.queue.sweep(ln.limiter.replica.clock.now())
	owing := !ln.local.empty() || len(ln.queue.spots) > 0 || ln.returns.sending
	ln.mu.Unlock()
	return !owing && ln.flight.Idle()
}

// touch has the store write the bucket as it is.
func (ln *lane) touch(ctx context.Context) error {
	set := ln.current()
	in := [1]port.TakeRequest{{Bucket: ln.id, Rule: set.rule, Manner: set.manner(), Ask: bucket.Ask{Count: 1, Turn: true}}}
	var out [1]port.TakeReply
	ln.limiter.replica.stores.Buckets.Take(ctx, in[:], out[:])
	return out[0].Err
}

// memoLongest is how long a denial is remembered at most.
const memoLongest = time.Second
