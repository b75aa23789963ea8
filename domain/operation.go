package domain

import "context"

// An Operation carries the policy that it needs along with the work itself, for
// domains that prefer an object to a function. Execute may run several times.
type Operation[T any] interface {
	// ResiliencePolicy says what the operation needs; it must be valid and its
	// breakers and limits named.
	ResiliencePolicy() Policy
	// Execute does the work once. It should honour ctx.
	Execute(ctx context.Context) (T, error)
}

// An Idempotent operation says whether its Execute may run several times at once: only
// then a [Hedge] in its policy does anything.
type Idempotent interface {
	Idempotent() bool
}
