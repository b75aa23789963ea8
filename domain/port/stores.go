package port

import (
	"cmp"
	"strings"
)

// Stores is what one store offers. A nil field is a missing capability.
type Stores struct {
	Buckets  BucketStore
	Breakers BreakerStore
	Views    ViewSource
	Members  MemberStore
	Permits  PermitStore
	Operator OperatorStore
	Locks    LockStore
	Policies PolicyStore
}

// An ID identifies one entity of a store: a bucket, a breaker, a bulkhead or a lock.
type ID struct {
	Name string // as domain.ValidateName has it
	Key  string // any bytes, any length; "" when the entity has no key
}

// Compare orders IDs by name, then by key, as cmp.Compare does.
func (id ID) Compare(other ID) int {
	return cmp.Or(strings.Compare(id.Name, other.Name), strings.Compare(id.Key, other.Key))
}

// A Sharder is a store whose entities live on several nodes that fail apart.
// A store port may implement it; without it everything is on shard 0.
type Sharder interface {
	// Shard returns the number of the node, or group of nodes, that id lives
	// on. It is opaque, small, and does no I/O.
	Shard(id ID) uint32
}

// An Adviser is a store that knows what is unwise about how it is used. The
// store port Buckets may implement it; a replica that joins logs each warning.
type Adviser interface {
	// Warnings names what hurts, one sentence each. It does no I/O.
	Warnings() []string
}
