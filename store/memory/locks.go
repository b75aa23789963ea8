package memory

import (
	"context"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
)

// locks implements port.LockStore.
type locks struct {
	now  func() int64
	mu   sync.Mutex
	last map[port.ID]hold
}

// A hold is what is known of one lock: who took it last, when, and for how long. That of
// one that was given back lasts for no time.
type hold struct {
	token       uint64
	at, lasting int64 // µs
}

// Lock takes the lock of id, if it is free. It never fails but for a ctx that is done.
func (l *locks) Lock(ctx context.Context, id port.ID, lasting time.Duration) (port.Lock, bool, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, false, &domain.StoreError{Op: "lock take", Name: id.Name, Err: err}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	h := l.holdLocked(id, now)
	if h.lasting > 0 {
		return nil, false, nil
	}
	if l.last == nil {
		l.last = make(map[port.ID]hold)
	}
	h = hold{max(h.token+1, uint64(max(now, 0))), now, lasting.Microseconds()}
	l.last[id] = h
	return &lock{l, id, h.token}, true, nil
}

// holdLocked is the hold of id at now. One that a clock which stepped back finds in the
// future begins anew, and must be kept so: else it would wait for the clock to come back. It
// requires that l.mu is held.
func (l *locks) holdLocked(id port.ID, now int64) hold {
	h := l.last[id]
	if h.at > now {
		h.at = now
		l.last[id] = h
	}
	if now-h.at >= h.lasting {
		h.lasting = 0
	}
	return h
}

// change makes a hold last for so long from now, if it is that of the token still.
func (l *locks) change(id port.ID, token uint64, lasting time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	h := l.holdLocked(id, now)
	if h.lasting == 0 || h.token != token {
		return false
	}
	l.last[id] = hold{token, now, lasting.Microseconds()}
	return true
}

// A lock implements port.Lock.
type lock struct {
	locks *locks
	id    port.ID
	token uint64
}

func (k *lock) Token() uint64 { return k.token }

func (k *lock) Extend(ctx context.Context, lasting time.Duration) (bool, error) {
	if err := context.Cause(ctx); err != nil {
		return false, &domain.StoreError{Op: "lock extend", Name: k.id.Name, Err: err}
	}
	return k.locks.change(k.id, k.token, lasting), nil
}

func (k *lock) Unlock(ctx context.Context) (bool, error) {
	if err := context.Cause(ctx); err != nil {
		return false, &domain.StoreError{Op: "lock release", Name: k.id.Name, Err: err}
	}
	return k.locks.change(k.id, k.token, 0), nil
}
