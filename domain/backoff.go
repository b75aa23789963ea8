package domain

import (
	"math"
	"strconv"
	"time"
)

// A BackoffKind is the way the pauses between attempts grow.
type BackoffKind uint8

// The kinds of backoff. The zero value is BackoffExponential.
const (
	BackoffExponential  BackoffKind = iota // initial × multiplierⁿ⁻¹, up to Max
	BackoffFixed                           // always Initial
	BackoffLinear                          // Initial + (n-1) × Increment, up to Max
	BackoffDecorrelated                    // random between Initial and 3 × the previous pause, up to Max
)

// The defaults of a Backoff.
const (
	DefaultInitialBackoff    = 100 * time.Millisecond
	DefaultBackoffMultiplier = 2
	DefaultMaxBackoff        = 30 * time.Second
)

// A Backoff says how long to pause before each further attempt. The zero
// Backoff is exponential, 100 ms doubling up to 30 s, with full jitter. Build
// one with [Fixed], [Linear], [Exponential] or [Decorrelated], and choose its
// Jitter where full jitter is not wanted:
//
//	b := hold.Fixed(time.Second)
//	b.Jitter = hold.PlusMinus(0.1)
//
// Full, equal and decorrelated jitter are those of Marc Brooker,
// "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
type Backoff struct {
	Kind       BackoffKind
	Initial    time.Duration // the first pause before jitter; defaults to 100 ms
	Increment  time.Duration // added per attempt; BackoffLinear only
	Max        time.Duration // the longest pause before jitter; defaults to 30 s
	Multiplier float64       // at least 1; BackoffExponential only; defaults to 2
	Jitter     Jitter        // defaults to FullJitter; no meaning for BackoffDecorrelated
}

// Fixed pauses for d each time, exactly: it has no jitter unless one is set.
func Fixed(d time.Duration) Backoff {
	return Backoff{Kind: BackoffFixed, Initial: d, Jitter: NoJitter}
}

// Linear pauses for initial, then for increment longer each time, up to 30 s,
// exactly: it has no jitter unless one is set.
func Linear(initial, increment time.Duration) Backoff {
	return Backoff{Kind: BackoffLinear, Initial: initial, Increment: increment, Jitter: NoJitter}
}

// Exponential pauses for initial, then multiplier times longer each time, up to
// limit, with full jitter.
func Exponential(initial time.Duration, multiplier float64, limit time.Duration) Backoff {
	return Backoff{Initial: initial, Multiplier: multiplier, Max: limit}
}

// Decorrelated pauses for a random time between initial and three times the
// previous pause, up to limit.
func Decorrelated(initial, limit time.Duration) Backoff {
	return Backoff{Kind: BackoffDecorrelated, Initial: initial, Max: limit}
}

// Validate reports an unknown kind, a negative duration, a multiplier below 1
// or not a number, a Max below Initial, and a Jitter out of range.
func (b Backoff) Validate() error {
	switch {
	case b.Kind > BackoffDecorrelated:
		return invalid(kindRetry, "Backoff.Kind", "is unknown")
	case b.Initial < 0:
		return invalid(kindRetry, "Backoff.Initial", "is negative")
	case b.Increment < 0:
		return invalid(kindRetry, "Backoff.Increment", "is negative")
	case b.Increment != 0 && b.Kind != BackoffLinear:
		return invalid(kindRetry, "Backoff.Increment", "has a meaning for a linear backoff only")
	case b.Max < 0:
		return invalid(kindRetry, "Backoff.Max", "is negative")
	case b.Multiplier != 0 && b.Kind != BackoffExponential:
		return invalid(kindRetry, "Backoff.Multiplier", "has a meaning for an exponential backoff only")
	case b.Multiplier != 0 && !(b.Multiplier >= 1 && b.Multiplier <= maxMultiplier):
		return invalid(kindRetry, "Backoff.Multiplier", "must be between 1 and 1000")
	case b.Jitter < EqualJitter || b.Jitter > jitterWhole:
		return invalid(kindRetry, "Backoff.Jitter", "is out of range")
	}
	if d := b.WithDefaults(); d.Kind != BackoffFixed && d.Max < d.Initial {
		return invalid(kindRetry, "Backoff.Max", "is below Initial")
	}
	return nil
}

const maxMultiplier = 1000

