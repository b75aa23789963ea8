package fleet

import "weak"

// Kept is how much a replica keeps of each kind for calls to come, for tests.
func Kept(r *Replica) map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := map[string]int{
		"lanes": 0, "size of lanes": 0, "debtors": 0, "leases": 0,
		"events": r.events.kept(), "lines": r.lines.kept(),
		"seats": 0, "size of seats": 0, "rows": 0, "calls out": 0, "ramps": 0,
	}
	for _, l := range r.limiters {
		l.lanes.count(kept)
	}
	for _, k := range r.keyed {
		k.count(kept)
	}
	for _, s := range r.shards {
		s.mu.Lock()
		kept["debtors"] += len(s.debtors)
		s.mu.Unlock()
	}
	for _, b := range r.breakers {
		b.mu.Lock()
		kept["leases"] += len(b.probe.held)
		b.mu.Unlock()
		b.countRamp(kept)
	}
	return kept
}

func (l *lanes) count(kept map[string]int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	kept["lanes"] += len(l.byKey)
	kept["size of lanes"] += l.size
}

func (b *Breaker) countRamp(kept map[string]int) {
	b.mu.Lock()
	rise := b.rise
	b.mu.Unlock()
	if rise != nil {
		kept["ramps"]++
		rise.lanes.count(kept)
	}
}

// RampLimiters are the limits of the ramps of keys, held weakly.
func (k *KeyedBreaker) RampLimiters() (all []weak.Pointer[Limiter]) {
	for _, b := range k.breakers() {
		b.mu.Lock()
		if b.rise != nil {
			all = append(all, weak.Make(b.rise))
		}
		b.mu.Unlock()
	}
	return all
}

func (k *KeyedBreaker) count(kept map[string]int) {
	for _, b := range k.breakers() {
		b.countRamp(kept)
	}
	t := &k.seats
	t.mu.Lock()
	defer t.mu.Unlock()
	t.byKey.Range(func(_, found any) bool {
		s, _ := found.(*seat)
		kept["seats"]++
		kept["calls out"] += int(s.out.Load())
		return true
	})
	kept["size of seats"] += t.size
	kept["rows"] += t.closed.n + t.open.n + t.left.n
}

func (q *eventQueue) kept() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

// LanesMin is from how many lanes on idle ones are forgotten.
const LanesMin = lanesMin
