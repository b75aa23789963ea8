package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
)

// electEvery is how often those that are not elected look whether the one that is has gone,
// at the least, and how early they begin to; a tenth of RecoveryTimeout where that is less.
const electEvery = time.Second

// probeLock is the name of the locks of health checks; their keys are the breakers' names.
const probeLock = "holdfast.probe"

// A checker recovers one breaker by a health check. While the fleet's layer is not closed
// it has a goroutine, which tries to be elected and then asks for the breaker's probes as
// a call would: so what comes of the check is bound to the epoch and to a lease, and to be
// elected twice harms nothing.
type checker struct {
	lockWay

	breaker *Breaker
	check   func(context.Context) domain.Outcome
	nudge   chan struct{} // to the goroutine: look again
	offset  float64       // of this replica, so that not all ask for the lock at once: a part of every

	// Under the breaker's lock.
	awake   bool          // the goroutine is there
	told    time.Duration // of what it was nudged last: when a probe may be asked for
	covered time.Duration // until then some replica is known to be elected

	// The goroutine's own.
	lock  port.Lock     // nil: another is elected, or none
	until time.Duration // when the lock is taken for lost
	again time.Duration // not to do anything before
}

// Check lets the fleet recover by a health check, in place of its users' calls. While the
// fleet's layer is not closed, one replica of those that gave a check is elected, asks for
// probes and reports what comes of the check, whose context ends with the probe's lease.
// Elections cost each replica one store call a second while half-open, and nothing while
// closed. As long as one is elected no call is let through as a probe; when none can be,
// calls are.
//
// A check that panics has failed. One that fails, or says nothing of the dependency, lets
// another replica be elected for the next. It must heed its context: one that does not is
// left behind, with its goroutine, and Close waits for it.
//
// A breaker that the fleet does not share, or a store without locks, is a
// [*domain.PolicyError]; a second check, [domain.ErrConflict].
func (b *Breaker) Check(check func(context.Context) domain.Outcome) error {
	switch {
	case check == nil:
		return &domain.PolicyError{Policy: "health_check", Field: "Check", Reason: "is nil"}
	case b.pulse == nil:
		return &domain.PolicyError{Policy: "health_check", Field: "Sharing", Reason: "is local: there is no layer of the fleet to recover"}
	case b.replica.stores.Locks == nil:
		return &domain.PolicyError{Policy: "health_check", Field: "Locks", Reason: "are missing: it needs a store with locks"}
	}
	b.replica.mu.Lock()
	way := b.replica.lockWayLocked(port.ID{Name: probeLock, Key: b.id.Name})
	b.replica.mu.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.check != nil {
		return fmt.Errorf("%w: breaker %q has a health check already", domain.ErrConflict, b.id.Name)
	}
	b.check = &checker{
		lockWay: way, breaker: b, check: check, nudge: make(chan struct{}, 1),
		offset: b.replica.random.Float64() / 2,
	}
	b.check.follow()
	return nil
}

// follow wakes the goroutine, where something has changed for it. It requires that b.mu is
// held.
func (c *checker) follow() {
	if c == nil {
		return
	}
	closed, at := c.idleLocked(), c.breaker.mayAskAt()
	switch {
	case !c.awake && !closed:
		c.told = at
		c.awake = c.replica.spawn(c.watch)
	case c.awake && (closed || at != c.told):
		c.told = at
		select {
		case c.nudge <- struct{}{}:
		default: // it will look anyway
		}
	}
}

// idleLocked reports whether there is nothing to recover: the layer is closed, this
// replica's own decides alone, or an operator does. It requires that b.mu is held.
func (c *checker) idleLocked() bool { return c.breaker.fleet.closed() || c.breaker.mute() }

// covers reports whether probes are left to a replica that is elected. It requires that
// b.mu is held.
func (c *checker) covers(now time.Duration) bool { return c != nil && now < c.covered }

func (c *checker) cover(until time.Duration) {
	c.breaker.mu.Lock()
	defer c.breaker.mu.Unlock()
	c.covered = until
}

// watch runs while the fleet's layer is not closed.
func (c *checker) watch(ctx context.Context) {
	defer c.rest(ctx)
	for ctx.Err() == nil {
		wait, over := c.next()
		switch {
		case over:
			return
		case wait > 0:
			c.pause(ctx, wait)
		case c.elected(ctx):
			c.probe(ctx)
		}
	}
}

// rest ends the goroutine, be it that the check did so. Where there is more to be done,
// another one begins.
func (c *checker) rest(ctx context.Context) {
	c.resign(ctx)
	c.breaker.mu.Lock()
	defer c.breaker.mu.Unlock()
	c.awake = false
	c.follow()
}

