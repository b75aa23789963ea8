package policy

import (
	"errors"

	"github.com/holdfast-go/holdfast/domain"
)

// ReadText reads a file that holds one policy as text, as [Check] does. Its error and its
// deprecations have lines and columns.
func ReadText(data []byte) (domain.Policy, []Deprecation, error) {
	if err := CheckFile(data); err != nil {
		return nil, nil, err
	}
	in := newPlaces(data)
	p, old, err := Check(string(data))
	if wrong, ok := errors.AsType[*SyntaxError](err); ok {
		wrong.Position = in.ofColumn(wrong.Column)
	}
	for i := range old {
		old[i].Position = in.ofColumn(old[i].Column)
	}
	return p, old, err
}
