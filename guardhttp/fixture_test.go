package guardhttp_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/internal/leaktest"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
)

// join is one replica on a store of its own.
func join(tb testing.TB, c orchestrator.Config) *orchestrator.Orchestrator {
	tb.Helper()
	return joinOn(tb, memory.New(memory.Options{}).Stores(), c)
}

func joinOn(tb testing.TB, stores port.Stores, c orchestrator.Config) *orchestrator.Orchestrator {
	tb.Helper()
	leaktest.Check(tb)
	o, err := orchestrator.New(stores, c)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := o.Close(context.WithoutCancel(tb.Context())); err != nil {
			tb.Error(err)
		}
	})
	return o
}

// guard is p under the name "api" on a replica of its own.
func guard(tb testing.TB, p hold.Policy, opts ...orchestrator.GuardOption) *orchestrator.Guard {
	tb.Helper()
	return guardOn(tb, join(tb, orchestrator.Config{}), p, opts...)
}

func guardOn(tb testing.TB, o *orchestrator.Orchestrator, p hold.Policy, opts ...orchestrator.GuardOption) *orchestrator.Guard {
	tb.Helper()
	g, err := o.Guard("api", p, opts...)
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

// A reply is what a handler answered.
type reply struct {
	status int
	header http.Header
	body   string
}

// get asks a handler without a network between.
func get(t *testing.T, h http.Handler, header ...string) reply {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/orders", http.NoBody)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return reply{w.Code, w.Result().Header, w.Body.String()}
}

func bodyOf(t *testing.T, response *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	return string(b)
}

// fetch asks a real server.
func fetch(t *testing.T, c *http.Client, url string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := c.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

// says answers every request with one status.
func says(status int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
}
