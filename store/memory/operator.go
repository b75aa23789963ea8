package memory

import (
	"context"
	"slices"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
	"github.com/holdfast-go/holdfast/domain/port"
)

// Order gives orders. It never fails but for a ctx that is done, and an order of a
// day to come.
func (b *breakers) Order(ctx context.Context, in []port.Order, out []port.OrderReply) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, o := range in {
		if err := context.Cause(ctx); err != nil {
			out[i] = port.OrderReply{Err: &domain.StoreError{Op: "breaker order", Name: o.Breaker.Name, Err: err}}
			continue
		}
		serial, isNew := b.fleet(o.Breaker).Order(b.now(), o.Order)
		if out[i] = (port.OrderReply{Serial: serial}); serial == 0 {
			out[i].Err = &domain.StoreError{Op: "breaker order", Name: o.Breaker.Name, Entity: true, Err: port.ErrAhead}
		}
		b.tell(o.Breaker, port.View{Order: breaker.Order{Serial: serial}}, isNew)
	}
}

// Explain gives all that there is of a breaker. It never fails.
func (b *breakers) Explain(_ context.Context, id port.ID) (breaker.Snapshot, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if f := b.fleets[id]; f != nil {
		return f.Snapshot(b.now()), nil
	}
	return breaker.Snapshot{}, nil
}

// Records gives what happened to a breaker. It never fails.
func (b *breakers) Records(_ context.Context, id port.ID) ([]breaker.Record, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if f := b.fleets[id]; f != nil {
		return f.Records(), nil
	}
	return nil, nil
}

// Breakers lists the breakers that are there. It never fails.
func (b *breakers) Breakers(context.Context) ([]port.ID, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	ids := make([]port.ID, 0, len(b.fleets))
	for id, f := range b.fleets {
		if f.View(b.now()) != (breaker.View{}) { // else somebody only asked
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, port.ID.Compare)
	return ids, nil
}
