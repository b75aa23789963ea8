package redisstore

import (
	"fmt"
	"strings"
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
	text = claimText(r)
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

// claimText is how bucket_take.lua has a rule.
func claimText(r bucket.Rule) string {
	var text strings.Builder
	fmt.Fprintf(&text, "1:%d", r.Version)
	for i := range r.Count() {
		fmt.Fprintf(&text, ":%d:%d:%d", r.Bands[i].Earn, r.Bands[i].Worth, r.Bands[i].Burst())
	}
	return text.String()
}
