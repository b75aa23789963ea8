// Package domain has all that can get in the way of a generator.
package domain

import (
	"context"
	"fmt"
	"io"

	hold "github.com/holdfast-go/holdfast/domain"

	"github.com/holdfast-go/holdfast/cmd/holdfastgen/testdata/tricky/domain/orchestrator"
	tricky "github.com/holdfast-go/holdfast/cmd/holdfastgen/testdata/tricky/v2"
)

// Ctx is a context under another name, and ID a text.
type (
	Ctx = context.Context
	ID  string
)

// Generic is an alias with a type of its own.
type Generic[T any] = map[ID]T

// Number is a constraint, and no interface to guard.
type Number interface{ ~int | ~float64 }

// Names are in each other's way.
type Names interface {
	//holdfast:resilient timeout(1s)
	Shadow(context, domain Ctx, hold hold.Policy, time, error, string, any string, nil, g, got, results, err, r0 int) (ID, ID, error)
	//holdfast:resilient timeout(1s)
	Packages(ctx context.Context, orchestrator orchestrator.Conductor, v2 tricky.Thing, _ tricky.Thing, _ int) (tricky.Thing, error)
	//holdfast:resilient timeout(1s) > rate_limit(5/s, keyed=true)
	//holdfast:key nested.Inner.Key
	Nested(c Ctx, nested *struct {
		Inner struct{ Key ID }
	}) (struct{ A, B int }, error)
	//holdfast:resilient hedge(1s)
	Two(ctx Ctx, Two ...func(Two ...int) (a, b int)) (<-chan chan<- int, chan (<-chan int), error)
	//holdfast:resilient none
	Inner(ctx Ctx) error
	//holdfast:resilient none
	Type(ctx Ctx, f func(context.Context) (Generic[[3]byte], error), i interface {
		fmt.Stringer
		Do(int)
	}) (err error)
	Range(ctx int, more ...interface{})
	fmt.Stringer
	io.Closer
	interface {
		//holdfast:resilient none
		Embedded(ctx Ctx) error
	}
}

// Parametric has parameters of every kind.
type Parametric[T Number, S ~[]T, M interface {
	~map[string]T
	fmt.Stringer
}] interface {
	//holdfast:resilient retry()
	Sum(ctx context.Context, all S, by M) (T, error)
	Map(func(T) S) M
}

// Instance embeds one of them.
type Instance interface {
	Parametric[int, []int, Strings]
}

// Strings is what Parametric asks for.
type Strings map[string]int

func (Strings) String() string { return "" }

// Blank has parameters that are not used.
type Blank[_, _ any] interface {
	//holdfast:resilient retry()
	Do(ctx context.Context) error
}
