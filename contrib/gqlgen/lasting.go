package holdfastgqlgen

import (
	"context"
	"sync/atomic"
	"time"
)

// A lasting context is the guard's while a resolver runs, and the caller's afterwards.
// gqlgen resolves what is selected in a field in the context that its resolver got; that of
// a guard with a timeout ends when the resolver has returned.
type lasting struct {
	outer, inner context.Context //nolint:containedctx // it is a context itself
	over         atomic.Bool
}

func newLasting(outer, inner context.Context) *lasting { return &lasting{outer: outer, inner: inner} }

// outlive is called when the resolver has returned.
func (l *lasting) outlive() { l.over.Store(true) }

func (l *lasting) now() context.Context {
	if l.over.Load() {
		return l.outer
	}
	return l.inner
}

// Deadline is that of the context in force.
func (l *lasting) Deadline() (time.Time, bool) { return l.now().Deadline() }

// Done is that of the context in force.
func (l *lasting) Done() <-chan struct{} { return l.now().Done() }

// Err is that of the context in force.
func (l *lasting) Err() error { return l.now().Err() }

// Value is that of the context in force.
func (l *lasting) Value(key any) any { return l.now().Value(key) }

// String keeps fmt from reading the fields.
func (*lasting) String() string { return "holdfastgqlgen.lasting" }
