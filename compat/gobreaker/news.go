package gobreaker

import "sync"

// News are the changes of state that OnStateChange has yet to hear of.
type news struct {
	name string
	tell func(name string, from, to State) // nil: nobody hears of them

	mu      sync.Mutex
	pending []change
	telling bool // somebody is at it, and will see what is added
}

type change struct{ from, to State }

// add is called in the order of the changes.
func (n *news) add(from, to State) {
	if n.tell == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pending = append(n.pending, change{from, to})
}

// deliver tells what is pending, one by one and with nothing locked, unless another
// call is at it. A panic of who hears it is the caller's; the next call goes on.
func (n *news) deliver() {
	if n.tell == nil {
		return
	}
	for {
		next, ok := n.next()
		if !ok {
			return
		}
		n.one(next)
	}
}

// next takes the oldest change, if nobody else is telling one.
func (n *news) next() (change, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.telling || len(n.pending) == 0 {
		return change{}, false
	}
	next := n.pending[0]
	n.pending = n.pending[1:]
	n.telling = true
	return next, true
}

func (n *news) one(c change) {
	defer func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.telling = false
	}()
	n.tell(n.name, c.from, c.to)
}
