package orchestrator

import (
	"sync"

	"github.com/holdfast-go/holdfast/domain"
)

// maxCarried bounds how many policies are kept compiled. A program declares a
// few; one that makes up policies as it goes must not fill the memory.
const maxCarried = 1024

// carried are the guards of policies that code carries along, by policy: these
// are comparable values, so that a policy is its own key.
type carried struct {
	mu     sync.RWMutex
	guards map[domain.Policy]*Guard
}

// find looks p up. What only embeds a policy, inside a Combine even, may not be
// comparable and then panics as a key: known says so without a walk through the
// policy at each call.
func (c *carried) find(p domain.Policy) (g *Guard, known bool) {
	defer func() {
		if recover() != nil {
			g, known = nil, false
		}
	}()
	c.mu.RLock()
	defer c.mu.RUnlock()
	g, known = c.guards[p]
	return g, known
}

func (c *carried) keep(p domain.Policy, g *Guard) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.guards) >= maxCarried {
		for one := range c.guards {
			delete(c.guards, one)
			break
		}
	}
	c.guards[p] = g
}

// guardFor returns the guard without a name for p.
func (o *Orchestrator) guardFor(p domain.Policy) (*Guard, error) {
	if g, ok := o.carried.find(p); ok {
		return g, nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if g, ok := o.carried.find(p); ok {
		return g, nil
	}
	g, err := o.newGuard("", p, nil) // which refuses what could not be a key
	if err != nil {
		return nil, err
	}
	o.carried.keep(p, g)
	return g, nil
}
