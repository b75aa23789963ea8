package domain

// A Policy says what an operation needs. The policies are [None], [Retry],
// [CircuitBreaker], [RateLimit], [Timeout], [Bulkhead], [Hedge], [Exclusive] and what
// [Combine] makes of them; the interface is sealed, so no other kind can exist. A nil
// Policy is invalid: running without protection has to be written down, as None.
//
// Policies are immutable values, comparable with ==, and safe for concurrent use.
type Policy interface {
	// Validate reports the first field that cannot be meant, as a
	// [*PolicyError] that matches [ErrInvalidPolicy], or nil.
	Validate() error
	// String gives the policy in its text form, such as
	// "retry(max_attempts=3) > timeout(2s)", outermost first.
	String() string

	policy()
}

// None is the policy that does nothing: the operation runs bare.
type None struct{}

// Validate returns nil: None is always valid.
func (None) Validate() error { return nil }

// String returns "none".
func (None) String() string { return "none" }

func (None) policy() {}

// nameMax is the longest name of a breaker, a limit, a guard or a fleet, in bytes.
const nameMax = 64

// ValidateName reports why name cannot name a part: it must have 1 to 64 bytes,
// each an ASCII letter, a digit, '.', '_' or '-'. Names end up in store keys,
// channels and metric labels, so what they may hold is kept small. The error
// is a [*PolicyError] for the given policy kind.
func ValidateName(policy, name string) error {
	if name == "" {
		return invalid(policy, "Name", "is missing")
	}
	return optionalName(policy, name)
}

// optionalName is ValidateName for a policy that may take its guard's name.
func optionalName(policy, name string) error { return optionalNameIn(policy, "Name", name) }

// optionalNameIn is optionalName for the name in that field.
func optionalNameIn(policy, field, name string) error {
	if len(name) > nameMax {
		return invalid(policy, field, "is longer than 64 bytes")
	}
	for i := range len(name) {
		if !nameByte(name[i]) {
			return invalid(policy, field, "may hold only ASCII letters, digits, '.', '_' and '-'")
		}
	}
	return nil
}

func nameByte(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	default:
		return c == '.' || c == '_' || c == '-'
	}
}
