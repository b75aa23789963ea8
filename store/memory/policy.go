package memory

import (
	"context"
	"slices"
	"sync"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
)

// ahead is how far a version may be ahead of the clock, in µs: a day.
const ahead = 86_400_000_000

// policies implement port.PolicyStore.
type policies struct {
	now func() int64

	mu  sync.Mutex
	all []port.Publication // the newest first
}

// Publish puts a document in force. It never fails but for a ctx that is done, and a
// document of a day to come.
func (p *policies) Publish(ctx context.Context, doc port.Publication, after uint64) (uint64, bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := context.Cause(ctx); err != nil {
		return 0, false, &domain.StoreError{Op: "policy publish", Err: err}
	}
	now, stands := p.now(), uint64(0)
	if len(p.all) > 0 {
		stands = p.all[0].Version
	}
	switch {
	case doc.Version == 0 && after != stands:
		return stands, false, nil
	case doc.Version == 0:
		doc.Version = max(uint64(max(now, 0)), stands+1)
	case int64(doc.Version) > now+ahead:
		return 0, false, &domain.StoreError{Op: "policy publish", Entity: true, Err: port.ErrAhead}
	case stands > 0:
		return stands, false, nil
	}
	p.all = slices.Insert(p.all, 0, doc)
	p.all = p.all[:min(len(p.all), port.PublicationsKept)]
	return doc.Version, true, nil
}

// Published gives the document in force. It never fails.
func (p *policies) Published(_ context.Context, known uint64) (port.Publication, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case len(p.all) == 0:
		return port.Publication{}, nil
	case p.all[0].Version <= known:
		return port.Publication{Version: known}, nil
	default:
		return p.all[0], nil
	}
}

// Publications gives those that are remembered. It never fails.
func (p *policies) Publications(context.Context) ([]port.Publication, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.all), nil
}
