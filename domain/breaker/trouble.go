package breaker

// A Trouble is of which kind the last call was that did not go well. It is for people to
// see, decides nothing, and has no error's text in it.
type Trouble uint8

// The kinds of trouble. The numbers are part of the protocol.
const (
	NoTrouble      Trouble = iota
	TroubleFailure         // the dependency failed
	TroubleSlow            // it answered, too late
	TroubleOwn             // the replica's own: a local failure
)

// String returns "none", "failure", "slow" or "local failure".
func (t Trouble) String() string {
	switch t {
	case NoTrouble:
		return "none"
	case TroubleFailure:
		return "failure"
	case TroubleSlow:
		return "slow"
	case TroubleOwn:
		return "local failure"
	default:
		return "unknown"
	}
}
