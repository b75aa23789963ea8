package declare

import (
	"cmp"
	"errors"
	"go/token"
	"slices"
)

// A PositionError is something in a source file that is wrong, or deprecated.
type PositionError struct {
	At   token.Position
	Text string
}

func (p PositionError) Error() string { return p.At.String() + ": " + p.Text }

// Problems are several.
type Problems []PositionError

// Err is all of them, in the order in which they stand in the files; nil is none.
func (p Problems) Err() error {
	errs := make([]error, 0, len(p))
	for _, problem := range p.Sorted() {
		errs = append(errs, problem)
	}
	return errors.Join(errs...)
}

// Sorted are they in the order in which they stand in the files, each once.
func (p Problems) Sorted() Problems {
	sorted := slices.SortedFunc(slices.Values(p), func(a, b PositionError) int {
		return cmp.Or(
			cmp.Compare(a.At.Filename, b.At.Filename), cmp.Compare(a.At.Line, b.At.Line),
			cmp.Compare(a.At.Column, b.At.Column), cmp.Compare(a.Text, b.Text),
		)
	})
	return slices.Compact(sorted)
}
