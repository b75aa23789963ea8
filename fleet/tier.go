package fleet

import (
	"fmt"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/bucket"
)

// tierLasts is how long an answer of Config.LimitFor is used.
const tierLasts = 10 * time.Second

// tiersMax bounds the numbers of one limit that are kept compiled; others are
// compiled for each key.
const tiersMax = 1024

// A tier is the settings of one key for a while.
type tier struct {
	base  *settings // the limit's own; others end the tier
	own   *settings // with the key's numbers
	until time.Duration
}

// settings are those of the lane's key, of a limit that has those of base.
func (ln *lane) settings(base *settings) *settings {
	limitFor := ln.limiter.replica.config.LimitFor
	if limitFor == nil || !base.policy.Keyed || ln.limiter.own {
		return base
	}
	now := ln.limiter.replica.clock.now()
	if t := ln.tier.Load(); t != nil && t.base == base && now < t.until {
		return t.own
	}
	own := base
	if limit, ok := limitFor(base.policy.Name, ln.id.Key); ok {
		own = ln.limiter.tiered(base, ln.id.Key, limit)
	}
	ln.tier.Store(&tier{base, own, now + tierLasts})
	return own
}

// current are the settings that the last caller had. Where the limit has changed
// since, they are older ones, and the fleet decides by the newer: the limit's own
// would be no version of this key's numbers at all.
func (ln *lane) current() *settings {
	if t := ln.tier.Load(); t != nil {
		return t.own
	}
	return ln.limiter.settings.Load()
}

// tiered are settings with other numbers; the limit's own, where those cannot be
// meant.
func (l *Limiter) tiered(base *settings, key string, limit domain.Limit) *settings {
	base.tiers.mu.Lock()
	defer base.tiers.mu.Unlock()
	if known := base.tiers.byLimit[limit]; known != nil {
		return known
	}
	p := base.policy
	p.Limit = limit
	p = p.WithDefaults()
	rule, err := bucket.Compile(p)
	if err != nil {
		l.noteTier(base, key, err)
		return base
	}
	own := &settings{policy: p, rule: rule, burst: rule.Burst()}
	if base.tiers.byLimit == nil {
		base.tiers.byLimit = make(map[domain.Limit]*settings)
	}
	if len(base.tiers.byLimit) < tiersMax {
		base.tiers.byLimit[limit] = own
	}
	return own
}

// tiers are what a limit's settings come to with other numbers.
type tiers struct {
	mu      sync.Mutex
	byLimit map[domain.Limit]*settings
}

// noteTier tells that a key's numbers cannot be meant: once, until that was not so
// for a while.
func (l *Limiter) noteTier(base *settings, key string, err error) {
	if !l.replica.firstSeen(&l.misfit) {
		return
	}
	l.replica.emit(domain.Event{
		Kind: domain.EventSettings, Name: base.policy.Name, Scope: domain.ScopeReplica,
		Reason: fmt.Sprintf("LimitFor gives the key %.64q numbers that cannot be meant, so the limit's own are used: %v", key, err),
	})
}
