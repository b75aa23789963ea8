package domain

import "time"

// An EventKind says what happened.
type EventKind uint8

// The kinds of event.
const (
	// EventBreaker: a breaker went From one State To another, in Scope.
	EventBreaker EventKind = iota + 1
	// EventStoreDown: the store stopped answering; limits do what their Outage
	// says, breakers fall back to their local layer. Reason has the last error.
	EventStoreDown
	// EventStoreUp: the store answers again.
	EventStoreUp
	// EventStoreConfig: the store refused for permissions, a password or TLS.
	// Someone has to mend it; Reason has the error.
	EventStoreConfig
	// EventSettings: replicas declare different numbers for the limit or
	// breaker Name; the stored ones decide.
	EventSettings
	// EventLost: the shared state of breaker Name was lost (a flush, a
	// failover) and starts afresh.
	EventLost
	// EventBudgetEmpty: the retry budget Name is used up, and retries stop. It is
	// told again when there was enough in it for a minute.
	EventBudgetEmpty
	// EventOverride: an operator's override of breaker Name begins, for RetryAfter,
	// with its Force, By and Reason; or with ForceNone it is over.
	EventOverride
	// EventShareExceeded: of the keyed breaker Name, more keys than its MaxOpenShare
	// are open here. Open ones let probes through until EventShareRestored.
	EventShareExceeded
	// EventShareRestored: the open keys of breaker Name are at most its MaxOpenShare
	// again.
	EventShareRestored
	// EventKeysFull: the keyed breaker Name has its MaxKeys in use, and calls of other
	// keys run without one. It is told once a minute as long as there are such calls;
	// Reason has how many there were.
	EventKeysFull
	// EventLockLost: the lock of the exclusive Name was lost while its call ran, which
	// was told so. Reason has why.
	EventLockLost
)

// String returns the kind in a word or two, such as "store down".
func (k EventKind) String() string {
	switch k {
	case EventBreaker:
		return "breaker"
	case EventStoreDown:
		return "store down"
	case EventStoreUp:
		return "store up"
	case EventStoreConfig:
		return "store misconfigured"
	case EventSettings:
		return "settings differ"
	case EventLost:
		return "state lost"
	case EventBudgetEmpty:
		return "retry budget empty"
	case EventOverride:
		return "override"
	case EventShareExceeded:
		return "open share exceeded"
	case EventShareRestored:
		return "open share restored"
	case EventKeysFull:
		return "keys full"
	case EventLockLost:
		return "lock lost"
	default:
		return "unknown"
	}
}

// An Event is an edge: something that changed, told once by each replica that
// saw it. Fields that do not belong to its Kind are zero.
type Event struct {
	Kind       EventKind
	Name       string // of the breaker, limit, budget or lock
	Key        string // of a keyed breaker, whose breaker it is
	Replica    string // who tells
	From, To   State
	Scope      Scope
	Epoch      uint64
	RetryAfter time.Duration // how long an open breaker stays so, as far as known
	Reason     string
	Force      Force  // of an override
	By         string // who ordered it
}
