package fleet

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
)

// A Hold is the lock of an [Exclusive] while one call runs. A goroutine of the replica's
// extends it, until Leave, the end of MaxHold or the loss of the lock.
type Hold struct {
	exclusive *Exclusive
	lock      port.Lock
	lease     time.Duration
	end       time.Duration // of MaxHold
	overdue   *domain.TimeoutError
	lost      *domain.LockLostError
	left      chan struct{} // closed when the call has ended

	ctx    context.Context //nolint:containedctx // the call's
	lose   context.CancelCauseFunc
	finish context.CancelFunc

	mu      sync.Mutex
	until   time.Duration // when it is taken for lost
	guard   *time.Timer   // of that; nil once the lock is lost, or the call has ended
	refused bool          // the store says that it is lost
	why     error         // the last attempt to extend it failed
}

var errNotExtended = errors.New("it could not be extended in time")

// newHold begins to extend a lock that was taken. It fails when the replica is closed.
func newHold(ctx context.Context, e *Exclusive, p domain.Exclusive, g grasp) (*Hold, error) {
	h := &Hold{
		exclusive: e, lock: g.lock, lease: p.Lease, end: g.sent + p.MaxHold, until: lockEnd(g.sent, p.Lease),
		overdue: &domain.TimeoutError{After: p.MaxHold}, lost: &domain.LockLostError{Name: e.id.Name}, left: make(chan struct{}),
	}
	ctx, h.lose = context.WithCancelCause(ctx)
	h.ctx, h.finish = context.WithTimeoutCause(ctx, p.MaxHold, h.overdue)
	h.mu.Lock() // the guard must not look for itself too early
	h.guard = time.AfterFunc(h.until-e.replica.clock.now(), h.expire)
	h.mu.Unlock()
	if !e.replica.spawn(func(ctx context.Context) { h.keep(ctx, g.sent) }) {
		_, _ = h.disarm()
		h.finish()
		return nil, domain.ErrClosed
	}
	return h, nil
}

// Context is the caller's, and ends with a [*domain.LockLostError] as its cause when the
// lock is lost or the replica closes, with a [*domain.TimeoutError] after MaxHold, and
// when the call is over.
func (h *Hold) Context() context.Context { return h.ctx }

// Token is the fencing token: it grows each time that the lock is taken by anyone.
func (h *Hold) Token() uint64 { return h.lock.Token() }

// MaxHold is how long the call may hold the lock.
func (h *Hold) MaxHold() time.Duration { return h.overdue.After }

// Overdue reports whether MaxHold is what ended the context.
func (h *Hold) Overdue() bool { return context.Cause(h.ctx) == error(h.overdue) } //nolint:errorlint // this hold's own

// Lost reports whether the loss of the lock is what ended the context.
func (h *Hold) Lost() bool { return context.Cause(h.ctx) == error(h.lost) } //nolint:errorlint // this hold's own

// Explain is what is to be said of a call that returned err: err, unless the context had
// ended by this hold. What has succeeded has, however late.
func (h *Hold) Explain(err error) error {
	switch {
	case err == nil:
		return nil
	case h.Overdue() && err != error(h.overdue): //nolint:errorlint // the cause itself, not what wraps it
		return &domain.TimeoutError{After: h.overdue.After, Err: err}
	case h.Lost() && err != error(h.lost): //nolint:errorlint // as above
		return &domain.LockLostError{Name: h.lost.Name, Why: h.lost.Why, Err: err}
	default:
		return err
	}
}

// Leave ends the call and gives the lock back. It must be called once.
func (h *Hold) Leave() { h.LeaveWithin(nil) }

// LeaveWithin is Leave that waits for the store within what is left of the time for it,
// which may be nil for all of StoreTimeout. The lock goes back all the same.
func (h *Hold) LeaveWithin(left *Budget) {
	e := h.exclusive
	defer func() { <-e.turn }()
	close(h.left)
	held, refused := h.disarm()
	h.finish()
	if refused {
		return
	}
	done, begun := make(chan struct{}), e.replica.clock.now()
	if !e.replica.spawn(func(ctx context.Context) {
		defer close(done)
		e.free(ctx, h.lock)
	}) {
		e.free(h.ctx, h.lock) // the replica is closed, and has no goroutine for it
		return
	}
	if !held {
		return // it may be held in the store still; that did not answer
	}
	timer := time.NewTimer(left.left(e.replica.config.StoreTimeout))
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
	left.spend(e.replica.clock.now() - begun)
}

// disarm ends the guard. It reports whether the lock was held until now, as far as is
// known, and whether the store said that it is not.
func (h *Hold) disarm() (held, refused bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	held = h.guard != nil
	if held {
		h.guard.Stop()
		h.guard = nil
	}
	return held, h.refused
}

// expire takes the lock for lost, if its time is over.
func (h *Hold) expire() {
	h.mu.Lock()
	rest, why := h.until-h.exclusive.replica.clock.now(), h.why
	if h.guard != nil && rest > 0 { // it was extended just now
		h.guard.Reset(rest)
		h.mu.Unlock()
		return
	}
	h.mu.Unlock()
	if why == nil {
		why = errNotExtended
	}
	h.gone(why)
}

// gone ends the call's context, once, since the lock is lost, unless the call is over.
// A nil why is that the store says so.
func (h *Hold) gone(why error) {
	if held, _ := h.disarm(); !held {
		return
	}
	h.lost.Why = why
	h.lose(h.lost)
	if h.Lost() {
		h.exclusive.replica.emit(domain.Event{
			Kind: domain.EventLockLost, Name: h.lost.Name, Scope: domain.ScopeFleet, Reason: h.lost.Error(),
		})
	}
}

// keep extends the lock each third of its lease. That the store says that it is lost is
// the end; while the store says nothing it is asked again, as long as the lock is known
// to last.
func (h *Hold) keep(ctx context.Context, sent time.Duration) {
	clock, every := h.exclusive.replica.clock, h.lease/extendParts
	timer := time.NewTimer(sent + every - clock.now())
	defer timer.Stop()
	for {
		select {
		case <-h.left:
			return
		case <-ctx.Done():
			h.gone(domain.ErrClosed)
			return
		case <-timer.C:
		}
		now := clock.now()
		if now >= h.end {
			return
		}
		if !h.extend(ctx) {
			h.gone(nil) // does nothing where it is known already, or the call has ended
			return
		}
		timer.Reset(now + every - clock.now())
	}
}

// extend extends the lock once. It reports false when there is nothing more to extend.
func (h *Hold) extend(ctx context.Context) bool {
	e := h.exclusive
	sent := e.replica.clock.now()
	patience := min(e.replica.config.StoreTimeout, h.lease/extendWait)
	ok, err := e.extend(ctx, h.lock, h.lease, patience)
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.guard == nil:
		return false
	case err != nil:
		h.why = err
	case ok:
		h.until, h.why = lockEnd(sent, h.lease), nil
		h.guard.Reset(h.until - e.replica.clock.now())
	default:
		h.refused = true
	}
	return !h.refused
}
