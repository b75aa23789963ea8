package orchestrator

import (
	"context"
	"time"

	"github.com/holdfast-go/holdfast/domain"
)

// A timeoutStep gives everything further in one deadline.
type timeoutStep struct {
	after time.Duration
	cause *domain.TimeoutError // made once, and by its address this step's own
}

func newTimeout(p domain.Timeout) *timeoutStep {
	return &timeoutStep{after: p.Duration, cause: &domain.TimeoutError{After: p.Duration}}
}

func (s *timeoutStep) enter(w *walk, f *frame) { w.limitTime(f, s.after, s.cause) }

func (*timeoutStep) leave(w *walk, f *frame) {
	if w.liftTime(f) {
		w.tell(Step{Part: PartTimeout, Result: ResultTimedOut, Err: w.err})
	}
}

// limitTime gives the rest of the way inward a deadline. cause tells it from
// all others, by its address.
func (w *walk) limitTime(f *frame, after time.Duration, cause *domain.TimeoutError) {
	f.deadline = &deadline{parent: w.ctx, at: now().Add(after), cause: cause}
	w.ctx = f.deadline
}

// liftTime ends the deadline that limitTime set, if it did. If that deadline
// itself passed, an error becomes a TimeoutError, and it returns true; without an error
// the call has succeeded, late or not.
func (w *walk) liftTime(f *frame) bool {
	d := f.deadline
	if d == nil {
		return false
	}
	passed := w.err != nil && d.passed()
	d.finish()
	w.ctx, f.deadline = d.parent, nil
	if passed && w.err != error(d.cause) { //nolint:errorlint // the cause itself, not what wraps it
		w.err = &domain.TimeoutError{After: d.cause.After, Err: w.err}
	}
	return passed
}

// passed reports whether it is d that ended the call's context, and not what
// stands around d: the cause of a context is that of whichever ended first. The
// same guard may be in force further out, with the same cause.
func (d *deadline) passed() bool {
	return is(context.Cause(d), d.cause) && !is(context.Cause(d.parent), d.cause)
}

func is(cause error, own *domain.TimeoutError) bool {
	return cause == error(own) //nolint:errorlint // identity: which of several deadlines it was
}

// passedAround returns what says that a deadline of this walk, still in force, is what
// ended w.ctx; nil when none did. The end of the caller's own context is not ours.
func (w *walk) passedAround() *domain.TimeoutError {
	cause := context.Cause(w.ctx)
	for i := range w.at {
		f := w.frame(i)
		if d := f.deadline; d != nil && is(cause, d.cause) && d.passed() {
			return d.cause
		}
		if h := f.held; h != nil && h.Overdue() && cause == context.Cause(h.Context()) { //nolint:errorlint // that of which end it was
			return &domain.TimeoutError{After: h.MaxHold()}
		}
	}
	return nil
}
