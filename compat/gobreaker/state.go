package gobreaker

import (
	"fmt"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
)

// A State is that of a breaker. A later one is stricter.
type State int

// The states of a breaker. The zero value is StateClosed.
const (
	StateClosed State = iota
	StateHalfOpen
	StateOpen
)

// String returns "closed", "half-open" or "open".
func (s State) String() string {
	switch s {
	case StateClosed:
		return "closed"
	case StateHalfOpen:
		return "half-open"
	case StateOpen:
		return "open"
	default:
		return fmt.Sprintf("unknown state: %d", int(s))
	}
}

// A view is what a call of the shared breaker would meet.
type view struct {
	state   State
	ordered bool // by an operator, who outranks what this replica thinks
}

// viewOf reads a breaker's status. An open one whose time is over turns half-open with
// its next call: here it is so already.
func viewOf(s fleet.Status) view {
	v := view{StateHalfOpen, s.Scope == domain.ScopeOperator}
	switch {
	case s.State == domain.StateClosed:
		v.state = StateClosed
	case s.State == domain.StateOpen && (s.RetryAfter > 0 || v.ordered):
		v.state = StateOpen
	}
	return v
}
