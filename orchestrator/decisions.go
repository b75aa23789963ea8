package orchestrator

import (
	"slices"
	"sync"

	"github.com/holdfast-go/holdfast/domain"
)

// Decisions are what the limits of a guard said of one call: for an edge that tells its
// clients what is left. [Tell] fills them in, as the call goes on, so that its function
// can read them. The zero Decisions are none. They are safe for concurrent use, and for
// one call at a time.
type Decisions struct {
	mu   sync.Mutex
	list []LimitDecision
}

// A LimitDecision is what the limit of that name said, the last time that it was asked.
type LimitDecision struct {
	Limit string
	domain.Decision
}

// All returns them in the order in which the limits were asked. A limit that could not
// decide is not among them.
func (d *Decisions) All() []LimitDecision {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.list)
}

// note writes down what a limit said. d may be nil.
func (d *Decisions) note(limit string, said domain.Decision, err error) {
	if d == nil || err != nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.list {
		if d.list[i].Limit == limit {
			d.list[i].Decision = said
			return
		}
	}
	d.list = append(d.list, LimitDecision{limit, said})
}
