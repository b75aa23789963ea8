package fleet

import (
	"context"
	"math"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
)

// lockShards is the number of the first shard of locks: they may live on other servers
// than all else, and have a health of their own.
const lockShards = math.MaxUint32 / 2

// A lockWay is how a replica speaks of one lock with the store.
type lockWay struct {
	replica *Replica
	id      port.ID
	shard   *shard
}

// lockWayLocked requires that r.mu is held.
func (r *Replica) lockWayLocked(id port.ID) lockWay {
	return lockWay{r, id, r.shardLocked(lockShards + shardNumber(r.bare.Locks, id))}
}

// A grasp is what came of one attempt to take a lock.
type grasp struct {
	lock port.Lock // nil: it is taken
	sent time.Duration
	err  error
}

// take asks for the lock once and waits for the answer for so long at most, and until
// ctx ends. The question is this replica's, not the caller's: when the caller leaves
// first, the lock is given back.
func (w lockWay) take(ctx context.Context, lasting, patience time.Duration) (g grasp, answered bool) {
	switch {
	case patience <= 0:
		return grasp{err: storeError("lock take", w.id.Name, errNoTime)}, false
	case !w.shard.health.Up() && !w.shard.health.Trial(w.replica.clock.now(), w.replica.config.StoreTimeout):
		return grasp{err: storeError("lock take", w.id.Name, w.shard.trouble.Load())}, false
	}
	answers, gone := make(chan grasp), make(chan struct{})
	if !w.replica.spawn(func(ctx context.Context) { w.ask(ctx, lasting, answers, gone) }) {
		return grasp{err: domain.ErrClosed}, false
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case g = <-answers:
		return g, true
	case <-timer.C:
		g.err = storeError("lock take", w.id.Name, errNotReturned)
	case <-ctx.Done():
		g.err = context.Cause(ctx)
	}
	close(gone)
	return g, false
}

// ask tells the answer to who waits for it. A lock for which nobody does goes back.
func (w lockWay) ask(ctx context.Context, lasting time.Duration, answers chan<- grasp, gone <-chan struct{}) {
	within, cancel := context.WithTimeout(ctx, w.replica.config.StoreTimeout)
	defer cancel()
	g := grasp{sent: w.replica.clock.now()}
	lock, ok, err := w.replica.stores.Locks.Lock(within, w.id, lasting)
	w.shard.record(err)
	if ok && err == nil {
		g.lock = lock
	}
	if err != nil {
		g.err = storeError("lock take", w.id.Name, err)
	}
	select {
	case answers <- g:
	case <-gone:
		w.free(ctx, g.lock)
	}
}

// free gives a lock back, within one StoreTimeout, whether or not ctx has ended.
func (w lockWay) free(ctx context.Context, lock port.Lock) {
	if lock == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.replica.config.StoreTimeout)
	defer cancel()
	_, err := lock.Unlock(ctx) // it comes free by itself otherwise
	w.shard.record(err)
}

// extend lets a lock last for so long from now.
func (w lockWay) extend(ctx context.Context, lock port.Lock, lasting, patience time.Duration) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ok, err := lock.Extend(ctx, lasting)
	w.shard.record(err)
	return ok && err == nil, err
}

// lockEnd is when this replica takes a lock that was asked for then for lost: earlier
// than the store does.
func lockEnd(sent, lasting time.Duration) time.Duration {
	return sent + lasting - lasting/50 - leaseMargin
}
