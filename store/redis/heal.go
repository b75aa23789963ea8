package redisstore

import "sync"

// healsMax bounds the entities remembered as unreadable; more are healed later.
const healsMax = 1024

// heals are the entities that this replica found unreadable: its next call may
// start them afresh. The error comes first, so that nothing is overwritten
// unseen.
type heals struct {
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
	}
}

// take returns 1 once for a key that was noted, else 0.
func (h *heals) take(key string) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, noted := h.keys[key]; !noted {
		return 0
	}
	delete(h.keys, key)
	return 1
}
