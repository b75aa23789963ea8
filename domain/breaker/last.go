package breaker

// lastCalls is the outcomes of the last calls, as many as there is room for. A nil one
// counts nothing. A change of size begins a new one.
type lastCalls = *ring

// A ring is the outcomes of single calls, the newest over the oldest.
type ring struct {
	calls []tally
	next  int
	total tally
}

func newLastCalls(size int) lastCalls {
	if size == 0 {
		return nil
	}
	return &ring{calls: make([]tally, size)}
}

func (r *ring) size() int {
	if r == nil {
		return 0
	}
	return len(r.calls)
}

func (r *ring) count(t tally) {
	if r == nil {
		return
	}
	r.total.add(r.calls[r.next], -1)
	r.total.add(t, 1)
	r.calls[r.next] = t
	r.next = (r.next + 1) % len(r.calls)
}

func (r *ring) sum() tally { return r.total }

func (r *ring) clear() {
	if r != nil {
		clear(r.calls)
		r.total = tally{}
	}
}
