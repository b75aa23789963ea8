package domain_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	hold "github.com/holdfast-go/holdfast/domain"
)

func TestCase45Backoff(t *testing.T) {
	t.Parallel()
	with := func(b hold.Backoff, j hold.Jitter) hold.Backoff {
		b.Jitter = j
		return b
	}
	exact := hold.Exponential(time.Second, 2, 10*time.Second)
	exact.Jitter = hold.NoJitter
	never := with(hold.Exponential(math.MaxInt64, 1000, math.MaxInt64), hold.NoJitter)
	for _, tt := range []struct {
		name     string
		backoff  hold.Backoff
		n        int
		previous time.Duration
		random   float64
		want     time.Duration
	}{
		{"fixed is exact", hold.Fixed(time.Second), 7, 0, 0.9, time.Second},
		{"fixed above the default cap stays itself", hold.Fixed(time.Hour), 1, 0, 0, time.Hour},
		{"linear begins at its initial", hold.Linear(time.Second, 2*time.Second), 1, 0, 0, time.Second},
		{"and grows by its increment", hold.Linear(time.Second, 2*time.Second), 4, 0, 0, 7 * time.Second},
		{"up to the cap", hold.Linear(time.Second, 2*time.Second), 100, 0, 0, 30 * time.Second},
		{"exponential doubles", exact, 3, 0, 0, 4 * time.Second},
		{"up to the cap", exact, 5, 0, 0, 10 * time.Second},
		{"at an attempt beyond any power", exact, math.MaxInt, 0, 0, 10 * time.Second},
		{"without overflow at the longest duration", never, 2, 0, 0, math.MaxInt64},
		{"a count below one is the first", exact, -5, 0, 0, time.Second},
		{"the zero value waits 100 ms at most", hold.Backoff{}, 1, 0, 0.5, 50 * time.Millisecond},
		{"and 30 s at most in the end", hold.Backoff{}, 50, 0, 0.5, 15 * time.Second},
		{"full jitter may be nothing", hold.Exponential(time.Second, 2, time.Minute), 4, 0, 0, 0},
		{"equal jitter keeps half", with(exact, hold.EqualJitter), 3, 0, 0, 2 * time.Second},
		{"and adds up to the other half", with(exact, hold.EqualJitter), 3, 0, 0.5, 3 * time.Second},
		{"a fraction goes down", with(exact, hold.PlusMinus(0.25)), 3, 0, 0, 3 * time.Second},
		{"and up", with(exact, hold.PlusMinus(0.25)), 3, 0, 0.75, 4500 * time.Millisecond},
		{"decorrelated starts at its initial", hold.Decorrelated(time.Second, time.Minute), 1, 0, 0, time.Second},
		{"and reaches to three times the last", hold.Decorrelated(time.Second, time.Minute), 2, 5 * time.Second, 0.5, 8 * time.Second},
		{"up to the cap", hold.Decorrelated(time.Second, 2*time.Second), 9, time.Hour, 1, 2 * time.Second},
		{"a jitter beyond the longest duration is cut off", with(hold.Fixed(math.MaxInt64), hold.PlusMinus(1)), 1, 0, 0.99, math.MaxInt64},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if err := tt.backoff.Validate(); err != nil {
				t.Fatal(err)
			}
			if got := tt.backoff.Delay(tt.n, tt.previous, tt.random); got != tt.want {
				t.Errorf("%s.Delay(%d, %s, %g) = %s; want %s", tt.backoff, tt.n, tt.previous, tt.random, got, tt.want)
			}
		})
	}
}

// TestCase45BackoffStaysInBounds draws any valid backoff: each pause lies
// between the bounds of its jitter, and without jitter none is shorter than the
// one before.
func TestCase45BackoffStaysInBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := validBackoff().Draw(t, "backoff")
		if err := b.Validate(); err != nil {
			t.Fatalf("%#v: %v", b, err)
		}
		random := rapid.Float64Range(0, math.Nextafter(1, 0)).Draw(t, "random")
		n := rapid.OneOf(rapid.IntRange(1, 100), rapid.Int()).Draw(t, "n")
		previous := time.Duration(rapid.Int64().Draw(t, "previous"))
		d := b.Delay(n, previous, random)
		low, high := bounds(b, n)
		if d < low || d > high {
			t.Fatalf("%s.Delay(%d, %s, %g) = %s; want %s to %s", b, n, previous, random, d, low, high)
		}
	})
}

func TestCase45BackoffNeverFallsWithoutJitter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := validBackoff().Draw(t, "backoff")
		if b.Kind == hold.BackoffDecorrelated {
			return
		}
		b.Jitter = hold.NoJitter
		n := rapid.IntRange(1, 2000).Draw(t, "n")
		if now, next := b.Delay(n, 0, 0), b.Delay(n+1, 0, 0); next < now {
			t.Fatalf("%s: retry %d pauses for %s, retry %d for %s", b, n, now, n+1, next)
		}
	})
}

// bounds says how short and how long the pause before retry n may be.
func bounds(b hold.Backoff, n int) (low, high time.Duration) {
	d := b.WithDefaults()
	if d.Kind == hold.BackoffDecorrelated {
		return d.Initial, d.Max
	}
	jitter := b.Jitter
	b.Jitter = hold.NoJitter
	base := b.Delay(n, 0, 0)
	switch jitter {
	case hold.NoJitter:
		return base, base
	case hold.FullJitter:
		return 0, base
	case hold.EqualJitter:
		return base / 2, base
	default:
		// Floats carry 53 bits: at the longest durations they are off by 2^10 ns.
		fraction, slack := float64(jitter)/1000, base>>50+1
		low = time.Duration(float64(base)*(1-fraction)) - slack
		if upper := float64(base)*(1+fraction) + float64(slack); upper < math.MaxInt64 {
			return low, time.Duration(upper)
		}
		return low, math.MaxInt64
	}
}

func validBackoff() *rapid.Generator[hold.Backoff] {
	return rapid.Custom(func(t *rapid.T) hold.Backoff {
		duration := func(name string) time.Duration {
			longest := rapid.SampledFrom([]time.Duration{time.Millisecond, time.Minute, math.MaxInt64}).Draw(t, name+" up to")
			return time.Duration(rapid.Int64Range(1, int64(longest)).Draw(t, name))
		}
		b := hold.Backoff{
			Kind:    hold.BackoffKind(rapid.Uint8Max(uint8(hold.BackoffDecorrelated)).Draw(t, "kind")),
			Initial: duration("initial"),
			Jitter: rapid.OneOf(
				rapid.SampledFrom([]hold.Jitter{hold.FullJitter, hold.NoJitter, hold.EqualJitter}),
				rapid.Map(rapid.Float64Range(0.001, 1), hold.PlusMinus),
			).Draw(t, "jitter"),
		}
		b.Max = max(b.Initial, duration("max"))
		switch b.Kind {
		case hold.BackoffExponential:
			b.Multiplier = rapid.Float64Range(1, 1000).Draw(t, "multiplier")
		case hold.BackoffLinear:
			b.Increment = duration("increment")
		default:
		}
		return b
	})
}

func TestPlusMinusRefusesWhatIsNoFraction(t *testing.T) {
	t.Parallel()
	for _, fraction := range []float64{0, -0.5, 1.01, math.NaN(), math.Inf(1), math.Inf(-1), 1e-9} {
		b := hold.Fixed(time.Second)
		b.Jitter = hold.PlusMinus(fraction)
		wantField(t, b.Validate(), "Backoff.Jitter")
	}
}
