package domain

import "time"

// The defaults and bounds of an Exclusive.
const (
	DefaultMaxHold   = time.Minute
	DefaultLockLease = 10 * time.Second
	MaxHold          = 24 * time.Hour
	MinLockLease     = time.Second
	MaxLockLease     = time.Hour
)

// Exclusive lets an operation run once in the fleet at a time: a call holds a lock of
// the store while it runs, and another one is refused with an [*ExclusiveError], at
// once or after it has waited for MaxWait. It needs a store with locks.
//
// It is best effort, and for work that is wasteful or ugly to do twice, not wrong: a
// failover may lose the lock, and a process that was suspended may go on for a moment
// when it has lost it. Where twice would be wrong, the place where the effect happens
// must refuse a fencing token below one that it has seen.
//
// The context of the operation ends with a [*LockLostError] when the lock is lost, and
// with a [*TimeoutError] when MaxHold has passed.
type Exclusive struct {
	// Name identifies the lock in the fleet: 1 to 64 ASCII letters, digits, '.', '_' or
	// '-'. Defaults to the guard's.
	Name string
	// MaxHold is how long one call may hold the lock. The lock is not extended after it,
	// whether or not the operation has heeded its context. Defaults to a minute. Must not
	// be negative, nor above a day.
	MaxHold time.Duration
	// MaxWait is how long a call may wait for the lock. Those of one replica go in the
	// order in which they came; among replicas chance decides. Defaults to not at all.
	// Must not be negative, nor above an hour.
	MaxWait time.Duration
	// Lease is how long the lock stays taken when its holder dies. A holder that lives
	// extends it three times as often. Defaults to 10 s. Must be between a second and an
	// hour.
	Lease time.Duration
}

// Validate reports an ill-formed Name, and a duration out of range. A missing Name is
// valid here; it is refused where there is no guard to take it from.
func (x Exclusive) Validate() error {
	if err := optionalName(kindExclusive, x.Name); err != nil {
		return err
	}
	switch {
	case x.MaxHold < 0 || x.MaxHold > MaxHold:
		return invalid(kindExclusive, "MaxHold", "must be between 0 and a day")
	case x.MaxWait < 0 || x.MaxWait > MaxWait:
		return invalid(kindExclusive, "MaxWait", "must be between 0 and an hour")
	case x.Lease != 0 && (x.Lease < MinLockLease || x.Lease > MaxLockLease):
		return invalid(kindExclusive, "Lease", "must be between a second and an hour")
	}
	return nil
}

// WithDefaults returns x with each zero field replaced by its default.
func (x Exclusive) WithDefaults() Exclusive {
	if x.MaxHold == 0 {
		x.MaxHold = DefaultMaxHold
	}
	if x.Lease == 0 {
		x.Lease = DefaultLockLease
	}
	return x
}

// String gives the text form, such as "exclusive(name=report, max_hold=5m)".
func (x Exclusive) String() string {
	f := form{kind: kindExclusive}
	f.text("name", x.Name)
	f.duration("max_hold", x.MaxHold)
	f.duration("max_wait", x.MaxWait)
	f.duration("lease", x.Lease)
	return f.String()
}

func (Exclusive) policy() {}

const kindExclusive = "exclusive"