// WithDefaults returns b with each zero field replaced by its default.
func (b Backoff) WithDefaults() Backoff {
	if b.Initial == 0 {
		b.Initial = DefaultInitialBackoff
	}
	if b.Max == 0 {
		b.Max = max(DefaultMaxBackoff, b.Initial)
	}
	if b.Multiplier == 0 && b.Kind == BackoffExponential {
		b.Multiplier = DefaultBackoffMultiplier
	}
	return b
}

// Delay returns the pause before retry n, which is 1 for the second attempt.
// previous is the pause before that one (used by BackoffDecorrelated only) and
// random a number in [0, 1) that the caller draws, so that Delay is pure. It is
// never negative, never overflows, and without jitter never falls as n grows.
func (b Backoff) Delay(n int, previous time.Duration, random float64) time.Duration {
	b = b.WithDefaults()
	n = max(n, 1)
	switch b.Kind {
	case BackoffFixed:
		return b.Jitter.apply(b.Initial, random)
	case BackoffLinear:
		return b.Jitter.apply(b.linear(n), random)
	case BackoffDecorrelated:
		high := clampDuration(3*float64(max(previous, b.Initial)), b.Max)
		return b.Initial + scale(high-b.Initial, random)
	default:
		grown := float64(b.Initial) * math.Pow(b.Multiplier, float64(n-1))
		return b.Jitter.apply(clampDuration(grown, b.Max), random)
	}
}

func (b Backoff) linear(n int) time.Duration {
	return clampDuration(float64(b.Initial)+float64(b.Increment)*float64(n-1), b.Max)
}

// String gives the text form, such as "exponential(initial=1s, max=10s)".
func (b Backoff) String() string {
	f := form{kind: b.Kind.String()}
	f.duration("initial", b.Initial)
	f.duration("increment", b.Increment)
	f.float("multiplier", b.Multiplier)
	f.duration("max", b.Max)
	if b.Jitter != FullJitter {
		f.text("jitter", b.Jitter.String())
	}
	return f.String()
}

// String returns the kind's name in the text form of policies.
func (k BackoffKind) String() string {
	switch k {
	case BackoffExponential:
		return "exponential"
	case BackoffFixed:
		return "fixed"
	case BackoffLinear:
		return "linear"
	case BackoffDecorrelated:
		return "decorrelated"
	default:
		return "unknown"
	}
}

// A Jitter spreads pauses, so that callers that failed together do not come
// back together. Values from 1 to 1000 are thousandths either way; make them
// with [PlusMinus].
type Jitter int16

// The named jitters. The zero value is FullJitter.
const (
	FullJitter  Jitter = 0  // anything between nothing and the whole pause
	NoJitter    Jitter = -1 // the pause itself
	EqualJitter Jitter = -2 // half the pause, plus anything up to the other half
)

// jitterWhole is PlusMinus(1): anything between nothing and twice the pause.
const jitterWhole Jitter = 1000

// PlusMinus spreads a pause by fraction either way: PlusMinus(0.25) turns 4 s
// into 3 s to 5 s. It is rounded to thousandths. A fraction outside (0, 1] or
// not a number gives a Jitter that Validate refuses.
func PlusMinus(fraction float64) Jitter {
	thousandths := math.Round(fraction * 1000)
	if !(thousandths >= 1 && thousandths <= 1000) {
		return jitterWhole + 1
	}
	return Jitter(thousandths)
}

func (j Jitter) apply(d time.Duration, random float64) time.Duration {
	switch j {
	case FullJitter:
		return scale(d, random)
	case NoJitter:
		return d
	case EqualJitter:
		return d/2 + scale(d-d/2, random)
	default:
		spread := float64(j) / 1000 * (2*random - 1)
		return clampDuration(float64(d)*(1+spread), math.MaxInt64)
	}
}

// String returns the jitter's name in the text form of policies: "full",
// "none", "equal" or its fraction, such as "0.25".
func (j Jitter) String() string {
	switch j {
	case FullJitter:
		return "full"
	case NoJitter:
		return "none"
	case EqualJitter:
		return "equal"
	default:
		return strconv.FormatFloat(float64(j)/1000, 'g', -1, 64)
	}
}

func scale(d time.Duration, random float64) time.Duration {
	return clampDuration(float64(d)*random, d)
}

// clampDuration turns x into a duration in [0, limit]; conversion of a float
// beyond the range of int64 is not defined, so it compares first.
func clampDuration(x float64, limit time.Duration) time.Duration {
	switch {
	case !(x > 0):
		return 0
	case x >= float64(limit):
		return limit
	default:
		return time.Duration(x)
	}
}
