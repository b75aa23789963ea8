package fleet

import (
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/bucket"
)

// outage decides a call that the store did not, as the policy declares.
func (l *Limiter) outage(ln *lane, set *settings, q demand, why error) (domain.Decision, error) {
	switch set.policy.Outage {
	case domain.OutageOpen:
		ln.mu.Lock()
		defer ln.mu.Unlock()
		ln.owe(q.cost * q.times)
		return domain.Decision{Allowed: true, Degraded: true, Granted: q.cost * q.times}, nil
	case domain.OutageLocalShare:
		if n := l.replica.replicas(); n > 0 {
			return ln.takeLocal(set.rule, n, q), nil
		}
		return domain.Decision{}, asStoreError(set, why)
	case domain.OutageClosed:
		return domain.Decision{}, asStoreError(set, why)
	default:
		return domain.Decision{}, asStoreError(set, why)
	}
}

// asStoreError is why a limit was not decided by the store.
func asStoreError(set *settings, why error) error {
	return storeError("bucket take", set.policy.Name, why)
}

// storeError is why, where it is a store's own word about this call, else an error made
// of it.
func storeError(op, name string, why error) error {
	if said, ok := why.(*domain.StoreError); ok { //nolint:errorlint // only a bare one is the store's own word
		return said
	}
	made := &domain.StoreError{Op: op, Name: name, Err: why}
	if down, ok := why.(*downError); ok { //nolint:errorlint // as made here
		made.Config = down.config
	}
	return made
}

// An outageShare is what a lane keeps for outages: this replica's part of the
// limit, and what it has to pay for afterwards. It is under the lane's lock.
type outageShare struct {
	share    bucket.Share
	earnedAt time.Duration
	debt     int64 // tokens admitted without the store
	billed   int64 // of those, on the bill that is being sent
	billID   uint64
	payAt    time.Duration // not to be collected before: the store did not take it
}

func (o *outageShare) empty() bool { return o.debt == 0 }

// takeLocal takes from this replica's share. It earns only while the store is
// down, not at every lost reply.
func (ln *lane) takeLocal(rule bucket.Rule, replicas int, q demand) domain.Decision {
	now := ln.limiter.replica.clock.now()
	ln.mu.Lock()
	defer ln.mu.Unlock()
	o := &ln.local
	if ln.stray { // what it earned and took would be forgotten
		return domain.Decision{Degraded: true, RetryAfter: timeToEarn(rule.Bands[0], max(q.cost, 1))}
	}
	o.share.Earn(rule, replicas, ln.shard.downFor(now, o.earnedAt).Microseconds())
	o.earnedAt = now
	share := &o.share
	if q.cost == 0 { // what would a call do?
		look := o.share
		share = &look
	}
	cost := q.cost
	if q.times > 1 {
		cost = min(q.times, share.Tokens())
	}
	ok, retryMicro, band := share.Take(max(cost, 1))
	if !ok {
		return domain.Decision{Degraded: true, Band: band, RetryAfter: time.Duration(retryMicro) * time.Microsecond}
	}
	ln.owe(cost)
	return domain.Decision{Allowed: true, Degraded: true, Granted: cost}
}

// owe notes tokens to pay for. It requires that ln.mu is held.
func (ln *lane) owe(cost int64) {
	if cost == 0 || ln.stray {
		return
	}
	if ln.local.debt == 0 {
		ln.shard.owes(ln, true)
	}
	ln.local.debt += cost
}

// settleLocal gives back tokens that were admitted without the store, as far as they
// are on no bill yet, or below 0 charges more.
func (ln *lane) settleLocal(back int64) {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	if back < 0 {
		ln.owe(-back)
		return
	}
	o := &ln.local
	if o.debt > 0 {
		if o.debt -= min(back, o.debt-o.billed); o.debt == 0 {
			ln.shard.owes(ln, false)
		}
	}
}

// bill returns what the lane owes, at most what the largest band holds. A bill
// whose reply was lost is sent again under its number, so that it is paid once.
func (o *outageShare) bill(ln *lane, rule bucket.Rule) (id uint64, tokens int64, owing bool) {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	if o.debt == 0 {
		return 0, 0, false
	}
	if o.billID == 0 {
		o.billID, o.billed = ln.limiter.replica.billNumber(), o.debt
	}
	return o.billID, min(o.billed, rule.Capacity()), true
}

// payAgain is how long a bill rests that was not answered, unless its lane flies
// for a caller.
const payAgain = time.Second

// unpaid lets the bill rest.
func (o *outageShare) unpaid(ln *lane) {
	now := ln.limiter.replica.clock.now()
	ln.mu.Lock()
	defer ln.mu.Unlock()
	o.payAt = now + payAgain
}

// due reports whether there is a bill that may be collected.
func (o *outageShare) due(ln *lane, now time.Duration) bool {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	return o.debt > 0 && now >= o.payAt
}

// billNumber is random, not 0, and exact as a Lua number.
func (r *Replica) billNumber() uint64 {
	return r.random.Uint64N(1<<53-1) + 1
}

// paid ends the bill that was sent; what it asked for beyond a burst is
// forgiven. What was admitted since is on the next one.
func (o *outageShare) paid(ln *lane) {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	o.debt -= o.billed
	o.billID, o.billed, o.payAt = 0, 0, 0
	if o.debt == 0 {
		ln.shard.owes(ln, false)
	}
}
