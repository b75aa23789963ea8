package redisstore

import (
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/holdfast-go/holdfast/domain/breaker"
	"github.com/holdfast-go/holdfast/domain/bucket"
)

// claimsMax bounds the rules whose texts are kept; others are made each time.
const claimsMax = 1024

// claims keeps the texts of rules, as they are sent and stored: there are few
// rules, and each call needs one.
type claims[R comparable] struct {
	text  func(R) string
	mu    sync.RWMutex
	texts map[R]any // strings, as arguments of a command are passed
}

func (c *claims[R]) of(r R) any {
	c.mu.RLock()
	text, ok := c.texts[r]
	c.mu.RUnlock()
	if ok {
		return text
	}
	text = c.text(r)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.texts == nil {
		c.texts = make(map[R]any)
	}
	if len(c.texts) < claimsMax {
		c.texts[r] = text
	}
	return text
}

// rulesText is how breaker_step.lua has the rules of a breaker.
func rulesText(r breaker.Rules) string {
	text := strconv.AppendInt(nil, schema, 10)
	for _, n := range r.Numbers(make([]int64, 0, 11)) {
		text = strconv.AppendInt(append(text, ':'), n, 10)
	}
	return string(text)
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
