package redisstore

import (
	"fmt"
	"sync"

	"github.com/holdfast-go/holdfast/domain/bucket"
)

// rulesMax bounds the rules whose words are kept; others are made each time.
const rulesMax = 1024

// A ruleWords is a rule as scripts read it.
type ruleWords struct {
	claim             string // as it is stored
	earn, worth, full any
}

// A ruleCache keeps the words of rules: there are few, and each call needs one.
type ruleCache struct {
	mu   sync.RWMutex
	kept map[bucket.Rule]*ruleWords
}

func (c *ruleCache) words(r bucket.Rule) *ruleWords {
	c.mu.RLock()
	w := c.kept[r]
	c.mu.RUnlock()
	if w != nil {
		return w
	}
	w = &ruleWords{
		claim: fmt.Sprintf("1:%d:%d:%d:%d", r.Version, r.Earn, r.Worth, r.Full),
		earn:  r.Earn, worth: r.Worth, full: r.Full,
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept == nil {
		c.kept = make(map[bucket.Rule]*ruleWords)
	}
	if len(c.kept) < rulesMax {
		c.kept[r] = w
	}
	return w
}
