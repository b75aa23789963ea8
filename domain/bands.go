package domain

import "strconv"

// MaxBands is how many bands one limit can have.
const MaxBands = 4

// Bands are the further bands of a limit, such as the 1,000 an hour beside 10 a
// second: a call is admitted when all of them have its tokens, and then takes
// them from each. They stand in order, the first free places after them zero;
// each has a slower rate and a larger burst than the one before it, for else one
// of the two would say nothing. The zero Bands are none.
type Bands [MaxBands - 1]Limit

// WithDefaults returns b with a Burst of Tokens where a band has none.
func (b Bands) WithDefaults() Bands {
	for i := range b {
		b[i] = b[i].WithDefaults()
	}
	return b
}

// validate reports what is wrong with bands behind the first one of a policy.
func (b Bands) validate(policy string, first Limit) error {
	before, ended := first.WithDefaults(), false
	for i, band := range b {
		field := "Also[" + strconv.Itoa(i) + "]"
		if band == (Limit{}) {
			ended = true
			continue
		}
		if ended {
			return invalid(policy, field, "stands behind a free place")
		}
		if err := band.validate(policy, field); err != nil {
			return err
		}
		band = band.WithDefaults()
		if band.rate() >= before.rate() || band.Burst <= before.Burst {
			return invalid(policy, field, "must have a slower rate and a larger burst than the band before: else one of them says nothing")
		}
		before = band
	}
	return nil
}

// rate is for comparing: numbers below 2^49 are exact, and rounding their
// quotient cannot turn the order of two around.
func (l Limit) rate() float64 { return float64(l.Tokens) / float64(l.Period) }
