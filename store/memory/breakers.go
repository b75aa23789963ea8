package memory

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
	"github.com/holdfast-go/holdfast/domain/port"
)

// watchBuffer is how many transitions wait for a watcher; further ones are
// lost to it, as pushes may be.
const watchBuffer = 64

// breakers implements port.BreakerStore, port.ViewSource and port.OperatorStore.
type breakers struct {
	now      func() int64
	mu       sync.Mutex
	fleets   map[port.ID]*breaker.Fleet
	watchers []chan push
}

type push struct {
	id   port.ID
	view port.View
}

// Report takes evidence. It never fails but for a ctx that is done.
func (b *breakers) Report(ctx context.Context, in []port.Report, out []port.View) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, r := range in {
		if err := context.Cause(ctx); err != nil {
			out[i] = port.View{Err: &domain.StoreError{Op: "breaker report", Name: r.Breaker.Name, Err: err}}
			continue
		}
		v, moved := b.fleet(r.Breaker).Report(b.now(), r.Rules, r.Evidence)
		out[i] = view("breaker report", r.Breaker, v)
		b.tell(r.Breaker, out[i], moved)
	}
}

// Probe grants and settles leases. It never fails but for a ctx that is done.
func (b *breakers) Probe(ctx context.Context, in []port.ProbeRequest, out []port.ProbeReply) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, r := range in {
		if err := context.Cause(ctx); err != nil {
			out[i] = port.ProbeReply{View: port.View{Err: &domain.StoreError{Op: "breaker probe", Name: r.Breaker.Name, Err: err}}}
			continue
		}
		a, moved := b.fleet(r.Breaker).Probe(b.now(), r.Rules, r.ProbeAsk)
		out[i] = port.ProbeReply{Granted: a.Granted, For: duration(a.ForMicro), View: view("breaker probe", r.Breaker, a.View)}
		b.tell(r.Breaker, out[i].View, moved)
	}
}

// Read gives the views as they are.
func (b *breakers) Read(_ context.Context, in []port.ID, out []port.View) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, id := range in {
		out[i] = port.View{}
		if f := b.fleets[id]; f != nil {
			out[i] = view("breaker read", id, f.View(b.now()))
		}
	}
}

// Watch calls onView with each transition until ctx ends.
func (b *breakers) Watch(ctx context.Context, onView func(port.ID, port.View)) error {
	pushes := make(chan push, watchBuffer)
	b.mu.Lock()
	b.watchers = append(b.watchers, pushes)
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.watchers = slices.DeleteFunc(b.watchers, func(c chan push) bool { return c == pushes })
	}()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case p := <-pushes:
			onView(p.id, p.view)
		}
	}
}

// fleet returns the breaker of id. It requires that b.mu is held.
func (b *breakers) fleet(id port.ID) *breaker.Fleet {
	f := b.fleets[id]
	if f == nil {
		f = &breaker.Fleet{}
		if b.fleets == nil {
			b.fleets = make(map[port.ID]*breaker.Fleet)
		}
		b.fleets[id] = f
	}
	return f
}

// tell pushes a transition to the watchers that keep up. It requires that b.mu
// is held.
func (b *breakers) tell(id port.ID, v port.View, moved bool) {
	if !moved {
		return
	}
	v.Foreign = false // of the one who asked, not of those who watch
	for _, w := range b.watchers {
		select {
		case w <- push{id, v}:
		default:
		}
	}
}

func view(op string, id port.ID, v breaker.View) port.View {
	if v.Ahead {
		return port.View{Err: &domain.StoreError{Op: op, Name: id.Name, Entity: true, Err: port.ErrAhead}}
	}
	return port.View{
		Epoch: v.Epoch, State: v.State, For: duration(v.ForMicro), Base: v.Base, Fresh: v.Fresh, Foreign: v.Foreign, Order: v.Order,
	}
}

func duration(micro int64) time.Duration { return time.Duration(micro) * time.Microsecond }
