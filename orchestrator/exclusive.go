package orchestrator

import (
	"context"

	"github.com/holdfast-go/holdfast/fleet"
)

// An exclusiveStep takes a lock of the fleet on the way in, and gives it back on the way
// out.
type exclusiveStep struct {
	exclusive *fleet.Exclusive
	name      string
}

// held is the lock that one call holds.
type held struct {
	*fleet.Hold

	parent context.Context //nolint:containedctx // the one in force around it
}

func (s *exclusiveStep) enter(w *walk, f *frame) bool {
	hold, err := s.exclusive.EnterWithin(w.ctx, &w.budget)
	if err != nil {
		return w.refuse(PartExclusive, s.name, err)
	}
	f.held = &held{hold, w.ctx}
	w.tell(Step{Part: PartExclusive, Name: s.name, Result: ResultAllowed})
	w.ctx = context.WithValue(hold.Context(), fenceKey{}, hold.Token())
	return true
}

func (s *exclusiveStep) leave(w *walk, f *frame) {
	w.err = f.held.Explain(w.err)
	if f.held.Lost() {
		w.tell(Step{Part: PartExclusive, Name: s.name, Result: ResultLost, Err: w.err})
	}
	w.unlock(f)
}

// unlock gives back the lock that a step holds, if it does.
func (w *walk) unlock(f *frame) {
	h := f.held
	if h == nil {
		return
	}
	w.ctx, f.held = h.parent, nil
	h.LeaveWithin(&w.budget)
}

type fenceKey struct{}

// Fence is the fencing token of the operation that runs in ctx: that of the innermost
// [domain.Exclusive] around it; false where there is none. It grows each time that the
// lock is taken, by whichever replica. Where the effect happens, one that is below the
// highest seen so far comes from a call that has lost its lock, and is to be refused:
//
//	UPDATE report SET body = $1, fence = $2 WHERE id = $3 AND fence <= $2
func Fence(ctx context.Context) (token uint64, ok bool) {
	token, ok = ctx.Value(fenceKey{}).(uint64)
	return token, ok
}
