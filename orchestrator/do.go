package orchestrator

import (
	"context"

	"github.com/holdfast-go/holdfast/domain"
)

// Do runs fn under g and returns what fn returned the last time it ran, or the
// zero value where the last attempt was refused. fn runs on the caller's
// goroutine, with nothing locked; it may run several times, one after another,
// and should honour the context that it is given. See the package
// documentation for the errors.
//
// A panic of fn, or its runtime.Goexit, counts as a failure, releases
// everything and passes through as it was.
func Do[T any](ctx context.Context, g *Guard, fn func(context.Context) (T, error), call ...Call) (T, error) {
	// Generic code is compiled once per T: all that does not need T is in walk.
	var value, none T
	if g == nil {
		return none, misuse("Guard", "is nil")
	}
	if g.bare {
		return fn(ctx)
	}
	var w walk
	defer w.release()
	for ok := w.start(ctx, g.plan.Load(), call); ok && w.next(); { //nolint:contextcheck // the walk has it
		value, w.err = fn(w.ctx) //nolint:contextcheck // ctx, and the deadlines set on the way
	}
	w.finish() //nolint:contextcheck // the walk has it
	if !w.reached {
		return none, w.err
	}
	return value, w.err
}

// Run is [Do] for functions that return only an error.
func Run(ctx context.Context, g *Guard, fn func(context.Context) error, call ...Call) error {
	_, err := Do(ctx, g, func(ctx context.Context) (struct{}, error) { return struct{}{}, fn(ctx) }, call...)
	return err
}

// ExecuteWithPolicy runs fn under a policy that the code carries along, without
// a guard. Its breakers and limits must be named, since there is no guard to
// take a name from. A policy is compiled when it is first seen.
func ExecuteWithPolicy[T any](
	ctx context.Context, o *Orchestrator, p domain.Policy, fn func(context.Context) (T, error), call ...Call,
) (T, error) {
	g, err := o.guardFor(p)
	if err != nil {
		var none T
		return none, err
	}
	return Do(ctx, g, fn, call...)
}

// Execute runs an operation under the policy that it declares, as
// [ExecuteWithPolicy] does; one that says that it is [domain.Idempotent] as
// [DoIdempotent] does.
func Execute[T any](ctx context.Context, o *Orchestrator, op domain.Operation[T], call ...Call) (T, error) {
	g, err := o.guardFor(op.ResiliencePolicy())
	if err != nil {
		var none T
		return none, err
	}
	if says, ok := op.(domain.Idempotent); ok && says.Idempotent() {
		return DoIdempotent(ctx, g, op.Execute, call...)
	}
	return Do(ctx, g, op.Execute, call...)
}
