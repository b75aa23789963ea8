// Package bucket is the arithmetic of a limit: pure rules on a bucket's state,
// with the time as an argument. It is the twin of scripts/lua/bucket_take.lua;
// both give the same answers to the last credit, and the conformance suite of
// store/storetest holds them together.
//
// A bucket holds integer credits in each band of its limit. With tokens/period
// in lowest terms, each elapsed µs earns Earn credits and one token is worth
// Worth, so nothing is ever rounded. The algorithm is the token bucket of
// J. Turner, "New directions in communications", 1986.
package bucket

import "github.com/holdfast-go/holdfast/domain"

// A Rule is a limit's numbers, compiled. Stored beside a bucket it is a claim:
// whose numbers decide. Rules are compared with ==.
type Rule struct {
	Version int64
	// Bands are those of the limit, the fastest and smallest first; behind them
	// zero ones.
	Bands [domain.MaxBands]Band
}

// Compile returns the rule of a valid policy; else what its Validate says.
func Compile(r domain.RateLimit) (Rule, error) {
	if err := r.Validate(); err != nil {
		return Rule{}, err
	}
	r = r.WithDefaults()
	rule := Rule{Version: r.Version}
	rule.Bands[0] = compileBand(r.Limit)
	for i, l := range r.Also {
		if l != (domain.Limit{}) {
			rule.Bands[i+1] = compileBand(l)
		}
	}
	return rule, nil
}

// Count is the number of bands.
func (r *Rule) Count() int {
	n := 0
	for n < len(r.Bands) && r.Bands[n].Earn > 0 {
		n++
	}
	return n
}

// Burst is the highest cost that can be granted: the tokens in the smallest full
// band.
func (r *Rule) Burst() int64 { return r.Bands[0].Burst() }

// Capacity is the number of tokens in the largest full band.
func (r *Rule) Capacity() int64 { return r.Bands[r.Count()-1].Burst() }

// full is what a full bucket holds.
func (r *Rule) full() (credits [domain.MaxBands]int64) {
	for i := range r.Bands {
		credits[i] = r.Bands[i].Full
	}
	return credits
}

// better reports whether r wins over the stored rule at once: by a higher
// version, and at equal versions by stricter numbers in the first band that
// differs. It is a strict total order, so that replicas which disagree settle on
// one rule.
func (r *Rule) better(stored *Rule) bool {
	if r.Version != stored.Version {
		return r.Version > stored.Version
	}
	for i := range r.Bands {
		if r.Bands[i] != stored.Bands[i] {
			return r.Bands[i].stricter(stored.Bands[i])
		}
	}
	return false
}

// carry is what credits under the rule from are under the rule r. A band goes on
// from the one that had the same rate; those for which there is none go on from
// the others in their order; further ones begin full.
func (r *Rule) carry(how domain.Carry, from *Rule, credits [domain.MaxBands]int64) [domain.MaxBands]int64 {
	carried, heirs := r.full(), r.heirs(from)
	for i, heir := range heirs {
		if heir >= 0 {
			carried[heir] = r.Bands[heir].carry(how, from.Bands[i], credits[i])
		}
	}
	return carried
}

// heirs says which band of r goes on from each band of the rule from: -1 is none.
func (r *Rule) heirs(from *Rule) (heirs [domain.MaxBands]int) {
	var taken [domain.MaxBands]bool
	for i := range heirs {
		heirs[i] = -1
		for j := range r.Count() {
			if from.Bands[i].sameRate(r.Bands[j]) {
				heirs[i], taken[j] = j, true
			}
		}
	}
	for i := range from.Count() {
		for j := range r.Count() {
			if heirs[i] < 0 && !taken[j] {
				heirs[i], taken[j] = j, true
			}
		}
	}
	return heirs
}
