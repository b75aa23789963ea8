package orchestrator

import (
	"context"
	"errors"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
)

// A walk is one call on its way through the steps of a guard: inward, to the
// function, and outward again; a retry turns it inward once more. It lives on
// the stack of Do, so none of its methods may let go of its address: that, and
// steps in a flat list in place of nested closures, is why a call without a
// timeout allocates nothing.
type walk struct {
	plan   *plan
	ctx    context.Context //nolint:containedctx // the one in force at this depth
	err    error           // the last attempt's, as far out as the walk has come
	at     int             // the steps entered, and not yet left, are [0, at)
	runs   int             // how often the function was started
	budget fleet.Budget    // for stores: all steps and attempts together

	started   bool // the function was reached, or an attempt refused, before
	reached   bool // the last attempt came as far as the function
	addressed bool // the frames of limits have their keys and costs
	over      bool // nothing is held any more

	refusedBy   Part
	refusedName string
	shadowedBy  string
	decisions   *Decisions       // where a caller wants them
	repeat      func(error) bool // whether the function may run again; nil: it may
	stream      *Stream          // whose walk this is; nil: that of a function
	began       time.Time        // only with an observer

	near [nearFrames]frame
	far  []frame // of guards with more steps
}

// nearFrames is how many steps a guard may have before a call needs memory.
const nearFrames = 6

// start prepares the walk. It returns false when the call must not begin, with
// w.err saying why.
func (w *walk) start(ctx context.Context, p *plan, calls []Call) bool {
	w.plan, w.ctx = p, ctx
	if len(p.steps) > nearFrames {
		w.far = make([]frame, len(p.steps)-nearFrames)
	}
	if p.observer != nil {
		w.began = now()
		if inner := p.observer.Start(ctx, p.name); inner != nil {
			w.ctx = inner
		}
	}
	if len(calls) > 0 {
		if w.err = w.address(calls); w.err != nil {
			return false
		}
	}
	return w.alive()
}

// next goes on until the function is to run, then returns true; when there is
// nothing more to run it returns false, and w.err is the call's error.
func (w *walk) next() bool {
	if w.started && !w.outward() {
		return false
	}
	w.started = true
	for !w.inward() {
		if !w.outward() {
			return false
		}
	}
	w.reached = true
	w.runs++
	return true
}

// inward enters the steps that remain. It returns false when one refuses.
func (w *walk) inward() bool {
	w.reached, w.refusedBy, w.refusedName, w.shadowedBy = false, PartNone, "", ""
	for w.at < len(w.plan.steps) {
		if !w.plan.steps[w.at].enter(w, w.frame(w.at)) {
			return false
		}
		w.at++
	}
	return w.alive()
}

// outward leaves the steps entered. It returns true when a retry turns the walk
// around.
func (w *walk) outward() bool {
	for w.at > 0 {
		// A step counts as entered until it was left completely: a classifier
		// may panic.
		if w.plan.steps[w.at-1].leave(w, w.frame(w.at-1)) {
			return true
		}
		w.at--
	}
	return false
}

// alive reports whether the context in force has not ended; else w.err says so.
func (w *walk) alive() bool {
	if w.ctx.Err() == nil {
		return true
	}
	w.err = ended(w.ctx)
	return false
}

// refuse notes that a named part turned the attempt away with err, unless it
// only noticed that the context had ended. It returns false.
func (w *walk) refuse(by Part, name string, err error) bool {
	if w.ctx.Err() != nil && errors.Is(err, context.Cause(w.ctx)) {
		w.err = ended(w.ctx)
		return false
	}
	w.err, w.refusedBy, w.refusedName = err, by, name
	if w.plan.parts != nil {
		w.tell(refused(by, name, err))
	}
	return false
}

// repeatable reports whether there may be another attempt after this one, for all that the
// call says: the function did not run in it, or may run again.
func (w *walk) repeatable() bool {
	return !w.reached || w.repeat == nil || w.repeat(w.err)
}

// finish tells the observer how the call went.
func (w *walk) finish() {
	if w.plan.observer == nil {
		w.over = true
		return
	}
	s := w.summary(w.outcome(w.plan.classify, 0)) // the classifier may panic
	w.over = true
	w.plan.observer.End(w.ctx, s)
}

// release is deferred: it does nothing after finish, so it acts only when the
// function, or a classifier, panicked or ended its goroutine. It does not
// recover, so the panic goes on as it was.
func (w *walk) release() {
	if w.over || w.plan == nil {
		return
	}
	w.over = true
	for ; w.at > 0; w.at-- {
		w.abandon(&w.plan.steps[w.at-1], w.frame(w.at-1))
	}
	if w.plan.observer != nil {
		s := w.summary(domain.Failure)
		s.Err, s.Panicked = nil, true
		w.plan.observer.End(w.ctx, s)
	}
}

func (w *walk) summary(outcome domain.Outcome) Summary {
	return Summary{
		Guard:       w.plan.name,
		Attempts:    w.runs,
		Duration:    since(w.began),
		Outcome:     outcome,
		Err:         w.err,
		RefusedBy:   w.refusedBy,
		RefusedName: w.refusedName,
		ShadowedBy:  w.shadowedBy,
	}
}

func (w *walk) frame(i int) *frame {
	if i < nearFrames {
		return &w.near[i]
	}
	return &w.far[i-nearFrames]
}
