package redisstore

import (
	"sync"
	"sync/atomic"
)

// healsMax bounds the entities remembered as unreadable; more are healed later.
const healsMax = 1024

// heals are the entities that this replica found unreadable: its next call may
// start them afresh. The error comes first, so that nothing is overwritten
// unseen.
type heals struct {
	some atomic.Bool // there are any: mostly there are none, and many are asked for
	mu   sync.Mutex
	keys map[string]struct{}
}

func (h *heals) note(key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.keys == nil {
		h.keys = make(map[string]struct{})
	}
	if len(h.keys) < healsMax {
		h.keys[key] = struct{}{}
		h.some.Store(true)
	}
}

// take reports, once, whether a key was noted.
func (h *heals) take(key string) bool {
	if !h.some.Load() {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	_, noted := h.keys[key]
	delete(h.keys, key)
	h.some.Store(len(h.keys) > 0)
	return noted
}
