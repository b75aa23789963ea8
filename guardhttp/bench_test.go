package guardhttp_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/guardhttp"
)

// A sink is a ResponseWriter that keeps nothing.
type sink struct{ header http.Header }

func (s *sink) Header() http.Header       { return s.header }
func (*sink) Write(p []byte) (int, error) { return len(p), nil }
func (*sink) WriteHeader(int)             {}
func (*sink) Flush()                      {}

// BenchmarkServer is what a guard adds to a handler, on the memory store: compare with
// "bare".
func BenchmarkServer(b *testing.B) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	wide := hold.RateLimit{Limit: hold.PerSecond(1_000_000_000)}
	keyed := hold.RateLimit{Limit: hold.PerSecond(1_000_000_000), Keyed: true}
	for _, bb := range []struct {
		name string
		h    http.Handler
	}{
		{"bare", handler},
		{"limit", guardhttp.Server{Guard: guard(b, wide)}.Handler(handler)},
		{"limit by address", guardhttp.Server{Guard: guard(b, keyed), Key: guardhttp.RemoteAddr}.Handler(handler)},
		{"limit and breaker", guardhttp.Server{Guard: guard(b, hold.Combine(wide, hold.CircuitBreaker{}))}.Handler(handler)},
		{"limit, legacy fields too", guardhttp.Server{Guard: guard(b, wide), Legacy: true}.Handler(handler)},
		{"refused", refusing(b)},
	} {
		b.Run(bb.name, func(b *testing.B) {
			r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/", http.NoBody)
			w := &sink{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				bb.h.ServeHTTP(w, r)
			}
		})
	}
}

func refusing(b *testing.B) http.Handler {
	b.Helper()
	return guardhttp.Server{Guard: guard(b, hold.RateLimit{Limit: hold.PerHour(1), FirstFill: hold.FirstEmpty})}.Handler(says(http.StatusOK))
}

// BenchmarkTransport is what a guard adds to a client.
func BenchmarkTransport(b *testing.B) {
	for _, bb := range []struct {
		name string
		t    http.RoundTripper
	}{
		{"bare", quick{}},
		{"retry, breaker and limit", &guardhttp.Transport{Next: quick{}, Guard: guard(b, hold.Combine(
			hold.Retry{}, hold.CircuitBreaker{}, hold.RateLimit{Limit: hold.PerSecond(1_000_000_000)}))}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "http://shop/", http.NoBody)
			b.ReportAllocs()
			for b.Loop() {
				response, err := bb.t.RoundTrip(r)
				if err != nil {
					b.Fatal(err)
				}
				_ = response.Body.Close()
			}
		})
	}
}

// quick answers at once.
type quick struct{}

func (quick) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Request: r, Body: http.NoBody, Header: http.Header{}}, nil
}
