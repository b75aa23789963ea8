package domain

import "time"

// DefaultHedgeRatio is the Ratio of a Hedge's Budget that does not say.
const DefaultHedgeRatio = 0.1

// Hedge starts an operation again while it is still running, when it takes longer
// than most: the first good answer wins, and the others are cancelled. It is for
// operations that may run several times at once, and only for calls that say so;
// others pass through it as if it were not there.
//
// Each try runs everything further in by itself: it takes tokens, asks breakers and
// has its own timeouts. When all tries fail, the error is that of the first one. A
// call returns when its tries have: the function should honour its context.
type Hedge struct {
	// Delay is how long a try runs before the next is started: about what 95 of 100
	// calls take. Required; must be positive.
	Delay time.Duration
	// MaxHedges is how many further tries one call may start. Defaults to 1.
	MaxHedges int
	// Budget bounds the hedges of the whole fleet by its calls, together with the
	// retries of policies that give the same name: one without numbers takes those
	// that a layer beside it gives for that name. Defaults to a tenth of the calls.
	Budget RetryBudget
}

// Validate reports a Delay that is not positive, a negative MaxHedges, and a Budget
// out of range.
func (h Hedge) Validate() error {
	switch {
	case h.Delay <= 0:
		return invalid(kindHedge, "Delay", "must be positive")
	case h.MaxHedges < 0:
		return invalid(kindHedge, "MaxHedges", "is negative")
	}
	return h.WithDefaults().Budget.validate(kindHedge)
}

// WithDefaults returns h with each zero field replaced by its default.
func (h Hedge) WithDefaults() Hedge {
	if h.MaxHedges == 0 {
		h.MaxHedges = 1
	}
	if h.Budget.Unlimited() {
		h.Budget.Ratio = DefaultHedgeRatio
	}
	return h
}

// String gives the text form, such as "hedge(50ms, max_hedges=2)".
func (h Hedge) String() string {
	f := form{kind: kindHedge}
	f.bare(durationText(h.Delay))
	f.int("max_hedges", int64(h.MaxHedges))
	f.text("budget", h.Budget.String())
	return f.String()
}

func (Hedge) policy() {}

const kindHedge = "hedge"
