package holdfastgqlgen_test

import (
	"context"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	holdfastgqlgen "github.com/holdfast-go/holdfast/contrib/gqlgen"
	"github.com/holdfast-go/holdfast/contrib/gqlgen/internal/shop"
	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
)

// plenty is a limit that a benchmark does not reach.
const plenty = 1_000_000_000

// BenchmarkOperations is what the extension adds to an operation that does nothing.
func BenchmarkOperations(b *testing.B) {
	g := newGuard(b, newOrchestrator(b), hold.Combine(hold.CircuitBreaker{}, hold.RateLimit{Limit: hold.PerSecond(plenty)}))
	e := holdfastgqlgen.Operations(g, holdfastgqlgen.Config{})
	if err := e.Validate(shop.NewExecutableSchema(shop.Config{Resolvers: &root{}})); err != nil {
		b.Fatal(err)
	}
	ctx := graphql.WithOperationContext(b.Context(), &graphql.OperationContext{Operation: &ast.OperationDefinition{Operation: ast.Query}})
	response := &graphql.Response{}
	next := func(context.Context) graphql.ResponseHandler {
		return func(context.Context) *graphql.Response { return response }
	}
	b.ReportAllocs()
	for b.Loop() {
		if got := e.(graphql.OperationInterceptor).InterceptOperation(ctx, next)(ctx); len(got.Errors) > 0 {
			b.Fatal(got.Errors)
		}
	}
}

// BenchmarkFields is what the extension adds to a field: one that it guards, and one that it
// does not.
func BenchmarkFields(b *testing.B) {
	g := newGuard(b, newOrchestrator(b), hold.Combine(hold.CircuitBreaker{}, hold.RateLimit{Limit: hold.PerSecond(plenty)}))
	e := holdfastgqlgen.Fields(map[string]*orchestrator.Guard{"Query.price": g}, holdfastgqlgen.FieldsConfig{})
	if err := e.Validate(shop.NewExecutableSchema(shop.Config{Resolvers: &root{}})); err != nil {
		b.Fatal(err)
	}
	next := func(context.Context) (any, error) { return nil, nil } //nolint:nilnil // a resolver may
	for _, name := range []string{"price", "search"} {
		b.Run(name, func(b *testing.B) {
			ctx := graphql.WithFieldContext(b.Context(), &graphql.FieldContext{
				Object: "Query", Field: graphql.CollectedField{Field: &ast.Field{Name: name}},
			})
			b.ReportAllocs()
			for b.Loop() {
				if _, err := e.(graphql.FieldInterceptor).InterceptField(ctx, next); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
