package fleet

import (
	"context"
	"maps"
	"slices"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/bucket"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet/internal/lease"
)

// spend answers a call from tokens that were taken ahead, and lets the lane fly
// for more before they are at an end. A peek is told what there is.
func (ln *lane) spend(q demand, d *domain.Decision) bool {
	if ln.lease.Empty() {
		return false // before the clock is read: a denial from memory reads it, too
	}
	now := ln.limiter.replica.clock.now()
	if q.cost == 0 {
		left := ln.lease.Left(now)
		d.Allowed, d.Remaining = left > 0, left
		return left > 0
	}
	left, taken, fetch := ln.lease.Take(now, q.cost*q.times)
	if fetch && ln.shard.health.Up() {
		ln.shard.flights.Kick(&ln.flight)
	}
	if taken {
		d.Allowed, d.Granted, d.Remaining = true, q.cost*q.times, left
	}
	return taken
}

// leaseAsk is what a flight is to ask for ahead, beside callers who want so many
// tokens.
func (ln *lane) leaseAsk(rule *bucket.Rule, riding int64) (ask bucket.Ask, ok bool) {
	if ln.lease == nil {
		return ask, false
	}
	r := ln.limiter.replica
	return ln.lease.Ask(r.clock.now(), lease.Terms{Rule: rule, Replicas: r.replicas(), Riding: riding})
}

// leased takes the last of out, which is the answer to a lease. Where there was
// nothing to lend, the lane is silent until it is worth a call: those who were
// denied are told to wait as long, and so is who comes meanwhile.
func (ln *lane) leased(asked port.TakeRequest, out []port.TakeReply) {
	last := len(out) - 1
	granted, silent := out[last].Granted, out[last].RetryAfter
	if out[last].TooHigh {
		silent = memoLongest
	}
	ln.lease.Answered(ln.limiter.replica.clock.now(), granted, min(silent, memoLongest))
	if granted > 0 || out[last].RetryAfter == 0 {
		return
	}
	for i := range out[:last] {
		if out[i].RetryAfter > 0 {
			out[i].RetryAfter = max(out[i].RetryAfter, silent)
		}
	}
	ln.remember(asked.Rule, 1, out[last])
}

// holderNumber is random for each lane: one that was forgotten and is made anew must
// not take its old leases, which may be about to end, for those it asks for. It is
// short, since it is stored with each lease; that two of a thousand replicas have the
// same one for a bucket has a chance of one in two million.
func (r *Replica) holderNumber() uint64 { return r.random.Uint64N(1<<40-1) + 1 }

// returnLeases gives back what replicas took ahead and did not spend.
func (r *Replica) returnLeases(ctx context.Context) {
	var in []port.TakeRequest
	for _, l := range r.everyLimiter() {
		for _, ln := range l.lending() {
			set := ln.current()
			for _, ask := range ln.lease.Seal() {
				in = append(in, port.TakeRequest{Bucket: ln.id, Rule: set.rule, Manner: set.manner(), Ask: ask})
			}
		}
	}
	for ; len(in) > 0 && ctx.Err() == nil; in = in[min(len(in), returnsTogether):] {
		part := in[:min(len(in), returnsTogether)]
		r.stores.Buckets.Take(ctx, part, make([]port.TakeReply, len(part)))
	}
}

// returnsTogether is how many leases one call gives back.
const returnsTogether = 256

// lending are the lanes that may have taken tokens ahead.
func (l *Limiter) lending() []*lane {
	if !l.lends() {
		return nil
	}
	return l.everyLane()
}

// everyLane is all lanes that this replica keeps.
func (l *Limiter) everyLane() []*lane {
	if set := l.settings.Load(); !set.policy.Keyed {
		return []*lane{l.lane(set, "")}
	}
	l.lanes.mu.RLock()
	defer l.lanes.mu.RUnlock()
	return slices.Collect(maps.Values(l.lanes.byKey))
}

// lends reports whether tokens are taken ahead: where the store is in this process,
// nothing would be saved by it.
func (l *Limiter) lends() bool { return l.binder == nil && l.Policy().Lease }