// next is how long there is nothing to do: until a probe may be asked for and, for who is
// not elected, somewhat less. It reports over when there is nothing to recover.
func (c *checker) next() (wait time.Duration, over bool) {
	b := c.breaker
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.mayAskAt()
	if c.lock == nil { // a replica is elected first, so that no call is sent as a probe meanwhile
		every := c.everyLocked()
		at += time.Duration(c.offset*float64(every)) - every
	}
	return max(at, c.again) - c.replica.clock.now(), c.idleLocked()
}

// every is electEvery for this breaker.
func (c *checker) every() time.Duration {
	c.breaker.mu.Lock()
	defer c.breaker.mu.Unlock()
	return c.everyLocked()
}

// everyLocked requires that b.mu is held.
func (c *checker) everyLocked() time.Duration {
	return min(electEvery, c.breaker.policy.RecoveryTimeout/10)
}

// pause waits, or until something has changed. Who is elected, and has nothing to do soon,
// leaves it to others.
func (c *checker) pause(ctx context.Context, wait time.Duration) {
	if c.lock != nil && wait > c.every() {
		c.resign(ctx)
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-c.nudge:
	}
}

// elected makes sure that this replica has the lock, for as long as one check may take.
func (c *checker) elected(ctx context.Context) bool {
	timeout := c.replica.config.StoreTimeout
	takes := c.breaker.Policy().ProbeLease + 2*timeout
	lasting := takes + takes/20 + 2*electEvery
	now := c.replica.clock.now()
	if c.lock != nil && now+takes > c.until {
		ok, err := c.extend(ctx, c.lock, lasting, timeout)
		if !ok || err != nil {
			c.resign(ctx)
			return false
		}
		c.until = lockEnd(now, lasting)
		c.cover(c.until)
	}
	if c.lock != nil {
		return true
	}
	g, _ := c.take(ctx, lasting, timeout)
	every := c.every()
	poll := every/2 + c.replica.jitter(every/2)
	now = c.replica.clock.now()
	switch {
	case g.err != nil: // nobody knows: what is covered ends by itself, and calls may be probes
		c.again = now + poll
	case g.lock == nil:
		c.cover(now + 2*every + timeout)
		c.again = now + poll
	default:
		c.lock, c.until, c.again = g.lock, lockEnd(g.sent, lasting), 0
		c.cover(c.until)
	}
	return false // look first: the lock may be there before a probe is
}

// resign gives the lock back.
func (c *checker) resign(ctx context.Context) {
	if c.lock == nil {
		return
	}
	lock := c.lock
	c.lock = nil
	c.cover(0)
	c.free(ctx, lock)
}

// probe asks for one probe, as a call does, and runs the check with it.
func (c *checker) probe(ctx context.Context) {
	permit, err := c.breaker.acquire(ctx, &Budget{}, true)
	if err != nil {
		c.refused(ctx, err)
		return
	}
	lease, isProbe := permit.Lease()
	if !isProbe {
		permit.Report(domain.Ignored) // it has closed meanwhile, or an operator lets all pass
		c.again = c.replica.clock.now() + c.every()
		return
	}
	switch c.examine(ctx, permit, lease) {
	case domain.Success:
	default: // others may know better, or this replica cannot tell
		c.resign(ctx)
		c.again = c.replica.clock.now() + 2*c.every()
	}
}

// refused follows a probe that was not granted. When this replica's own layer refuses,
// another one has to be elected.
func (c *checker) refused(ctx context.Context, err error) {
	c.again = c.replica.clock.now() + lockAgain/2 + c.replica.jitter(lockAgain/2)
	if open, ok := errors.AsType[*domain.CircuitOpenError](err); ok && open.Scope == domain.ScopeReplica {
		c.resign(ctx)
		c.again += max(open.RetryAfter, 2*c.every())
	}
}

// examine runs the check under a probe's lease, and reports what came of it. One that
// panics, or ends its goroutine, has failed.
func (c *checker) examine(ctx context.Context, permit Permit, lease time.Duration) (outcome domain.Outcome) {
	outcome = domain.Failure
	defer func() {
		if p := recover(); p != nil {
			c.replica.config.Logger.Error("holdfast: a health check panicked", "name", c.breaker.id.Name, "panic", p)
		}
		permit.Report(outcome)
	}()
	ctx, cancel := context.WithTimeoutCause(ctx, lease, &domain.TimeoutError{After: lease})
	defer cancel()
	return c.check(ctx)
}
