package fleet

import "time"

// KeysListed is how many open keys are listed at most.
const KeysListed = 100

// Keys is a look at the keys of a keyed breaker, as this replica has them.
type Keys struct {
	Name        string
	Called      int      // in the last minute, or Window if that is longer
	Open        int      // of those, open or half-open
	Exceeded    bool     // that is more than MaxOpenShare: open ones let probes through
	Unprotected int64    // calls without a breaker so far, for want of room
	Opened      []Status // of keys that are not closed, those called last first; at most KeysListed
}

// Keys reads how the keys are, and changes nothing.
func (k *KeyedBreaker) Keys() Keys {
	set, now := k.settings.Load(), k.replica.clock.now()
	k.seats.mu.Lock()
	open := k.seats.open.since(now - set.lately)
	look := Keys{
		Name: set.policy.Name, Called: open + k.seats.closed.since(now-set.lately), Open: open,
		Exceeded: k.exceeded.Load(), Unprotected: k.unprotected.Load(),
	}
	opened := make([]*Breaker, 0, min(k.seats.open.n+k.seats.left.n, KeysListed))
	for _, r := range [...]*row{&k.seats.open, &k.seats.left} {
		for s := r.last; s != nil && len(opened) < KeysListed; s = s.prev {
			opened = append(opened, s.breaker)
		}
	}
	k.seats.mu.Unlock()
	for _, b := range opened {
		look.Opened = append(look.Opened, b.Status())
	}
	return look
}

// Status reads the breaker of a key and changes nothing. It reports false for a key
// that has none here, which is as good as closed.
func (k *KeyedBreaker) Status(key string) (Status, bool) {
	s := k.seats.find(key)
	if s == nil {
		return Status{}, false
	}
	return s.breaker.Status(), true
}

// since is how many of the row moved after the given time.
func (r *row) since(after time.Duration) int {
	n := r.n
	for s := r.first; s != nil && s.movedAt <= after; s = s.next {
		n--
	}
	return n
}
