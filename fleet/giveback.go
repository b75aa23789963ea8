package fleet

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/bucket"
	"github.com/holdfast-go/holdfast/domain/port"
)

// giveBacksTogether is how many returns one call carries.
const giveBacksTogether = 256

// giveBackFor is for how long returns are sent that the store does not answer. It is
// well below the time for which a bucket remembers them.
const giveBackFor = 4 * time.Second

// A giving is tokens on their way back, or, below 0, to be charged.
type giving struct {
	tokens int64
	spot   *spot // whose they were; nil: of no place in the queue
	early  bool  // they are not due yet, and so for nobody here
	id     bucket.LeaseID
	done   chan error // told what came of it; nil: nobody waits
}

// returns are what one lane has to give back. They are under the lane's lock. They
// go in the order of their numbers, one call at a time: the store heeds none before
// a later one.
type returns struct {
	start   uint64 // of this lane; 0 = it never gave anything back
	seq     uint64
	pending []giving
	sending bool
}

// settle gives tokens back, or charges them, and waits for the store.
func (ln *lane) settle(ctx context.Context, g giving) error {
	done := make(chan error, 1)
	g.done = done
	ln.mu.Lock()
	ln.giveBackLocked(g)
	ln.mu.Unlock()
	patience := time.NewTimer(ln.limiter.replica.config.StoreTimeout)
	defer patience.Stop()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-patience.C:
		return asStoreError(ln.current(), errNotReturned)
	}
}

var errNotReturned = errors.New("no answer in time")

// GiveBack returns what a Decision on that key granted, of a call that was not made
// after all: once. It does not wait for the store; what cannot be given back within a
// few seconds is spent. In an interval that begins between the two, the limit can
// admit what it earned meanwhile above its bound. It does nothing for a Decision
// that granted nothing, or a key that cannot be.
func (l *Limiter) GiveBack(key string, d domain.Decision) {
	set := l.settings.Load()
	if d.Granted <= 0 || l.replica.closed.Load() || set.policy.Keyed && key == "" {
		return
	}
	if _, queues := l.replica.bare.Buckets.(port.Queuer); !queues {
		return
	}
	ln := l.lane(set, key)
	if d.Degraded {
		ln.settleLocal(d.Granted)
		return
	}
	ln.mu.Lock()
	defer ln.mu.Unlock()
	ln.giveBackLocked(giving{tokens: d.Granted})
}

// giveBackLocked sends tokens back. What somebody of this replica waits for is theirs at
// once: a bucket with a queue has no use for most of it. It requires that ln.mu is held.
func (ln *lane) giveBackLocked(g giving) {
	if g.spot == nil && g.tokens > 0 && !g.early {
		g.tokens = ln.queue.serve(ln, g.tokens)
	}
	if g.tokens == 0 {
		if g.done != nil {
			g.done <- nil
		}
		return
	}
	if b := ln.limiter.binder; b != nil {
		ln.giveBackHere(g)
		return
	}
	ln.returns.pending = append(ln.returns.pending, g)
	if ln.returns.sending {
		return
	}
	if ln.returns.sending = ln.limiter.replica.spawn(ln.sendReturns); !ln.returns.sending {
		ln.returns.drop(domain.ErrClosed)
	}
}

// giveBackHere gives back to a store in this process. It requires that ln.mu is held.
func (ln *lane) giveBackHere(g giving) {
	g.id = ln.nextReturn()
	reply := ln.limiter.bound(ln, ln.current()).Take(g.ask())
	ln.returned(g, &reply, false)
}

// nextReturn numbers a return. It requires that ln.mu is held.
func (ln *lane) nextReturn() bucket.LeaseID {
	if ln.returns.start == 0 {
		ln.returns.start = ln.limiter.replica.holderNumber()
	}
	ln.returns.seq++
	return bucket.LeaseID{Start: ln.returns.start, Seq: ln.returns.seq}
}

// dueMicro is when the place is due, by the store's clock; 0 = it is none.
func (g giving) dueMicro() int64 {
	if g.spot == nil {
		return 0
	}
	return g.spot.dueMicro
}

func (g giving) stepMicro() int64 {
	if g.spot == nil {
		return 0
	}
	return g.spot.stepMicro
}

