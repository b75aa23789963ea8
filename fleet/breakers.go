package fleet

import (
	"maps"
	"slices"

	"github.com/holdfast-go/holdfast/domain/port"
)

// breakerOf finds the breaker that was made for an entity.
func (r *Replica) breakerOf(id port.ID) (*Breaker, bool) {
	if id.Key == "" {
		return r.FindBreaker(id.Name)
	}
	k, ok := r.FindKeyedBreaker(id.Name)
	if !ok {
		return nil, false
	}
	s := k.seats.find(id.Key)
	if s == nil {
		return nil, false
	}
	return s.breaker, true
}

// everyKeyed is all keyed breakers that were made.
func (r *Replica) everyKeyed() []*KeyedBreaker {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Values(r.keyed))
}

// everyBreaker is all breakers that there are, those of keys too.
func (r *Replica) everyBreaker() []*Breaker {
	return r.breakersWhere(func(*KeyedBreaker) bool { return true })
}

// everyShared is those among them that may have a fleet's layer: where keys share
// nothing, there may be very many.
func (r *Replica) everyShared() []*Breaker {
	return r.breakersWhere(func(k *KeyedBreaker) bool { return k.settings.Load().shared() })
}

func (r *Replica) breakersWhere(wanted func(*KeyedBreaker) bool) []*Breaker {
	r.mu.Lock()
	all := slices.Collect(maps.Values(r.breakers))
	r.mu.Unlock()
	for _, k := range r.everyKeyed() {
		if wanted(k) {
			all = append(all, k.breakers()...)
		}
	}
	return all
}
