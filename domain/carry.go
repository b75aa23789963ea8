package domain

// A Carry says what becomes of the tokens in a bucket when the numbers of its limit
// change.
type Carry uint8

// The ways to carry tokens over. The zero value is CarryProportion. None of them
// forgives a debt but CarryReset.
const (
	// CarryProportion keeps the share of the burst: a bucket that is half full
	// stays half full.
	CarryProportion Carry = iota
	// CarryTokens keeps the number of whole tokens, up to the new burst.
	CarryTokens
	// CarryReset begins with a full bucket. Each change is then worth a burst.
	CarryReset
)

// String returns the way's name in the text form of policies.
func (c Carry) String() string {
	switch c {
	case CarryProportion:
		return "proportion"
	case CarryTokens:
		return "tokens"
	case CarryReset:
		return "reset"
	default:
		return "unknown"
	}
}
