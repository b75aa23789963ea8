// Package bucket is the arithmetic of a limit: pure rules on a bucket's state,
// with the time as an argument. It is the twin of scripts/lua/bucket_take.lua;
// both give the same answers to the last credit, and the conformance suite of
// store/storetest holds them together.
//
// A bucket holds integer credits. With tokens/period in lowest terms, each
// elapsed µs earns Earn credits and one token is worth Worth, so nothing is
// ever rounded. The algorithm is the token bucket of J. Turner, "New directions
// in communications", 1986.
package bucket

import "github.com/holdfast-go/holdfast/domain"

// A Rule is a limit's numbers, compiled. Stored beside a bucket it is a claim:
// whose numbers decide. Rules are compared with ==.
type Rule struct {
	Version int64
	Earn    int64 // credits that one µs earns
	Worth   int64 // credits of one token
	Full    int64 // credits of a full bucket, a multiple of Worth
}

// Compile returns the rule of a valid policy; else what its Validate says.
func Compile(r domain.RateLimit) (Rule, error) {
	if err := r.Validate(); err != nil {
		return Rule{}, err
	}
	limit := r.Limit.WithDefaults()
	earn, worth := limit.Reduced()
	return Rule{Version: r.Version, Earn: earn, Worth: worth, Full: limit.Burst * worth}, nil
}

// Burst is the number of tokens in a full bucket.
func (r Rule) Burst() int64 { return r.Full / r.Worth }

// TokenMicro is the time in which one token is earned, in µs, rounded up.
func (r Rule) TokenMicro() int64 { return ceilDiv(r.Worth, r.Earn) }

// better reports whether r wins over the stored rule at once: by a higher
// version, and at equal versions by stricter numbers. It is a strict total
// order, so that replicas which disagree settle on one rule.
func (r Rule) better(stored Rule) bool {
	switch {
	case r.Version != stored.Version:
		return r.Version > stored.Version
	case r.Worth/r.Earn != stored.Worth/stored.Earn:
		return r.Worth/r.Earn > stored.Worth/stored.Earn
	case r.Burst() != stored.Burst():
		return r.Burst() < stored.Burst()
	case r.Earn != stored.Earn:
		return r.Earn < stored.Earn
	default:
		return r.Worth > stored.Worth
	}
}

// rescale is what credits under the rule from are under the rule r: the same
// share of a full bucket, rounded down, so that a change never mints. A debt
// stays the same in tokens, rounded up, up to a full bucket. Every product stays
// below 2⁵³.
func (r Rule) rescale(from Rule, credits int64) int64 {
	if credits < 0 {
		owed := ceilDiv(-credits, from.Worth)
		return -min(owed, r.Burst()) * r.Worth
	}
	quantum := ceilDiv(from.Full, 1<<26)
	parts := ceilDiv(from.Full, quantum)
	held := credits / quantum
	return r.Full/parts*held + r.Full%parts*held/parts
}

func ceilDiv(a, b int64) int64 { return (a + b - 1) / b }
