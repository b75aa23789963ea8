package fleet_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/store/memory"
)

// faultyLocks is one replica's way to a store of locks, and the test stands in it.
type faultyLocks struct {
	port.LockStore

	faults                *faulty
	asked, extends, frees atomic.Int64
	given                 atomic.Int64 // locks
}

func newFaultyLocks(locks port.LockStore) (*faultyLocks, port.Stores) {
	l := &faultyLocks{LockStore: locks, faults: &faulty{}}
	return l, port.Stores{Locks: l}
}

func (l *faultyLocks) Lock(ctx context.Context, id port.ID, lasting time.Duration) (lock port.Lock, ok bool, err error) {
	l.asked.Add(1)
	failed := l.faults.through(ctx, func() { lock, ok, err = l.LockStore.Lock(context.WithoutCancel(ctx), id, lasting) })
	if failed != nil {
		return nil, false, asStoreError(failed)
	}
	if ok {
		l.given.Add(1)
	}
	return faultyLock{lock, l}, ok, err
}

type faultyLock struct {
	port.Lock

	way *faultyLocks
}

func (k faultyLock) Extend(ctx context.Context, lasting time.Duration) (ok bool, err error) {
	k.way.extends.Add(1)
	if ctx.Err() != nil {
		return false, asStoreError(context.Cause(ctx))
	}
	failed := k.way.faults.through(ctx, func() { ok, err = k.Lock.Extend(context.WithoutCancel(ctx), lasting) })
	if failed != nil {
		return false, asStoreError(failed)
	}
	return ok, err
}

func (k faultyLock) Unlock(ctx context.Context) (ok bool, err error) {
	k.way.frees.Add(1)
	if ctx.Err() != nil {
		return false, asStoreError(context.Cause(ctx))
	}
	failed := k.way.faults.through(ctx, func() { ok, err = k.Lock.Unlock(context.WithoutCancel(ctx)) })
	if failed != nil {
		return false, asStoreError(failed)
	}
	return ok, err
}

// A guardian is a replica with its exclusive "x", and its way to the store.
type guardian struct {
	*watched
	*fleet.Exclusive

	line *faultyLocks
}

// guardians are replicas of one fleet.
func guardians(t *testing.T, n int, p domain.Exclusive) []*guardian {
	t.Helper()
	locks := memory.New(memory.Options{}).Stores().Locks
	all := make([]*guardian, n)
	for i := range all {
		line, stores := newFaultyLocks(locks)
		all[i] = &guardian{watched: join(t, stores, fleet.Config{}), line: line}
		p.Name = "x"
		var err error
		if all[i].Exclusive, err = all[i].watched.Exclusive(p); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func (g *guardian) enter() *fleet.Hold {
	g.t.Helper()
	h, err := g.Enter(g.t.Context())
	if err != nil {
		g.t.Fatal(err)
	}
	return h
}

// wantHeld checks that another call has the lock: here, or on another replica.
func (g *guardian) wantHeld(here bool) {
	g.t.Helper()
	h, err := g.Enter(g.t.Context())
	if err == nil {
		h.Leave()
	}
	held, ok := errors.AsType[*domain.ExclusiveError](err)
	if !ok || *held != (domain.ExclusiveError{Name: "x", Here: here}) {
		g.t.Errorf("error %v; want it held, here: %t", err, here)
	}
}

// wantFree checks that nobody has the lock.
func (g *guardian) wantFree() {
	g.t.Helper()
	h, err := g.Enter(g.t.Context())
	if err != nil {
		g.t.Errorf("error %v; want it free", err)
		return
	}
	h.Leave()
}

// wantRunning checks that a call's context has not ended.
func wantRunning(t *testing.T, h *fleet.Hold) {
	t.Helper()
	if ctx := h.Context(); ctx.Err() != nil || h.Lost() || h.Overdue() || h.Explain(errBroken).Error() != errBroken.Error() {
		t.Errorf("its context has ended: %v", context.Cause(ctx))
	}
}

// wantLost waits until a call's context has ended, because the lock was lost, so long
// after start.
func wantLost(t *testing.T, h *fleet.Hold, start time.Time, after time.Duration) *domain.LockLostError {
	t.Helper()
	<-h.Context().Done()
	if took := time.Since(start); took != after {
		t.Errorf("it was lost after %s; want after %s", took, after)
	}
	if cause := context.Cause(h.Context()); !errors.Is(cause, domain.ErrLockLost) || !h.Lost() || h.Overdue() {
		t.Errorf("its context ended by %v; want by the loss", cause)
	}
	if h.Explain(nil) != nil {
		t.Error("what has succeeded is said to have failed")
	}
	lost, ok := errors.AsType[*domain.LockLostError](h.Explain(errBroken))
	if !ok || lost.Name != "x" || lost.Err != errBroken { //nolint:errorlint // the error itself
		t.Fatalf("%v; want it lost, with the function's error", h.Explain(errBroken))
	}
	return lost
}
