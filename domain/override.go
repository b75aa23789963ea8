package domain

import (
	"strings"
	"time"
)

// A Force is what an operator's override makes of a breaker.
type Force uint8

// The forces. The zero value is ForceNone. The numbers are part of the protocol
// between replicas.
const (
	ForceNone        Force = iota // nothing: the breaker decides for itself
	ForceOpen                     // no call passes, and no probe
	ForceClosed                   // every call passes; results are counted, and open nothing
	ForceDisabled                 // every call passes, as if there were no breaker: nothing is counted
	ForceMetricsOnly              // every call passes, and the breaker counts, votes and tells events as always
)

// String returns "none", "open", "closed", "disabled" or "metrics-only".
func (f Force) String() string {
	if int(f) < len(forces) {
		return forces[f]
	}
	return "unknown"
}

//nolint:gochecknoglobals // a constant list
var forces = [...]string{"none", "open", "closed", "disabled", "metrics-only"}

// ParseForce is the force of that name; false if there is none.
func ParseForce(name string) (Force, bool) {
	for i, is := range forces {
		if is == name {
			return Force(i), true
		}
	}
	return ForceNone, false
}

// MaxOverride is how long an override may last: ten years.
const MaxOverride = 10 * 365 * 24 * time.Hour

// maxWords bounds what an operator says, in bytes.
const maxWords = 200

// An Override is an operator's word on one breaker, for the whole fleet: for a time,
// it outranks both layers of each replica. It survives restarts, and the loss of the
// store as long as one replica knows it.
type Override struct {
	Force  Force
	For    time.Duration // how long it lasts, whole milliseconds up to MaxOverride; of one that was read, what is left
	By     string        // who ordered it, up to 200 bytes; required
	Reason string        // and why, up to 200 bytes; required, but for ForceNone, which ends one
}

// Validate reports the first field out of range: see the fields.
func (o Override) Validate() error {
	switch {
	case int(o.Force) >= len(forces):
		return invalid(kindOverride, "Force", "is unknown")
	case o.Force == ForceNone && o.For != 0:
		return invalid(kindOverride, "For", "must be 0 where nothing is forced")
	case o.Force != ForceNone && o.For < time.Millisecond:
		return invalid(kindOverride, "For", "is missing: an override ends by itself")
	case o.For > MaxOverride:
		return invalid(kindOverride, "For", "is longer than ten years")
	case o.For%time.Millisecond != 0:
		return invalid(kindOverride, "For", "must be whole milliseconds")
	case o.By == "":
		return invalid(kindOverride, "By", "is missing: who orders it?")
	case !plainWords(o.By):
		return invalid(kindOverride, "By", "is longer than 200 bytes, or has control characters")
	case o.Reason == "" && o.Force != ForceNone:
		return invalid(kindOverride, "Reason", "is missing: others will ask")
	case !plainWords(o.Reason):
		return invalid(kindOverride, "Reason", "is longer than 200 bytes, or has control characters")
	}
	return nil
}

// plainWords reports whether a terminal or a log can show a text as it is.
func plainWords(text string) bool {
	odd := func(r rune) bool { return r < ' ' || r == '\u007f' || r == '\ufffd' || r >= '\u0080' && r < '\u00a0' }
	return len(text) <= maxWords && strings.IndexFunc(text, odd) < 0
}

const kindOverride = "override"
