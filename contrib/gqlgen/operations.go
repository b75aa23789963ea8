package holdfastgqlgen

import (
	"context"
	"errors"

	"github.com/99designs/gqlgen/complexity"
	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler/extension"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/holdfast-go/holdfast/orchestrator"
)

// A Config is what [Operations] needs beside its guard. The zero Config is valid.
type Config struct {
	// Charged names the limit of the guard that takes the cost of an operation; its others
	// then take 1. Defaults to all of them.
	Charged string
	// Complexity are options for calculating it. They are not used where gqlgen's own
	// ComplexityLimit stands before this extension, since that has calculated it already.
	Complexity []complexity.Option
	// Cost is how many tokens an operation takes. Defaults to its complexity, and at
	// least 1.
	Cost func(ctx context.Context, op *graphql.OperationContext, complexity int) int64
	// GuardFor gives single operations a guard of their own, or none: with a nil guard the
	// operation runs bare. false means the guard of the extension. Defaults to that for
	// all.
	GuardFor func(op *graphql.OperationContext) (*orchestrator.Guard, bool)
	// Key says for whom an operation is (a tenant, a user), for limits and breakers that
	// are Keyed; "" is a missing key. Defaults to nobody, and then they let none pass.
	Key func(ctx context.Context, op *graphql.OperationContext) string
}

// Operations runs whole operations under g: once the operation is parsed and valid, and
// before anything is resolved. Its limits take what the operation costs, by its complexity.
//
//	srv.Use(holdfastgqlgen.Operations(guard, holdfastgqlgen.Config{Key: tenant}))
//
// An operation is one call of the guard, and never run again: it ends with its response, with
// the last one where parts of it are deferred, and a subscription when the client or the
// server ends it. Its errors are the call's; see the package documentation.
func Operations(g *orchestrator.Guard, c Config) graphql.HandlerExtension {
	return &operations{guard: g, config: c}
}

type operations struct {
	guard  *orchestrator.Guard
	config Config
	schema graphql.ExecutableSchema
}

var _ graphql.OperationInterceptor = (*operations)(nil)

// ExtensionName is what gqlgen calls it.
func (*operations) ExtensionName() string { return "HoldfastOperations" }

// Validate is called by gqlgen when a server begins to use the extension.
func (o *operations) Validate(schema graphql.ExecutableSchema) error {
	if o.guard == nil && o.config.GuardFor == nil {
		return errors.New("holdfastgqlgen: Operations was given no guard")
	}
	o.schema = schema
	return nil
}

// InterceptOperation is called by gqlgen for each operation.
func (o *operations) InterceptOperation(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	op := graphql.GetOperationContext(ctx)
	guard, ok := o.guardOf(op)
	if !ok {
		return next(ctx)
	}
	stream, err := orchestrator.Open(ctx, guard, o.calls(ctx, op)...)
	if err != nil {
		return graphql.OneShot(refused(ctx, err))
	}
	return begin(ctx, stream, op, next)
}

func (o *operations) guardOf(op *graphql.OperationContext) (*orchestrator.Guard, bool) {
	if o.config.GuardFor == nil {
		return o.guard, true
	}
	own, ok := o.config.GuardFor(op)
	if !ok {
		return o.guard, true
	}
	return own, own != nil
}

func (o *operations) calls(ctx context.Context, op *graphql.OperationContext) []orchestrator.Call {
	cost := o.cost(ctx, op)
	calls := []orchestrator.Call{orchestrator.Cost(cost)}
	if o.config.Charged != "" {
		calls[0] = orchestrator.CostOf(o.config.Charged, cost)
	}
	if o.config.Key != nil {
		calls = append(calls, orchestrator.Key(o.config.Key(ctx, op)))
	}
	return calls
}

func (o *operations) cost(ctx context.Context, op *graphql.OperationContext) int64 {
	calculated := o.complexity(ctx, op)
	if o.config.Cost != nil {
		return o.config.Cost(ctx, op, calculated)
	}
	return int64(max(calculated, 1))
}

func (o *operations) complexity(ctx context.Context, op *graphql.OperationContext) int {
	if known := extension.GetComplexityStats(ctx); known != nil {
		return known.Complexity
	}
	return complexity.Calculate(ctx, o.schema, op.Operation, op.Variables, o.config.Complexity...)
}

// refused is the response to an operation that the guard did not let pass.
func refused(ctx context.Context, err error) *graphql.Response {
	told, ok := ErrorOf(err)
	if !ok { // the caller has gone, or the guard cannot decide
		told = coded(err, CodeInternal, "the guard cannot decide")
		if end := ctx.Err(); end != nil {
			told.Message = end.Error()
		}
	}
	noticeRefusal(ctx, err)
	return &graphql.Response{Errors: gqlerror.List{told}}
}
