package policy

import (
	"fmt"
	"strings"

	"github.com/holdfast-go/holdfast/domain"
)

// A Position is a place in a text or in a file.
type Position struct {
	Line   int // 1 is the first; 0 in a text that is in no file, whose columns go on through its lines
	Column int // in characters; 1 is the first
}

func (p Position) String() string {
	if p.Line == 0 {
		return fmt.Sprintf("column %d", p.Column)
	}
	return fmt.Sprintf("line %d, column %d", p.Line, p.Column)
}

// A SyntaxError says where a text or a file is no policy, and what was expected there. It matches
// [domain.ErrInvalidPolicy], and the [*domain.PolicyError] where the text can be read and
// the policy cannot be meant.
type SyntaxError struct {
	Position

	Problem  string // such as `"retyr" is no kind of policy`
	Expected string // what would be right there; "" when that does not help
	Nearest  string // a name that may have been meant; "" when none is near
	Err      error  // why the policy cannot be meant; nil when the text is no policy
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("%s: %s", e.Position, e.Message()) }

// Message is the text of the error without the place, for who has a way of his own to show
// that.
func (e *SyntaxError) Message() string {
	var b strings.Builder
	b.WriteString(e.Problem)
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
	Position

	Old string // as it stands there
	New string // what means the same
}

func (d Deprecation) String() string {
	return fmt.Sprintf("%s: %s is deprecated; write %s", d.Position, d.Old, d.New)
}