func (g giving) ask() bucket.Ask {
	return bucket.Ask{Return: &bucket.Return{ID: g.id, Tokens: g.tokens, DueMicro: g.dueMicro(), StepMicro: g.stepMicro()}}
}

// sendReturns gives back all that is pending, and what comes meanwhile.
func (ln *lane) sendReturns(ctx context.Context) {
	for {
		batch := ln.nextReturns()
		if len(batch) == 0 {
			return
		}
		ln.sendBatch(ctx, batch)
	}
}

// nextReturns takes some of what is pending. Of places the last ones go first: each
// of them is then the last one in the queue.
func (ln *lane) nextReturns() []giving {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	p := &ln.returns
	if len(p.pending) == 0 {
		p.sending, p.pending = false, nil
		return nil
	}
	n := min(len(p.pending), giveBacksTogether)
	batch := slices.Clone(p.pending[:n])
	p.pending = slices.Delete(p.pending, 0, n)
	ln.number(batch)
	return batch
}

// number puts what goes back in its order. It requires that ln.mu is held.
func (ln *lane) number(batch []giving) {
	slices.SortStableFunc(batch, func(a, b giving) int { return cmp.Compare(b.dueMicro(), a.dueMicro()) })
	for i := range batch {
		batch[i].id = ln.nextReturn()
	}
}

// sendBatch sends returns until the store has answered, with growing pauses: to send
// them again is harmless.
func (ln *lane) sendBatch(ctx context.Context, batch []giving) {
	r := ln.limiter.replica
	begun, pause := r.clock.now(), r.config.StoreTimeout/2
	for again := false; ; again = true {
		out := ln.sendOnce(ctx, batch)
		err := out[0].Err
		ln.shard.record(err)
		late := r.clock.now()+pause+r.config.StoreTimeout > begun+giveBackFor
		if err == nil || isOfEntity(err) || late || !r.sleep(ctx, pause/2+r.jitter(pause/2)) {
			ln.mu.Lock()
			defer ln.mu.Unlock()
			for i := range batch {
				ln.returned(batch[i], &out[i], again)
			}
			return
		}
		pause *= 2
	}
}

func (ln *lane) sendOnce(ctx context.Context, batch []giving) []port.TakeReply {
	r := ln.limiter.replica
	ctx, cancel := context.WithTimeout(ctx, r.config.StoreTimeout)
	defer cancel()
	set, in, out := ln.current(), make([]port.TakeRequest, len(batch)), make([]port.TakeReply, len(batch))
	for i, g := range batch {
		in[i] = port.TakeRequest{Bucket: ln.id, Rule: set.rule, Manner: set.manner(), Ask: g.ask()}
	}
	r.stores.Buckets.Take(ctx, in, out)
	return out
}

// returned notes what came of a return. One that was sent again may have been heeded
// the first time, and is nothing then. It requires that ln.mu is held.
func (ln *lane) returned(g giving, reply *port.TakeReply, again bool) {
	heeded := reply.Err == nil && reply.Granted > 0
	if heeded {
		ln.memo.Store(nil) // there is more than there was when it denied
	}
	switch {
	case g.spot == nil:
	case heeded || again || reply.Err != nil: // perhaps it is back: nobody may have it again
		ln.queue.gone(g.spot)
	default:
		ln.queue.stays(g.spot)
	}
	switch {
	case g.done == nil:
	case reply.Err != nil:
		g.done <- asStoreError(ln.current(), reply.Err)
	default:
		g.done <- nil
	}
}

// drop forgets what cannot be sent any more.
func (p *returns) drop(why error) {
	for _, g := range p.pending {
		if g.done != nil {
			g.done <- why
		}
	}
	p.pending = nil
}

// returnPlaces gives back the places in queues that callers of this replica have, when
// it closes: they are told that it did.
func (r *Replica) returnPlaces(ctx context.Context) {
	now := r.clock.now()
	for _, l := range r.everyLimiter() {
		for _, ln := range l.everyLane() {
			ln.mu.Lock()
			batch := ln.queue.close(now)
			ln.number(batch)
			ln.mu.Unlock()
			for ; len(batch) > 0 && ctx.Err() == nil; batch = batch[min(len(batch), giveBacksTogether):] {
				ln.sendOnce(ctx, batch[:min(len(batch), giveBacksTogether)])
			}
		}
	}
}
