package domain

import "math"

// A RetryBudget bounds retries by the calls that they repeat, for the whole fleet:
// when a dependency fails everywhere, each call retried twice would be three times
// the load. Each call earns Ratio of a retry, and PerSecond more are there each
// second. A retry that is not in the budget does not happen; first tries always do.
// The zero RetryBudget is no bound.
//
// Each replica spends what its own calls earned, at once and without the store: the
// sum of these is below Ratio of all calls, however many replicas there are. What
// its calls of the last ten seconds did not use up lapses, but for one retry.
// PerSecond is one limit that the fleet shares, with a burst of as many.
//
// It is part of a [Retry] or a [Hedge], and no policy by itself: as a layer it would
// have nothing to refuse.
type RetryBudget struct {
	// Name identifies the budget: policies that give the same one share it. 1 to 64
	// ASCII letters, digits, '.', '_' or '-'. Defaults to the guard's.
	Name string
	// Ratio is how many retries a call earns, from 0 to 1, in whole millionths.
	Ratio float64
	// PerSecond is how many retries a second the fleet may make besides. Must not be
	// negative, nor above a million.
	PerSecond int64
}

// MaxBudgetPerSecond is the highest PerSecond of a RetryBudget.
const MaxBudgetPerSecond = 1_000_000

// RatioUnit is one retry, in the units in which a call earns it.
const RatioUnit = 1_000_000

// Unlimited reports whether b is no bound.
func (b RetryBudget) Unlimited() bool { return b.Ratio == 0 && b.PerSecond == 0 }

// Earned is what one call earns, in parts of a RatioUnit.
func (b RetryBudget) Earned() int64 { return int64(math.Round(b.Ratio * RatioUnit)) }

// validate reports an ill-formed Name, a Ratio or a PerSecond out of range, and a
// Name without either: a budget that bounds nothing is not meant.
func (b RetryBudget) validate(policy string) error {
	if err := optionalNameIn(policy, "Budget.Name", b.Name); err != nil {
		return err
	}
	switch {
	case !(b.Ratio >= 0 && b.Ratio <= 1): // a NaN, too
		return invalid(policy, "Budget.Ratio", "must be between 0 and 1")
	case b.Ratio > 0 && b.Earned() == 0:
		return invalid(policy, "Budget.Ratio", "is below a millionth")
	case b.PerSecond < 0 || b.PerSecond > MaxBudgetPerSecond:
		return invalid(policy, "Budget.PerSecond", "must be between 0 and a million")
	case b.Name != "" && b.Unlimited():
		return invalid(policy, "Budget", "has a name and no bound: give it a Ratio or a PerSecond")
	}
	return nil
}

// String gives the text form, such as "budget(ratio=0.1, per_second=10)"; "" for no
// bound.
func (b RetryBudget) String() string {
	if b == (RetryBudget{}) {
		return ""
	}
	f := form{kind: "budget"}
	f.text("name", b.Name)
	f.float("ratio", b.Ratio)
	f.int("per_second", b.PerSecond)
	return f.String()
}
