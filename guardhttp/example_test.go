package guardhttp_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/guardhttp"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
)

// A limit for each API key, in the whole fleet: each client is told what it has left, and
// when to come back.
func ExampleServer() {
	ctx := context.Background()
	orch, err := orchestrator.New(memory.New(memory.Options{}).Stores(), orchestrator.Config{})
	if err != nil {
		panic(err)
	}
	defer func() { _ = orch.Close(ctx) }()
	guard, err := orch.Guard("orders", hold.RateLimit{Limit: hold.PerMinute(2), Keyed: true})
	if err != nil {
		panic(err)
	}
	server := guardhttp.Server{Guard: guard, Key: guardhttp.Header("X-Api-Key")}
	handler := server.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "your orders")
	}))

	for range 3 {
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/orders", http.NoBody)
		r.Header.Set("X-Api-Key", "ada")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Header()["Ratelimit"])
	}
	// Output:
	// 200 ["orders";r=1;t=30]
	// 200 ["orders";r=0;t=30]
	// 429 ["orders";r=0;t=30]
}

// A third party's API behind one breaker for the fleet, with retries of what may be
// repeated.
func ExampleTransport() {
	ctx := context.Background()
	orch, err := orchestrator.New(memory.New(memory.Options{}).Stores(), orchestrator.Config{})
	if err != nil {
		panic(err)
	}
	defer func() { _ = orch.Close(ctx) }()
	guard, err := orch.Guard("partner", hold.Combine(
		hold.Timeout{Duration: 5 * time.Second},
		hold.Retry{MaxAttempts: 3, Backoff: hold.Fixed(10 * time.Millisecond)},
		hold.CircuitBreaker{FailureThreshold: 5},
	))
	if err != nil {
		panic(err)
	}
	calls := 0
	partner := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if calls++; calls == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer partner.Close()

	client := http.Client{Transport: &guardhttp.Transport{Guard: guard}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, partner.URL, http.NoBody)
	if err != nil {
		panic(err)
	}
	response, err := client.Do(request)
	if err != nil {
		panic(err)
	}
	_ = response.Body.Close()
	fmt.Println(response.StatusCode, "after", calls, "calls")
	client.CloseIdleConnections()
	// Output: 200 after 2 calls
}
