package telemetry

import (
	"maps"
	"sync"
	"sync/atomic"
)

// A cache keeps what was made for each key. It is never emptied: keys are made of names
// of policies and of words of closed lists, and so there are few. It is read in the way of
// calls, hence without a lock and without memory; a sync.Map would box each key.
type cache[K comparable, V any] struct {
	build func(K) V

	made atomic.Pointer[map[K]V]
	mu   sync.Mutex // held to add to made, which is replaced as a whole
}

func (c *cache[K, V]) get(key K) V {
	if made := c.made.Load(); made != nil {
		if value, ok := (*made)[key]; ok {
			return value
		}
	}
	return c.add(key)
}

func (c *cache[K, V]) add(key K) V {
	c.mu.Lock()
	defer c.mu.Unlock()
	more := make(map[K]V)
	if made := c.made.Load(); made != nil {
		if value, ok := (*made)[key]; ok {
			return value
		}
		more = maps.Clone(*made)
	}
	value := c.build(key)
	more[key] = value
	c.made.Store(&more)
	return value
}
