package faults

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
)

// lease is how long a lock stays taken when its holder dies.
const lease = 1500 * time.Millisecond

// guards are two replicas that share a lock.
type guards struct {
	*rig

	one, other *fleet.Exclusive
	machine    *load // nobody calls: it is asked how late the machine is
}

func newGuards(t *testing.T) *guards {
	t.Helper()
	r := newRig(t, plan{})
	p := &guards{rig: r, machine: startLoad()}
	t.Cleanup(func() { p.machine.stop() })
	policy := domain.Exclusive{Name: "report", Lease: lease}
	for replica, e := range map[*rig]**fleet.Exclusive{r: &p.one, joinRig(t, r.server, plan{}): &p.other} {
		made, err := replica.Exclusive(policy)
		r.must(err)
		*e = made
	}
	return p
}

// enter takes the lock, which is free.
func (p *guards) enter(e *fleet.Exclusive) *fleet.Hold {
	p.Helper()
	h, err := e.Enter(p.Context())
	p.must(err)
	return h
}

// tries has a replica ask for a lock again and again, until it has it. Each time it is
// told within the time for stores that it is held, or that nobody knows.
func (p *guards) tries(e *fleet.Exclusive, within time.Duration) *fleet.Hold {
	p.Helper()
	for end := time.Now().Add(within); time.Now().Before(end); <-time.After(pace) {
		begun := time.Now()
		h, err := e.Enter(p.Context())
		if took := time.Since(begun); took > fleet.DefaultStoreTimeout+50*time.Millisecond+p.machine.lateness() {
			p.Errorf("it was told after %v; want %v at most", took, fleet.DefaultStoreTimeout)
		}
		switch {
		case err == nil:
			return h
		case !errors.Is(err, domain.ErrNotExclusive) && !errors.Is(err, domain.ErrStoreUnavailable):
			p.Errorf("it was told %v", err)
		}
	}
	p.Fatalf("not within %v: it has the lock", within)
	return nil
}

// told waits until a call's context has ended since its lock was lost, and reports how
// long that took. It must be before the lease is over: from then on another may have it.
func (p *guards) told(h *fleet.Hold, since time.Time) time.Duration {
	p.Helper()
	select {
	case <-h.Context().Done():
	case <-time.After(patience):
		p.Fatal("the call was not told that its lock is lost")
	}
	took := time.Since(since)
	if cause := context.Cause(h.Context()); !errors.Is(cause, domain.ErrLockLost) || took > lease+p.machine.lateness() {
		p.Errorf("after %v its context ended by %v; want the loss, within the lease of %v", took, cause, lease)
	}
	return took
}

// next has the other replica take the lock that the first one lost: not before that was
// told so, and with a higher token. Then it can be taken and given back as ever.
func (p *guards) next(lost *fleet.Hold) {
	p.Helper()
	h := p.tries(p.other, recovery+lease)
	if lost.Context().Err() == nil {
		p.Error("there is a second holder, and the first one has not been told")
	}
	if h.Token() <= lost.Token() {
		p.Errorf("its token is %d, after %d", h.Token(), lost.Token())
	}
	if _, err := p.one.Enter(p.Context()); !errors.Is(err, domain.ErrNotExclusive) {
		p.Errorf("while the lock is held: %v", err)
	}
	lost.Leave() // late, and nobody's any more
	if h.Context().Err() != nil {
		p.Errorf("that the first call has ended took the lock from the second: %v", context.Cause(h.Context()))
	}
	h.Leave()
	again := p.tries(p.one, recovery)
	if again.Token() <= h.Token() {
		p.Errorf("its token is %d, after %d", again.Token(), h.Token())
	}
	again.Leave()
}

// lockThroughAHang: a hang that is shorter than the lease costs a call nothing; a longer one
// takes its lock, which it is told in time. Nobody has it meanwhile.
func lockThroughAHang(t *testing.T) {
	p := newGuards(t)
	h := p.enter(p.one)
	p.must(p.server.Pause())
	<-time.After(lease / 5)
	p.must(p.server.Resume())
	<-time.After(lease)
	if h.Context().Err() != nil && p.stoodStill(p.machine.lateness()) {
		return
	}
	if h.Context().Err() != nil {
		t.Fatalf("a hang of %v took the lock: %v", lease/5, context.Cause(h.Context()))
	}

	begun := time.Now()
	p.must(p.server.Pause())
	trial := make(chan error, 1)
	go func() {
		_, err := p.other.Enter(t.Context())
		trial <- err
	}()
	took := p.told(h, begun)
	if err := <-trial; !errors.Is(err, domain.ErrStoreUnavailable) {
		t.Errorf("while Redis hangs another call is told %v", err)
	}
	<-time.After(lease - took + 100*time.Millisecond) // the server has forgotten it, too
	p.must(p.server.Resume())
	t.Logf("told after %v", took.Round(time.Millisecond))
	p.next(h)
}

// lockThroughACrash: the same with a server that dies with all it knew, and is there again
// when the lease is over.
func lockThroughACrash(t *testing.T) {
	p := newGuards(t)
	h := p.enter(p.one)
	begun := time.Now()
	p.server.Kill()
	if _, err := p.other.Enter(t.Context()); !errors.Is(err, domain.ErrStoreUnavailable) {
		t.Errorf("without a server another call is told %v", err)
	}
	took := p.told(h, begun)
	<-time.After(lease - took)
	p.must(p.server.Restart(t.Context()))
	t.Logf("told after %v", took.Round(time.Millisecond))
	p.next(h)
}
