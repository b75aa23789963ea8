package domain

import (
	"strconv"
	"time"
)

// A Bulkhead bounds how many calls run at the same time, so that one slow dependency
// cannot take all that a service has. A call for which there is no room is refused
// with a [*BulkheadFullError]: at once, or after it has waited for MaxWait.
type Bulkhead struct {
	// Name identifies the bulkhead in this process, and in the fleet: 1 to 64 ASCII
	// letters, digits, '.', '_' or '-'. Defaults to the guard's.
	Name string
	// MaxConcurrent is how many calls may run at the same time. Required; must be
	// positive, and not above a million.
	MaxConcurrent int
	// MaxWait is how long a call may wait for room; those who came first go first.
	// Defaults to not at all. Must not be negative, nor above an hour.
	MaxWait time.Duration
	// Fleet bounds the calls of all replicas together, in place of those of each. A
	// replica holds permits of the store for the calls that it runs, and renews them;
	// those of one that dies come back within a few seconds. While the store is out of
	// reach each replica goes on with MaxConcurrent divided by the replicas last seen,
	// and one call at least.
	Fleet bool
}

// MaxConcurrentCalls is the highest MaxConcurrent of a Bulkhead.
const MaxConcurrentCalls = 1_000_000

// Validate reports an ill-formed Name, and a MaxConcurrent or a MaxWait out of range.
// A missing Name is valid here; it is refused where there is no guard to take it from.
func (b Bulkhead) Validate() error {
	if err := optionalName(kindBulkhead, b.Name); err != nil {
		return err
	}
	switch {
	case b.MaxConcurrent <= 0 || b.MaxConcurrent > MaxConcurrentCalls:
		return invalid(kindBulkhead, "MaxConcurrent", "must be between 1 and a million")
	case b.MaxWait < 0 || b.MaxWait > MaxWait:
		return invalid(kindBulkhead, "MaxWait", "must be between 0 and an hour")
	}
	return nil
}

// String gives the text form, such as "bulkhead(10, max_wait=100ms, fleet=true)".
func (b Bulkhead) String() string {
	f := form{kind: kindBulkhead}
	f.bare(strconv.Itoa(b.MaxConcurrent))
	f.text("name", b.Name)
	f.duration("max_wait", b.MaxWait)
	f.flag("fleet", b.Fleet)
	return f.String()
}

func (Bulkhead) policy() {}

const kindBulkhead = "bulkhead"
