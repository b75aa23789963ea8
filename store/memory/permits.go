package memory

import (
	"context"
	"sync"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/bulkhead"
	"github.com/holdfast-go/holdfast/domain/port"
)

// permits implements port.PermitStore.
type permits struct {
	now   func() int64
	mu    sync.Mutex
	heads map[port.ID]bulkhead.State
}

// Hold does what replicas say. It never fails but for a ctx that is done.
func (p *permits) Hold(ctx context.Context, in []port.HoldRequest, out []port.HoldReply) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range in {
		if err := context.Cause(ctx); err != nil {
			out[i] = port.HoldReply{Err: &domain.StoreError{Op: "permit hold", Name: in[i].Bulkhead.Name, Err: err}}
			continue
		}
		out[i] = port.HoldReply{Answer: p.head(in[i].Bulkhead).Hold(p.now(), in[i].Ask)}
	}
}

// head requires that p.mu is held.
func (p *permits) head(id port.ID) bulkhead.State {
	if p.heads == nil {
		p.heads = make(map[port.ID]bulkhead.State)
	}
	st := p.heads[id]
	if st == nil {
		st = make(bulkhead.State)
		p.heads[id] = st
	}
	return st
}
