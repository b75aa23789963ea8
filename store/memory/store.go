// Package memory is a store in one process: for tests, and for services that
// run as a single node. It keeps the same promises as the store on Redis, by
// the same rules, and loses its state when the process ends.
package memory

import (
	"time"

	"github.com/holdfast-go/holdfast/domain/port"
)

// DefaultMaxKeys is how many buckets a Store keeps when Options do not say.
const DefaultMaxKeys = 1 << 20

// Options configure a Store. The zero value is ready to use.
type Options struct {
	// MaxKeys bounds the buckets kept. A bucket that is full again is dropped
	// when room is needed; when none is, a new key is an error and its limit
	// does what its Outage says: a live bucket is never forgotten. Defaults to
	// DefaultMaxKeys.
	MaxKeys int
	// Now is the store's clock, read at each decision. It may step back.
	// Defaults to a clock that does not.
	Now func() time.Time
}

// A Store keeps buckets, breakers, permits, locks and members in memory. It is safe for
// concurrent use. Several replicas may share one, and are then a fleet.
type Store struct {
	buckets  buckets
	breakers breakers
	members  members
	permits  permits
	locks    locks
	policies policies
}

// New returns an empty store. It starts nothing and need not be closed.
func New(o Options) *Store {
	micro := steadyClock()
	if o.Now != nil {
		micro = func() int64 { return o.Now().UnixMicro() }
	}
	maxKeys := o.MaxKeys
	if maxKeys <= 0 {
		maxKeys = DefaultMaxKeys
	}
	s := &Store{}
	s.buckets.init(micro, maxKeys)
	s.breakers.now = micro
	s.members.now = micro
	s.permits.now = micro
	s.locks.now = micro
	s.policies.now = micro
	return s
}

// Stores returns s as the ports that it implements: all of them.
func (s *Store) Stores() port.Stores {
	return port.Stores{
		Buckets: &s.buckets, Breakers: &s.breakers, Views: &s.breakers, Members: &s.members, Permits: &s.permits,
		Operator: &s.breakers, Locks: &s.locks, Policies: &s.policies,
	}
}

// steadyClock is Unix µs that count on from when it was made, by the monotonic
// clock: it never steps, and reading it takes half as long as the wall clock.
func steadyClock() func() int64 {
	base := time.Now() //nolint:forbidigo // the one place where this store's clock starts
	start := base.UnixMicro()
	return func() int64 {
		return start + time.Since(base).Microseconds() //nolint:forbidigo // and where it is read
	}
}
