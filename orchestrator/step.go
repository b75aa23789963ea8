package orchestrator

import (
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
)

// A step is one layer of a guard, compiled. Exactly one field is set. It is not
// an interface, because a call through one would move the walk to the heap.
type step struct {
	retry   *retryStep
	timeout *timeoutStep
	breaker *breakerStep
	limit   *limitStep

	bulkhead  *bulkheadStep
	exclusive *exclusiveStep

	hedge *hedgeStep // which says where a plan can be taken apart
}

// addressable reports whether a call may say something to s: its key, or its cost.
func (s *step) addressable() bool { return s.limit != nil || s.keyed() }

// keyed reports whether s needs a key.
func (s *step) keyed() bool {
	return s.limit != nil && s.limit.keyed || s.breaker != nil && s.breaker.keyed != nil
}

// name is what a call addresses s by.
func (s *step) name() string {
	if s.limit != nil {
		return s.limit.name
	}
	return s.breaker.name
}

// enter passes s on the way in. It returns false, with w.err set, when s
// refuses.
func (s *step) enter(w *walk, f *frame) bool {
	switch {
	case s.limit != nil:
		return s.limit.enter(w, f)
	case s.breaker != nil:
		return s.breaker.enter(w, f)
	case s.retry != nil:
		s.retry.enter(f)
	case s.timeout != nil:
		s.timeout.enter(w, f)
	case s.bulkhead != nil:
		return s.bulkhead.enter(w, f)
	case s.exclusive != nil:
		return s.exclusive.enter(w, f)
	case s.hedge != nil:
		s.hedge.budget.earn() // the call is one, hedged or not
	}
	return true
}

// leave passes s on the way out, which may change w.err. It returns true when
// the way is to lead inward again.
func (s *step) leave(w *walk, f *frame) (again bool) {
	switch {
	case s.retry != nil:
		return s.retry.again(w, f)
	case s.breaker != nil:
		s.breaker.leave(w, f)
	case s.timeout != nil:
		s.timeout.leave(w, f)
	case s.limit != nil:
		s.limit.leave(w, f)
	case s.bulkhead != nil:
		s.bulkhead.leave(f)
	case s.exclusive != nil:
		s.exclusive.leave(w, f)
	}
	return false
}

// A frame is what one step has to remember during one call. Each kind of step
// uses its own part of it.
type frame struct {
	deadline *deadline // of a timeout or a probe; nil when there is none

	permit     fleet.Permit
	runsBefore int // the function's, when the breaker or the limit was entered

	attempts int
	pause    time.Duration // the last one, by the backoff
	began    time.Time     // only with MaxElapsed

	key      string
	cost     int64
	took     int64 // tokens that the limit granted
	degraded bool  // without the store

	slot fleet.Slot // of a bulkhead
	held *held      // the lock of an exclusive; nil when there is none
}

// abandon releases what s holds, after a panic.
func (w *walk) abandon(s *step, f *frame) {
	if d := f.deadline; d != nil {
		d.finish()
		w.ctx, f.deadline = d.parent, nil
	}
	outcome := domain.Failure
	if w.runs == f.runsBefore {
		outcome = domain.Ignored
	}
	if s.breaker != nil {
		f.permit.Report(outcome)
		w.tell(Step{Part: PartBreaker, Name: s.breaker.name, Result: ResultReported, Outcome: outcome})
	}
	f.slot.Leave() // does nothing where there is no slot
	w.unlock(f)    // nor this without a lock
}
