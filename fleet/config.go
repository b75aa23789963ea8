package fleet

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/holdfast-go/holdfast/domain"
)

// The defaults of a Config.
const (
	DefaultStoreTimeout = 100 * time.Millisecond
	DefaultMaxStaleness = time.Second
)

// Config is how a replica takes part. The zero value is ready to use.
type Config struct {
	// Build is the Version of policies that do not give one, so that in a
	// rolling deploy the newer build's numbers decide. Defaults to 0.
	Build int64
	// ExpectedReplicas is the size of the fleet as long as the store was never
	// seen, for limits with OutageLocalShare. Defaults to not known: such a
	// limit is then closed until the store was seen once.
	ExpectedReplicas int
	// ID is this replica's name in logs and events, and in what operators see of the
	// fleet (there its first 40 bytes, with '-' for what is no ASCII letter, digit,
	// '.', '_' or '-'). Defaults to a random one. Shared state never depends on it:
	// each start of a process is a new incarnation.
	ID string
	// Logger gets one line at each edge, never one per call. Defaults to
	// discarding them.
	Logger *slog.Logger
	// LimitFor gives one key of a keyed limit numbers of its own (a tier), in
	// place of the policy's Limit; false means the policy's. It is called by
	// callers of a key that is in use, about every 10 s and after an Update, so
	// it must be quick, as a look into a map is, and safe for concurrent use; a
	// panic in it is its caller's. Numbers that are invalid, or do not fit the
	// policy's further bands, are not used, and told once by an event. Numbers
	// that are raised take a minute to be in force, as those of a policy within
	// one Version do. Defaults to none.
	LimitFor func(limit, key string) (domain.Limit, bool)
	// MaxStaleness bounds how old this replica's copy of a breaker's fleet view
	// may be when every push is lost. Defaults to 1 s.
	MaxStaleness time.Duration
	// OnEvent is called with each event, in order, one at a time, from a
	// goroutine of its own: it may be slow, panic, or call back. Events that
	// would wait behind 256 others are dropped, and counted in the log.
	// Defaults to none.
	OnEvent func(domain.Event)
	// OnStore is called after each call of a store, by whoever made it, so that what it
	// does is added to the call's time: for metrics and spans. It must be quick, and is
	// called concurrently. A bucket of a store in this process that is asked without a
	// call (see port.Binder) is not told, nor is the watch for transitions. Defaults to
	// none.
	OnStore func(context.Context, StoreCall)
	// StoreTimeout is how long one call waits for stores at most. Defaults to
	// 100 ms.
	StoreTimeout time.Duration

	random rand.Source // of jitter and numbers; a test replays them. Defaults to chance.
}

func (c Config) withDefaults() Config {
	if c.StoreTimeout == 0 {
		c.StoreTimeout = DefaultStoreTimeout
	}
	if c.MaxStaleness == 0 {
		c.MaxStaleness = DefaultMaxStaleness
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.random == nil {
		c.random = chance{}
	}
	if c.ID == "" {
		c.ID = newIncarnation()
	}
	return c
}

// A Budget is what one call may still spend on waiting for stores, all its
// limits, breakers and retries together: StoreTimeout. The zero Budget has
// nothing spent. It is not safe for concurrent use.
type Budget struct{ spent time.Duration }

// left is what b still allows of limit. A nil Budget allows all of it.
func (b *Budget) left(limit time.Duration) time.Duration {
	if b == nil {
		return limit
	}
	return max(limit-b.spent, 0)
}

// Join takes from b what other spent beside it: of two that ran side by side the longer
// one counts.
func (b *Budget) Join(other *Budget) { b.spent = max(b.spent, other.spent) }

func (b *Budget) spend(d time.Duration) {
	if b != nil {
		b.spent += d
	}
}
