package domain_test

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
)

// checkRefusal holds what a refusal promises: it matches ErrInvalidPolicy, and
// names a field that the policy has, with what is wrong with it.
func checkRefusal(t *testing.T, p hold.Policy, err error) {
	t.Helper()
	refused, ok := errors.AsType[*hold.PolicyError](err)
	if !ok || !errors.Is(err, hold.ErrInvalidPolicy) || refused.Policy == "" || refused.Reason == "" {
		t.Fatalf("%v: %#v; want a *PolicyError that says what is wrong", p, err)
	}
	at := reflect.TypeOf(p)
	for name := range strings.SplitSeq(refused.Field, ".") {
		field, found := at.FieldByName(name)
		if !found {
			t.Fatalf("%v: the error names the field %q, which it has not", p, refused.Field)
		}
		at = field.Type
	}
}

// FuzzRetry: any numbers are refused, or give pauses that are never negative,
// never above their bound, and without jitter never shorter than the one before.
func FuzzRetry(f *testing.F) {
	const most = math.MaxInt64
	for _, seed := range []struct {
		attempts                     int
		elapsed, initial, inc, limit int64
		multiplier                   float64
		kind                         uint8
		jitter                       int16
		random                       float64
	}{
		{},
		{kind: 1, jitter: -1},
		{kind: 2, initial: 1, inc: most, limit: most, jitter: -1},
		{kind: 3, initial: most, limit: most, random: 0.999},
		{attempts: -1, elapsed: most, initial: most, limit: most, multiplier: 1000, jitter: 1000, random: 0.999},
		{initial: 1 << 62, limit: most, multiplier: 1 + 1e-15, jitter: -1},
		{initial: 3, limit: most, multiplier: 1.0000001, jitter: -1},
		{multiplier: math.NaN()},
		{multiplier: math.Inf(1)},
		{multiplier: 5e-324},
		{attempts: -2},
		{elapsed: math.MinInt64},
		{kind: 4},
		{kind: 255, jitter: math.MinInt16},
		{jitter: math.MaxInt16},
		{kind: 2, inc: -1},
		{initial: 2, limit: 1},
	} {
		f.Add(seed.attempts, seed.elapsed, seed.initial, seed.inc, seed.limit, seed.multiplier, seed.kind, seed.jitter, seed.random)
	}
	f.Fuzz(func(t *testing.T, attempts int, elapsed, initial, increment, limit int64, multiplier float64, kind uint8, jitter int16, random float64) {
		p := hold.Retry{MaxAttempts: attempts, MaxElapsed: time.Duration(elapsed), Backoff: hold.Backoff{
			Kind: hold.BackoffKind(kind), Initial: time.Duration(initial), Increment: time.Duration(increment),
			Max: time.Duration(limit), Multiplier: multiplier, Jitter: hold.Jitter(jitter),
		}}
		if err := p.Validate(); err != nil {
			checkRefusal(t, p, err)
			return
		}
		d := p.WithDefaults()
		if d.MaxAttempts == 0 || d.Backoff.Initial <= 0 || d.Backoff.Max <= 0 || d.Validate() != nil || d.WithDefaults() != d || p.String() == "" {
			t.Fatalf("the defaults of %v are %+v", p, d)
		}
		if !(random >= 0 && random < 1) {
			random = 0.5
		}
		checkPauses(t, d.Backoff, random)
	})
}

