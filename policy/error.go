package policy

import (
	"fmt"
	"strings"

	"github.com/holdfast-go/holdfast/domain"
)

// A SyntaxError says where a text is no policy, and what was expected there. It matches
// [domain.ErrInvalidPolicy], and the [*domain.PolicyError] where the text can be read and
// the policy cannot be meant.
type SyntaxError struct {
	Column   int    // where, in characters; 1 is the first
	Problem  string // such as `"retyr" is no kind of policy`
	Expected string // what would be right there; "" when that does not help
	Nearest  string // a name that may have been meant; "" when none is near
	Err      error  // why the policy cannot be meant; nil when the text is no policy
}

func (e *SyntaxError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "column %d: %s", e.Column, e.Problem)
	if e.Expected != "" {
		b.WriteString("; expected " + e.Expected)
	}
	if e.Nearest != "" {
		b.WriteString("; did you mean " + e.Nearest + "?")
	}
	return b.String()
}

// Is reports whether target is domain.ErrInvalidPolicy.
func (e *SyntaxError) Is(target error) bool { return target == domain.ErrInvalidPolicy }

// Unwrap returns why the policy cannot be meant.
func (e *SyntaxError) Unwrap() error { return e.Err }

// A Deprecation is a spelling that is read still, and should be replaced.
type Deprecation struct {
	Column int    // where, in characters; 1 is the first
	Old    string // as it stands there
	New    string // what means the same
}

func (d Deprecation) String() string {
	return fmt.Sprintf("column %d: %s is deprecated; write %s", d.Column, d.Old, d.New)
}
