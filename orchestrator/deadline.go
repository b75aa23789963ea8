package orchestrator

import (
	"context"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/domain"
)

// A deadline is a context that ends at an instant, at the latest. It is what
// context.WithDeadlineCause makes, put off until somebody waits for it: a timer,
// and a place in the parent's list of children, take five times as long as all
// else that a guard does, and a function that returns without having waited
// needs neither.
type deadline struct {
	parent context.Context //nolint:containedctx // it is a context itself
	at     time.Time
	cause  *domain.TimeoutError // of this end, and no other

	mu   sync.Mutex
	real context.Context //nolint:containedctx // nil until somebody waits
	end  context.CancelFunc
	over bool // the function has returned
}

// Deadline returns the nearer of this deadline and the parent's.
func (d *deadline) Deadline() (time.Time, bool) {
	if at, ok := d.parent.Deadline(); ok && at.Before(d.at) {
		return at, true
	}
	return d.at, true
}

// Done makes the context real.
func (d *deadline) Done() <-chan struct{} { return d.wait().Done() }

// Err reads the clock while the context is not real.
func (d *deadline) Err() error {
	if c := d.ifReal(); c != nil {
		return c.Err()
	}
	return d.parent.Err()
}

// Value is the parent's, or the real context's: package context looks for its
// own in this way, to hear whether and why a context ended.
func (d *deadline) Value(key any) any {
	if c := d.ifReal(); c != nil {
		return c.Value(key)
	}
	return d.parent.Value(key)
}

// String keeps fmt from reading the fields, which others may be writing.
func (d *deadline) String() string { return "holdfast.deadline(" + d.at.String() + ")" }

// ifReal returns the real context when there is one, or has to be because the
// end has come; nil while only the parent can have ended.
func (d *deadline) ifReal() context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.real == nil && (d.over || until(d.at) <= 0) {
		d.make()
	}
	return d.real
}

func (d *deadline) wait() context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.real == nil {
		d.make()
	}
	return d.real
}

// make requires that d.mu is held.
func (d *deadline) make() {
	if d.over {
		d.real, d.end = context.WithCancel(context.WithoutCancel(d.parent))
		d.end()
		return
	}
	d.real, d.end = context.WithDeadlineCause(d.parent, d.at, d.cause)
}

// finish ends the context, once the function has returned: whoever still holds
// it sees it cancelled, and nothing waits any more.
func (d *deadline) finish() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.over = true
	if d.end != nil {
		d.end()
	}
}
