package fleet

import (
	"context"
	"sync"

	"github.com/holdfast-go/holdfast/domain/port"
)

// partingMost is how many breakers wait for their votes to be withdrawn. Those of
// further ones lapse by themselves, as they have by then: evidence lasts for a Window.
const partingMost = 1024

// parting are breakers of keys that this replica has forgotten.
type parting struct {
	mu   sync.Mutex
	list []*Breaker
}

// parts lets the next beat withdraw what this replica told of a breaker. It may be
// called under any lock of this package.
func (p *pulse) parts(b *Breaker) {
	p.parting.mu.Lock()
	defer p.parting.mu.Unlock()
	if len(p.parting.list) < partingMost {
		p.parting.list = append(p.parting.list, b)
	}
}

func (g *parting) take() []*Breaker {
	g.mu.Lock()
	defer g.mu.Unlock()
	list := g.list
	g.list = nil
	return list
}

// part withdraws the votes about keys that were forgotten. It is tidying up: what is
// lost lapses.
func (p *pulse) part(ctx context.Context) {
	var reports []port.Report
	for _, b := range p.parting.take() {
		votes, _ := b.withdrawal() // no call is out, and so no probe
		reports = append(reports, votes...)
	}
	if len(reports) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, p.replica.config.StoreTimeout)
	defer cancel()
	out := make([]port.View, len(reports))
	p.replica.stores.Breakers.Report(ctx, reports, out)
	p.shard.record(commonError(out))
}
