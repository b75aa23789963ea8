package redisstore

import (
	"fmt"
	"sync"

	"github.com/holdfast-go/holdfast/domain/bucket"
)

// claimsMax bounds the rules whose texts are kept; others are made each time.
const claimsMax = 1024

// claims keeps the texts of rules, as they are sent and stored: there are few
// rules, and each call needs one.
type claims struct {
	mu    sync.RWMutex
	texts map[bucket.Rule]any // strings, as arguments of a command are passed
}

func (c *claims) of(r bucket.Rule) any {
	c.mu.RLock()
	text, ok := c.texts[r]
	c.mu.RUnlock()
	if ok {
		return text
	}
	text = fmt.Sprintf("1:%d:%d:%d:%d", r.Version, r.Earn, r.Worth, r.Burst())
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.texts == nil {
		c.texts = make(map[bucket.Rule]any)
	}
	if len(c.texts) < claimsMax {
		c.texts[r] = text
	}
	return text
}
