// Package foreign has interfaces that no other package can implement.
package foreign

import "context"

type receipt struct{}

// Sealed has a method and types of its own.
type Sealed interface {
	//holdfast:resilient retry()
	Process(ctx context.Context) ([]*receipt, error)
	Each(f func(struct{ hidden int }))
	Any(i interface{ own() })
	sealed()
}

type hidden interface {
	//holdfast:resilient retry()
	Do(ctx context.Context) error
}

// Constraint is one.
type Constraint interface{ ~int }

// Plain declares nothing.
type Plain interface {
	Do(ctx context.Context) error
}
