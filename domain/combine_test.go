package domain_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	hold "github.com/holdfast-go/holdfast/domain"
)

// policy draws one of the policies, not always a valid one.
func policy() *rapid.Generator[hold.Policy] {
	return rapid.Custom(func(t *rapid.T) hold.Policy {
		n := rapid.IntRange(0, 3).Draw(t, "n")
		switch rapid.IntRange(0, 5).Draw(t, "kind") {
		case 0:
			return hold.None{}
		case 1:
			return hold.Retry{MaxAttempts: n, Backoff: hold.Fixed(time.Duration(n) * time.Second)}
		case 2:
			return hold.Timeout{Duration: time.Duration(n) * time.Second}
		case 3:
			return hold.CircuitBreaker{Name: "b", Probes: n}
		case 4:
			return hold.Exclusive{Name: "x", MaxHold: time.Duration(1-n) * time.Second}
		default:
			return hold.RateLimit{Name: "l", Limit: hold.PerSecond(int64(n))}
		}
	})
}

// nested draws policies combined at any depth, and the layers that they have.
func nested(t *rapid.T, depth int) (hold.Policy, []hold.Policy) {
	if depth == 0 || rapid.Bool().Draw(t, "leaf") {
		p := policy().Draw(t, "policy")
		return p, []hold.Policy{p}
	}
	var parts, layers []hold.Policy
	for range rapid.IntRange(1, 4).Draw(t, "parts") {
		p, inside := nested(t, depth-1)
		parts, layers = append(parts, p), append(layers, inside...)
	}
	return hold.Combine(parts[0], parts[1:]...), layers
}

// TestCombineKeepsAllInOrder: nothing is dropped, merged or reordered, however
// the policies are nested.
func TestCombineKeepsAllInOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, want := nested(t, 3)
		if got := hold.Layers(p); !slices.Equal(got, want) {
			t.Fatalf("Layers(%s) = %v; want %v", p, got, want)
		}
		var first error
		for _, layer := range want {
			if err := layer.Validate(); err != nil {
				first = err
				break
			}
		}
		if got := p.Validate(); (got == nil) != (first == nil) || got != nil && got.Error() != first.Error() {
			t.Fatalf("%s.Validate() = %v; want %v", p, got, first)
		}
	})
}

// TestCombinedPoliciesAreMapKeys: a policy is a value; built twice, it is equal.
func TestCombinedPoliciesAreMapKeys(t *testing.T) {
	t.Parallel()
	build := func(attempts int) hold.Policy {
		return hold.Combine(
			hold.Timeout{Duration: time.Second},
			hold.Combine(hold.Retry{MaxAttempts: attempts, Backoff: hold.Exponential(time.Second, 1.5, time.Minute)}, hold.None{}),
			hold.CircuitBreaker{Name: "b", FailureRatio: 0.5},
			hold.RateLimit{Name: "l", Limit: hold.PerMinute(90)},
		)
	}
	seen := map[hold.Policy]string{build(3): "three"}
	if got := seen[build(3)]; got != "three" {
		t.Errorf("the same policy built again finds %q", got)
	}
	if _, found := seen[build(4)]; found {
		t.Error("another policy finds the same entry")
	}
	if build(3) != build(3) || build(3) == build(4) {
		t.Error("== does not compare policies by value")
	}
}

func TestCombineOfOneIsThatOne(t *testing.T) {
	t.Parallel()
	if got := hold.Combine(hold.None{}); got != (hold.None{}) {
		t.Errorf("Combine(None{}) = %v", got)
	}
}

// TestNilIsInvalid: running without protection has to be written down.
func TestNilIsInvalid(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]hold.Policy{
		"outermost":   hold.Combine(nil, hold.Retry{}),
		"innermost":   hold.Combine(hold.Retry{}, nil),
		"in a nested": hold.Combine(hold.Retry{}, hold.Combine(hold.None{}, nil, hold.None{})),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantField(t, p.Validate(), "policy")
			if p.String() == "" {
				t.Error("a policy with a hole has no text")
			}
		})
	}
}
