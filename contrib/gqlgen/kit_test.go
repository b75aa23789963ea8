package holdfastgqlgen_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/99designs/gqlgen/graphql/handler/transport"

	"github.com/holdfast-go/holdfast/contrib/gqlgen/internal/shop"
	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/internal/leaktest"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
)

// secret is a key that nobody may be told.
const secret = "s3cr3t"

// A root resolves the fields of the schema as a test wants, and counts.
type root struct {
	price  func(ctx context.Context, sku string) (*shop.Price, error)
	stock  func(ctx context.Context) (*int, error)
	prices func(ctx context.Context) (<-chan *shop.Price, error)

	mu   sync.Mutex
	runs int
}

func (r *root) Query() shop.QueryResolver               { return (*query)(r) }
func (r *root) Mutation() shop.MutationResolver         { return (*mutation)(r) }
func (r *root) Subscription() shop.SubscriptionResolver { return (*subscription)(r) }
func (r *root) Price() shop.PriceResolver               { return (*ofPrice)(r) }

func (r *root) find(ctx context.Context, sku string) (*shop.Price, error) {
	r.mu.Lock()
	r.runs++
	r.mu.Unlock()
	if r.price == nil {
		return &shop.Price{Sku: sku, Cents: 100}, nil
	}
	return r.price(ctx, sku)
}

func (r *root) wants(t *testing.T, runs int) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.runs != runs {
		t.Errorf("resolvers ran %d times; want %d", r.runs, runs)
	}
}

type (
	query        root
	mutation     root
	subscription root
	ofPrice      root
)

func (q *query) Price(ctx context.Context, sku string) (*shop.Price, error) {
	return (*root)(q).find(ctx, sku)
}

func (*query) Search(_ context.Context, first int) ([]shop.Price, error) {
	return make([]shop.Price, first), nil
}

func (m *mutation) Buy(ctx context.Context, sku string) (*shop.Price, error) {
	return (*root)(m).find(ctx, sku)
}

func (s *subscription) Prices(ctx context.Context, _ string) (<-chan *shop.Price, error) {
	return s.prices(ctx)
}

func (p *ofPrice) Stock(ctx context.Context, _ *shop.Price) (*int, error) {
	if p.stock == nil {
		return new(7), nil
	}
	return p.stock(ctx)
}

// newServer is a server over r with extensions, the outermost first.
func newServer(r *root, extensions ...graphql.HandlerExtension) *handler.Server {
	config := shop.Config{Resolvers: r}
	config.Complexity.Query.Search = func(child, first int) int { return child * first }
	server := handler.New(shop.NewExecutableSchema(config))
	server.AddTransport(transport.SSE{})
	server.AddTransport(transport.MultipartMixed{})
	server.AddTransport(transport.GET{})
	server.AddTransport(transport.POST{})
	for _, e := range extensions {
		server.Use(e)
	}
	return server
}

// An answer is what a client gets.
type answer struct {
	status     int
	retryAfter string
	Data       map[string]any
	Errors     []struct {
		Message    string
		Path       []any
		Extensions map[string]any
	}
}

// request is a query as clients send it.
func request(ctx context.Context, t *testing.T, text string) *http.Request {
	t.Helper()
	body, err := json.Marshal(map[string]string{"query": text})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/query", bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	return r
}

// ask sends a query to h, without a network.
func ask(ctx context.Context, t *testing.T, h http.Handler, text string) answer {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, request(ctx, t, text))
	return readAnswer(t, w.Result())
}

// askOver sends a query to a server at an address, as a tenant.
func askOver(t *testing.T, url, tenant, text string) answer {
	t.Helper()
	r := request(t.Context(), t, text)
	sent, err := http.NewRequestWithContext(t.Context(), r.Method, url, r.Body)
	if err != nil {
		t.Fatal(err)
	}
	sent.Header = r.Header
	sent.Header.Set("X-Tenant", tenant)
	response, err := http.DefaultClient.Do(sent) //nolint:bodyclose // readAnswer does
	if err != nil {
		t.Fatal(err)
	}
	return readAnswer(t, response)
}

func readAnswer(t *testing.T, r *http.Response) answer {
	t.Helper()
	defer func() { _ = r.Body.Close() }()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{status: r.StatusCode, retryAfter: r.Header.Get("Retry-After")}
	if err := json.Unmarshal(body, &a); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	if strings.Contains(string(body), secret) {
		t.Errorf("it tells the key: %s", body)
	}
	return a
}

// serve runs h on a port of its own until the test ends.
func serve(t *testing.T, h http.Handler) (url string) {
	t.Helper()
	leaktest.Check(t)
	server := httptest.NewServer(h)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	t.Cleanup(server.Close)
	return server.URL
}

func newOrchestrator(tb testing.TB) *orchestrator.Orchestrator {
	tb.Helper()
	return newOn(tb, memory.New(memory.Options{}).Stores(), nil)
}

func newOn(tb testing.TB, stores port.Stores, observer orchestrator.Observer) *orchestrator.Orchestrator {
	tb.Helper()
	leaktest.Check(tb)
	o, err := orchestrator.New(stores, orchestrator.Config{Observer: observer})
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

func newGuard(tb testing.TB, o *orchestrator.Orchestrator, p domain.Policy, opts ...orchestrator.GuardOption) *orchestrator.Guard {
	tb.Helper()
	g, err := o.Guard("g", p, opts...)
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

// heard is an observer that writes down what breakers are told.
type heard struct {
	mu   sync.Mutex
	list []domain.Outcome
}

func (*heard) Start(ctx context.Context, _ string) context.Context { return ctx }
func (*heard) End(context.Context, orchestrator.Summary)           {}

func (h *heard) Observe(_ context.Context, s orchestrator.Step) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.Result == orchestrator.ResultReported {
		h.list = append(h.list, s.Outcome)
	}
}

func (h *heard) wants(t *testing.T, want ...domain.Outcome) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Equal(h.list, want) {
		t.Errorf("the breaker heard %v; want %v", h.list, want)
	}
}

// broken is a store that cannot decide.
type broken struct{}

func (broken) Take(_ context.Context, in []port.TakeRequest, out []port.TakeReply) {
	for i := range in {
		out[i] = port.TakeReply{Err: &domain.StoreError{Op: "bucket take", Name: in[i].Bucket.Name, Err: errors.New("down")}}
	}
}

// wantRoom checks how many operations are in a bulkhead.
func wantRoom(t *testing.T, o *orchestrator.Orchestrator, running int) {
	t.Helper()
	b, err := o.Bulkhead(domain.Bulkhead{Name: "g", MaxConcurrent: 2})
	if err != nil {
		t.Fatal(err)
	}
	if got := b.Status().Running; got != running {
		t.Errorf("%d are in the bulkhead; want %d", got, running)
	}
}

func roomAndBreaker() domain.Policy {
	return domain.Combine(domain.CircuitBreaker{}, domain.Bulkhead{MaxConcurrent: 2})
}