// checkPauses looks at some pauses of a backoff, the far ones included.
func checkPauses(t *testing.T, b hold.Backoff, random float64) {
	t.Helper()
	longest := b.Max
	if b.Kind == hold.BackoffFixed {
		longest = b.Initial
	}
	if b.Jitter > 0 && b.Kind != hold.BackoffDecorrelated { // up to twice the pause, where there is room
		longest = max(2*longest, 0)
		if longest < b.Max {
			longest = math.MaxInt64
		}
	}
	var last time.Duration
	for _, n := range []int{math.MinInt, -1, 0, 1, 2, 3, 4, 5, 10, 11, 100, 101, 10_000, math.MaxInt - 1, math.MaxInt} {
		pause := b.Delay(n, last, random)
		if pause < 0 || pause > longest {
			t.Fatalf("%v: pause %d is %v; want at most %v", b, n, pause, longest)
		}
		if b.Kind == hold.BackoffDecorrelated && pause < b.Initial {
			t.Fatalf("%v: pause %d is %v, shorter than the first", b, n, pause)
		}
		if b.Kind != hold.BackoffDecorrelated && b.Jitter == hold.NoJitter && pause < last {
			t.Fatalf("%v: pause %d is %v, shorter than %v before it", b, n, pause, last)
		}
		last = pause
	}
}

// FuzzCombine builds nested policies of what the bytes say. Whatever they are,
// the order written is the order kept, and the first layer that is wrong is told.
func FuzzCombine(f *testing.F) {
	f.Add([]byte{0}, int64(1))
	f.Add([]byte{0, 1, 2, 3, 4}, int64(time.Second))
	f.Add([]byte{5, 1}, int64(time.Second))
	f.Add([]byte{1, 0x81, 2, 0x83, 5}, int64(time.Second))
	f.Add([]byte{4, 4, 4}, int64(-1))
	f.Add([]byte{6, 2}, int64(math.MinInt64))
	f.Fuzz(func(t *testing.T, program []byte, number int64) {
		if len(program) == 0 || len(program) > 100 {
			t.Skip("nothing to combine, or more than anybody would")
		}
		layers := make([]hold.Policy, len(program))
		for i, b := range program {
			layers[i] = layerOf(b, number)
		}
		p := nest(program, layers)
		got := hold.Layers(p)
		if len(got) != len(layers) {
			t.Fatalf("%d layers of %v are %v", len(layers), layers, got)
		}
		for i := range got {
			if got[i] != layers[i] {
				t.Fatalf("layer %d of %v is %v; want %v", i, p, got[i], layers[i])
			}
		}
		checkFirstRefusal(t, p, layers)
		_ = map[hold.Policy]bool{p: true} // must be comparable
	})
}

// layerOf is a policy with a number in it, that may be wrong.
func layerOf(b byte, n int64) hold.Policy {
	switch b & 0x7f {
	case 0:
		return hold.None{}
	case 1:
		return hold.Retry{MaxElapsed: time.Duration(n)}
	case 2:
		return hold.CircuitBreaker{Window: time.Duration(n)}
	case 3:
		return hold.RateLimit{Limit: hold.Limit{Tokens: n, Period: time.Second}}
	case 4:
		return hold.Timeout{Duration: time.Duration(n)}
	case 5:
		return nil
	default:
		return hold.Timeout{Duration: time.Second}
	}
}

// nest combines layers; a byte above 0x80 begins a Combine of its own.
func nest(program []byte, layers []hold.Policy) hold.Policy {
	for i := len(program) - 1; i > 0; i-- {
		if program[i] > 0x80 {
			return hold.Combine(layers[0], append(layers[1:i:i], nest(program[i:], layers[i:]))...)
		}
	}
	return hold.Combine(layers[0], layers[1:]...)
}

func checkFirstRefusal(t *testing.T, p hold.Policy, layers []hold.Policy) {
	t.Helper()
	if p == nil {
		return // a nil policy alone is refused where it is used
	}
	err := p.Validate()
	for _, layer := range layers {
		if layer == nil {
			if refused, ok := errors.AsType[*hold.PolicyError](err); !ok || refused.Field != "policy" {
				t.Fatalf("%v: %v; want that a layer is nil", p, err)
			}
			return
		}
		if want := layer.Validate(); want != nil {
			checkRefusal(t, layer, err)
			if err.Error() != want.Error() {
				t.Fatalf("%v: %v; want %v", p, err, want)
			}
			return
		}
	}
	if err != nil || p.String() == "" {
		t.Fatalf("%v: %v; want it valid", p, err)
	}
}
