package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
)

// Wait is shorthand for WaitN with a cost of 1.
func (l *Limiter) Wait(ctx context.Context, key string) error { return l.WaitN(ctx, key, 1) }

// WaitN waits until cost tokens are there for the call, and takes them. It takes a
// place in the queue of the whole fleet, which serves its callers in the order in
// which they came to the store; nobody asks again and again. It waits until ctx
// ends, for the policy's MaxWait if that is set, and for an hour at most. A wait
// that would be longer is refused at once, with a [*domain.RateLimitedError] whose
// RetryAfter is how long it would be, and takes nothing.
//
// When ctx ends meanwhile it returns the cause, and its place goes to those of this
// replica who wait behind it or come next, or back to the fleet. Other errors are
// those of AllowN. While the store is out of reach the policy's Outage decides: of a
// local share it waits for its tokens in this replica. A limit in Shadow makes nobody
// wait.
func (l *Limiter) WaitN(ctx context.Context, key string, cost int64) error {
	_, err := l.WaitWithin(ctx, key, cost, nil)
	return err
}

// WaitWithin is WaitN that tells how the tokens were granted. What it spends on asking
// the store is taken from b, which may be nil; waiting for tokens is not.
func (l *Limiter) WaitWithin(ctx context.Context, key string, cost int64, b *Budget) (domain.Decision, error) {
	begun := l.replica.clock.now()
	for {
		r, err := l.reserve(ctx, key, cost, begun, b)
		if err == nil {
			return r.decision, r.Wait(ctx)
		}
		refusal, ok := errors.AsType[*domain.RateLimitedError](err)
		if !ok || !refusal.Degraded || !l.worthWaiting(ctx, begun, refusal.RetryAfter) {
			return domain.Decision{}, err
		}
		// Of its own share this replica knows when the tokens are there.
		if !l.replica.sleep(ctx, max(refusal.RetryAfter, time.Millisecond)) {
			return domain.Decision{}, l.ended(ctx)
		}
	}
}

// ended says why a call goes on no longer.
func (l *Limiter) ended(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return domain.ErrClosed
}

// Reserve takes cost tokens like WaitN, and does not wait for them: they may be used
// from the [Reservation]'s due instant on. Its errors are those of WaitN; it refuses
// what would not be due before ctx ends. The caller settles the reservation, cancels
// it, or lets it stand: it is charged then.
func (l *Limiter) Reserve(ctx context.Context, key string, cost int64) (*Reservation, error) {
	return l.reserve(ctx, key, cost, l.replica.clock.now(), nil)
}

// A waiter makes a demand one for a place in the queue. Each is a request of its own.
type waiter struct{ micro int64 }

// reserve takes tokens, or a place in the queue, for a caller who came at begun.
func (l *Limiter) reserve(ctx context.Context, key string, cost int64, begun time.Duration, b *Budget) (*Reservation, error) {
	if set := l.settings.Load(); set.policy.Shadow || cost == 0 {
		return l.reserveNow(ctx, key, cost, b)
	}
	q := whole(cost)
	set, ln, err := l.enter(ctx, key, &q)
	if err != nil {
		return nil, err
	}
	if _, queues := l.replica.bare.Buckets.(port.Queuer); !queues {
		return nil, fmt.Errorf("limit %q: the store has no queues: %w", set.policy.Name, errors.ErrUnsupported)
	}
	r := &Reservation{lane: ln, cost: cost, moved: make(chan struct{}, 1)}
	atMost := l.patience(ctx, set, begun)
	if ln.lease != nil && ln.spend(q, &r.decision) || ln.freePlace(r, atMost) {
		return r, nil
	}
	if ln.remembered(set, cost, &r.decision) && r.decision.RetryAfter > atMost {
		return nil, refusalOf(set, ln, &r.decision)
	}
	r.decision = domain.Decision{}
	if err := l.askPlace(set, r, atMost, b); err != nil { //nolint:contextcheck // it asks in its own time
		return nil, err
	}
	if ctx.Err() != nil {
		r.Cancel()
		return nil, context.Cause(ctx)
	}
	return r, nil
}

// reserveNow takes tokens that are there: of a limit that refuses nothing, or none.
func (l *Limiter) reserveNow(ctx context.Context, key string, cost int64, b *Budget) (*Reservation, error) {
	d, err := l.AllowWithin(ctx, key, cost, b)
	if err != nil {
		return nil, err
	}
	set := l.settings.Load()
	ln := l.lane(set, key)
	if !d.Allowed {
		return nil, refusalOf(set, ln, &d)
	}
	return &Reservation{lane: ln, cost: cost, decision: d}, nil
}

