package holdfast_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
)

// A limit for each tenant of an HTTP API, shared by all replicas of it: the key
// comes with the call, and a refusal says when to come back.
func Example_limitPerTenant() {
	orch, err := orchestrator.New(memory.New(memory.Options{}).Stores(), orchestrator.Config{})
	if err != nil {
		panic(err)
	}
	defer func() { _ = orch.Close(context.Background()) }()

	guard, err := orch.Guard("api", hold.RateLimit{Keyed: true, Limit: hold.PerMinute(60).WithBurst(2)})
	if err != nil {
		panic(err)
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := orchestrator.Run(r.Context(), guard, func(context.Context) error {
			_, err := fmt.Fprint(w, "hello")
			return err
		}, orchestrator.Key(r.Header.Get("Tenant")))
		if limited, ok := errors.AsType[*hold.RateLimitedError](err); ok {
			w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(limited.RetryAfter.Seconds()))))
			w.WriteHeader(http.StatusTooManyRequests)
		}
	})

	for _, tenant := range []string{"acme", "acme", "acme", "globex"} {
		request := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/", http.NoBody)
		request.Header.Set("Tenant", tenant)
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, request)
		fmt.Printf("%s: %d, Retry-After %q\n", tenant, answer.Code, answer.Header().Get("Retry-After"))
	}
	// Output:
	// acme: 200, Retry-After ""
	// acme: 200, Retry-After ""
	// acme: 429, Retry-After "1"
	// globex: 200, Retry-After ""
}
