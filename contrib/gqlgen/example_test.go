package holdfastgqlgen_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/99designs/gqlgen/graphql/handler/transport"

	holdfastgqlgen "github.com/holdfast-go/holdfast/contrib/gqlgen"
	"github.com/holdfast-go/holdfast/contrib/gqlgen/internal/shop"
	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
)

// Each tenant has five points of complexity an hour.
func ExampleOperations() {
	orch, err := orchestrator.New(memory.New(memory.Options{}).Stores(), orchestrator.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = orch.Close(context.Background()) }()
	guard, err := orch.Guard("graphql", hold.RateLimit{Name: "complexity", Keyed: true, Limit: hold.PerHour(5)})
	if err != nil {
		fmt.Println(err)
		return
	}

	server := handler.New(shop.NewExecutableSchema(shop.Config{Resolvers: &root{}}))
	server.AddTransport(transport.POST{})
	server.Use(holdfastgqlgen.Operations(guard, holdfastgqlgen.Config{
		Key: func(_ context.Context, op *graphql.OperationContext) string { return op.Headers.Get("X-Tenant") },
	}))
	api := holdfastgqlgen.Status(server)

	for range 2 {
		query := strings.NewReader(`{"query": "{ price(sku: \"a\") { sku cents } }"}`) // of complexity 3
		r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/query", query)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Tenant", "a")
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		fmt.Println(w.Code, "wait:", w.Header().Get("Retry-After") != "")
		fmt.Println(strings.Contains(w.Body.String(), `"code":"RATE_LIMITED"`))
	}
	// Output:
	// 200 wait: false
	// false
	// 429 wait: true
	// true
}