// patience is how long a caller who came at begun can wait still, in whole µs.
func (l *Limiter) patience(ctx context.Context, set *settings, begun time.Duration) time.Duration {
	atMost := domain.MaxWait
	if set.policy.MaxWait > 0 {
		atMost = set.policy.MaxWait
	}
	atMost -= l.replica.clock.now() - begun
	if deadline, ok := ctx.Deadline(); ok {
		atMost = min(atMost, deadline.Sub(l.replica.clock.time()))
	}
	return max(atMost, 0).Truncate(time.Microsecond)
}

// worthWaiting reports whether a caller can wait so long.
func (l *Limiter) worthWaiting(ctx context.Context, begun, wait time.Duration) bool {
	return wait > 0 && wait <= l.patience(ctx, l.settings.Load(), begun)
}

// freePlace gives r a place that somebody of this replica left, if there is one.
func (ln *lane) freePlace(r *Reservation, atMost time.Duration) bool {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	if len(ln.queue.spots) == 0 || !ln.queue.takeFree(r, ln.limiter.replica.clock.now(), atMost) {
		return false
	}
	r.decision = domain.Decision{Allowed: true, Granted: r.cost}
	return true
}

// askPlace asks the store for tokens or a place. It does so in its own time, within
// StoreTimeout: a place whose caller left is known, and can be given to another.
func (l *Limiter) askPlace(set *settings, r *Reservation, atMost time.Duration, b *Budget) error {
	ln, q := r.lane, demand{r.cost, 1, &waiter{(atMost - l.drift(atMost)).Microseconds()}}
	if l.binder != nil {
		reply := l.bound(ln, set).Take(q.ask(1))
		if reply.Err != nil {
			return l.degrade(ln, set, q, reply.Err, r)
		}
		return l.placed(set, q, &reply, r)
	}
	left := b.left(l.replica.config.StoreTimeout)
	switch {
	case left <= 0:
		return l.degrade(ln, set, q, errNoTime, r)
	case !ln.shard.health.Up():
		ln.shard.try(ln.touch)
		return l.degrade(ln, set, q, ln.shard.trouble.Load(), r)
	}
	asked := l.replica.clock.now()
	reply, _, err := ln.flight.Do(context.Background(), q, left)
	if b != nil {
		b.spend(l.replica.clock.now() - asked)
	}
	switch {
	case err == nil:
		return l.placed(set, q, &reply, r)
	case l.replica.closed.Load():
		return domain.ErrClosed
	default:
		return l.degrade(ln, set, q, err, r)
	}
}

// drift is how much longer a wait takes if this replica's clock is as much faster than
// the store's as is allowed for: 1 %. A store in this process has the same.
func (l *Limiter) drift(wait time.Duration) time.Duration {
	if l.binder != nil {
		return 0
	}
	return wait / 100
}

// degrade decides without the store.
func (l *Limiter) degrade(ln *lane, set *settings, q demand, why error, r *Reservation) (err error) {
	if r.decision, err = l.outage(ln, set, q, why); err == nil && !r.decision.Allowed {
		err = refusalOf(set, ln, &r.decision)
	}
	return err
}

// placed turns a store's reply into a reservation.
func (l *Limiter) placed(set *settings, q demand, reply *port.TakeReply, r *Reservation) error {
	ln := r.lane
	if err := l.decide(set, q, reply, 0, &r.decision); err != nil {
		return err
	}
	if !r.decision.Allowed {
		return refusalOf(set, ln, &r.decision)
	}
	if reply.DueMicro == 0 {
		return nil
	}
	ln.mu.Lock()
	defer ln.mu.Unlock()
	if ln.queue.closed {
		return domain.ErrClosed
	}
	ln.queue.join(r, l.dueAt(reply), reply)
	return nil
}

// dueAt is when a place that was just given is due: since the answer left, and so not too
// early.
func (l *Limiter) dueAt(place *port.TakeReply) time.Duration {
	return l.replica.clock.now() + place.Wait + l.drift(place.Wait)
}

func refusalOf(set *settings, ln *lane, d *domain.Decision) error {
	return &domain.RateLimitedError{
		Name: set.policy.Name, Key: ln.id.Key, Degraded: d.Degraded, Band: d.Band, RetryAfter: d.RetryAfter,
	}
}
