package orchestrator

import "github.com/holdfast-go/holdfast/fleet"

// A bulkheadStep waits for room on the way in, and makes it again on the way out.
type bulkheadStep struct {
	bulkhead *fleet.Bulkhead
	name     string
}

func (s *bulkheadStep) enter(w *walk, f *frame) bool {
	slot, err := s.bulkhead.EnterWithin(w.ctx, &w.budget)
	if err != nil {
		return w.refuse(PartBulkhead, s.name, err)
	}
	f.slot = slot
	w.tell(Step{Part: PartBulkhead, Name: s.name, Result: ResultAllowed})
	return true
}

func (*bulkheadStep) leave(f *frame) {
	f.slot.Leave()
	f.slot = fleet.Slot{}
}
