// Package problems has everything that cannot be meant.
package problems

import (
	"context"

	hold "github.com/holdfast-go/holdfast/domain"
)

// Texts are policies that are none.
type Texts interface {
	//holdfast:resilient retyr(max_attempts=3)
	Kind(ctx context.Context) error
	//holdfast:resilient timeout(2s) > retry(max_atempts=3)
	Field(ctx context.Context) error
	//holdfast:resilient timeout(2 weeks)
	Value(ctx context.Context) error
	//holdfast:resilient circuit_breaker(name=ok, failure_ratio=1.5)
	Range(ctx context.Context) error
	//holdfast:resilient circuit_breaker(name=früh) > retry(max_atempts=3)
	Letters(ctx context.Context) error
	//holdfast:resilient
	Empty(ctx context.Context) error
	//holdfast:resilient(retry())
	Space(ctx context.Context) error
	//holdfast:resilient retry(max_retries=2)
	Deprecated(ctx context.Context) error
}

// Methods cannot run under a guard.
type Methods interface {
	//holdfast:resilient retry()
	NoContext(id string) error
	//holdfast:resilient retry()
	NoParameter() error
	//holdfast:resilient retry()
	NoError(ctx context.Context) string
	//holdfast:resilient retry()
	NoResult(ctx context.Context)
	//holdfast:resilient retry()
	LateContext(id string, ctx context.Context) error
	//holdfast:resilient retry()
	ErrorFirst(ctx context.Context) (error, string)
	//holdfast:resilient retry()
	Größe(ctx context.Context) error
}

// Keys are missing, unneeded or none.
type Keys interface {
	//holdfast:resilient rate_limit(1/s, keyed=true)
	Missing(ctx context.Context, tenant string) error
	//holdfast:resilient rate_limit(1/s)
	//holdfast:key tenant
	Unneeded(ctx context.Context, tenant string) error
	//holdfast:key tenant
	Alone(ctx context.Context, tenant string) error
	//holdfast:resilient circuit_breaker(keyed=true)
	//holdfast:key tennant
	Unknown(ctx context.Context, tenant string) error
	//holdfast:resilient circuit_breaker(keyed=true)
	//holdfast:key  tenant.ID
	NoField(ctx context.Context, tenant struct{ Name string }) error
	//holdfast:resilient circuit_breaker(keyed=true)
	//holdfast:key id
	NoString(ctx context.Context, id int) error
	//holdfast:resilient circuit_breaker(keyed=true)
	//holdfast:key a
	//holdfast:key b
	Two(ctx context.Context, a, b string) error
}

// Together shows what is wrong with several policies.
type Together interface {
	//holdfast:resilient circuit_breaker(name=one, failure_threshold=3)
	First(ctx context.Context) error
	//holdfast:resilient circuit_breaker(name=one, failure_threshold=4)
	Second(ctx context.Context) error
	//holdfast:resilient circuit_breaker(name=twice)
	//holdfast:resilient circuit_breaker(name=twice)
	Twice(ctx context.Context) error
	//holdfast:resilient circuit_breaker(name=lease, probe_lease=1s) > timeout(1m)
	Lease(ctx context.Context) error
}

// Older directives that cannot be read.
type Older interface {
	//holdfast:retry(max_attempts=3)
	Name(ctx context.Context) error
	//holdfast:retry(max_retries=three)
	Value(ctx context.Context) error
	//holdfast:retry max_retries=3
	Parentheses(ctx context.Context) error
	//holdfast:rate_limited(rps=1, rps=2)
	Twice(ctx context.Context) error
	//holdfast:rate_limited(rps=0)
	Zero(ctx context.Context) error
	//holdfast:circuit_breaker(name=)
	NoValue(ctx context.Context) error
	//holdfast:circuit_breaker(name="two words")
	Words(ctx context.Context) error
}

// Names of directives.
type Names interface {
	//holdfast:resilent retry()
	Misspelt(ctx context.Context) error
	// holdfast:resilient retry()
	Blank(ctx context.Context) error
	Behind(ctx context.Context) error //holdfast:resilient retry()

	//holdfast:resilient retry()

	Apart(ctx context.Context) error
}

//holdfast:resilient retry()
type OnAType interface {
	Do(ctx context.Context) error
}

//holdfast:retry(max_retries=3)
func charge(ctx context.Context) error { return ctx.Err() }

// Undefined has a type that does not exist.
type Undefined interface {
	//holdfast:resilient retry()
	Process(ctx context.Context, p Paiment) error
}

// Bound has its policies in structs.
type Bound interface {
	Fine(ctx context.Context) error
	Wrong(ctx context.Context) error
	//holdfast:resilient retry()
	Both(ctx context.Context) error
}

//holdfast:policies Bound
type BoundPolicies struct {
	Fine    struct{} `holdfast:"retry()"`
	Wrong   struct{} `json:"x" holdfast:"retry(max_atempts=3)"`
	Both    struct{} `holdfast:"retry()"`
	Nothing struct{} `holdfast:"retry()"`
	NoTag   struct{}
	A, B    struct{} `holdfast:"retry()"`
}

//holdfast:policies Bound
type Again struct{}

//holdfast:policies Bond
type Misnamed struct{}

//holdfast:policies Bound
type NoStruct int

var _ hold.Policy
