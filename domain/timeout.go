package domain

import "time"

// Timeout gives what it wraps a deadline: the function's context ends after
// Duration, and a failure after that is a [*TimeoutError]. It is cooperative:
// a function that ignores its context is waited for, and one that returns
// without an error after the deadline has succeeded. The caller's own deadline
// stays the caller's error.
type Timeout struct {
	Duration time.Duration // required; must be positive
}

// Validate reports a Duration that is not positive.
func (t Timeout) Validate() error {
	if t.Duration <= 0 {
		return invalid(kindTimeout, "Duration", "must be positive")
	}
	return nil
}

// String gives the text form, such as "timeout(2s)".
func (t Timeout) String() string {
	f := form{kind: kindTimeout}
	f.bare(durationText(t.Duration))
	return f.String()
}

func (Timeout) policy() {}

const kindTimeout = "timeout"
