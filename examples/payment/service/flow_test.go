package service_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/examples/payment/application"
	"github.com/holdfast-go/holdfast/examples/payment/infrastructure"
	"github.com/holdfast-go/holdfast/examples/payment/presentation/rpc/paymentv1"
	"github.com/holdfast-go/holdfast/examples/payment/service"
	"github.com/holdfast-go/holdfast/internal/redisserver"
)

// A bench is a replica with all its doors, and the provider behind it.
type bench struct {
	t        *testing.T
	service  *service.Service
	provider *infrastructure.Simulator
	http     *httptest.Server
	admin    *httptest.Server
	rpc      paymentv1.PaymentsClient
}

// open starts a replica on the Redis at an address, or in memory, which asks a provider.
func open(t *testing.T, redis string, provider *infrastructure.Simulator) *bench {
	t.Helper()
	at := httptest.NewServer(provider)
	s, err := service.New(service.Config{Provider: at.URL, Redis: redis})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, service: s, provider: provider, http: httptest.NewServer(s.HTTP), admin: httptest.NewServer(s.Admin())}
	pipe := bufconn.Listen(1 << 16)
	served := make(chan struct{})
	go func() { defer close(served); _ = s.GRPC.Serve(pipe) }()
	conn, err := grpc.NewClient("passthrough:pipe", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return pipe.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	b.rpc = paymentv1.NewPaymentsClient(conn)
	t.Cleanup(func() {
		_ = conn.Close()
		s.GRPC.Stop()
		<-served
		b.http.Close()
		b.admin.Close()
		if err := s.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
		at.Close()
	})
	return b
}

// An answer is what a client got by one of the doors: its code, and whether it was told
// when to come back.
type answer struct {
	code  string
	later bool
}

// A reply is a response over HTTP.
type reply struct {
	status int
	header http.Header
	body   string
}

// send sends an HTTP request.
func (b *bench) send(method, url, body string) reply {
	b.t.Helper()
	request, err := http.NewRequestWithContext(b.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := b.http.Client().Do(request)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return reply{response.StatusCode, response.Header, string(text)}
}

// The doors: each pays so many cents for a payment of that ID.

func (b *bench) rest(id string, cents string) answer {
	r := b.send(http.MethodPost, b.http.URL+"/payments", `{"id":"`+id+`","customer":"ada","cents":`+cents+`}`)
	return answer{http.StatusText(r.status), r.header.Get("Retry-After") != ""}
}

func (b *bench) grpc(id string, cents string) answer {
	b.t.Helper()
	n := int64(100)
	if cents != "100" {
		n = 2_000_000
	}
	_, err := b.rpc.Pay(b.t.Context(), &paymentv1.PayRequest{Id: id, Customer: "ada", Cents: n})
	a := answer{code: status.Code(err).String()}
	for _, detail := range status.Convert(err).Details() {
		if _, ok := detail.(*errdetails.RetryInfo); ok {
			a.later = true
		}
	}
	return a
}

func (b *bench) graphql(id string, cents string) answer {
	b.t.Helper()
	r := b.send(http.MethodPost, b.http.URL+"/graphql",
		`{"query":"mutation { pay(id: \"`+id+`\", customer: \"ada\", cents: `+cents+`) { id provider } }"}`)
	var said struct {
		Errors []struct{ Extensions map[string]any }
	}
	if err := json.Unmarshal([]byte(r.body), &said); err != nil {
		b.t.Fatalf("%v in %s", err, r.body)
	}
	if len(said.Errors) == 0 {
		return answer{code: "OK"}
	}
	code, _ := said.Errors[0].Extensions["code"].(string)
	_, later := said.Errors[0].Extensions["retryAfterSeconds"]
	return answer{code, later}
}

// doors are all of them, in this order: REST, gRPC and GraphQL.
func (b *bench) doors() []func(id, cents string) answer {
	return []func(id, cents string) answer{b.rest, b.grpc, b.graphql}
}

// wants checks what each door answers.
func (b *bench) wants(situation, cents string, want ...answer) {
	b.t.Helper()
	for i, door := range b.doors() {
		if got := door(situation, cents); got != want[i] {
			b.t.Errorf("%s: %+v; want %+v", situation, got, want[i])
		}
	}
}

// quick makes retries quick, and the breaker deaf.
func (b *bench) quick() {
	b.t.Helper()
	if err := b.service.Payments.ChangeProcessing(hold.Combine(
		hold.Retry{MaxAttempts: 3, Backoff: hold.Fixed(time.Millisecond)},
		hold.CircuitBreaker{Name: "provider", FailureThreshold: 1000, Version: 1},
	)); err != nil {
		b.t.Fatal(err)
	}
}

// TestFlows: what clients get at each door, in memory and on a real Redis.
func TestFlows(t *testing.T) {
	for name, redis := range map[string]func() string{
		"in memory": func() string { return "" },
		"on Redis":  func() string { return redisserver.ForTest(t).Addr() },
	} {
		t.Run(name, func(t *testing.T) {
			address := redis()
			t.Run("paid, once", func(t *testing.T) { testPaid(open(t, address, infrastructure.NewSimulator())) })
			t.Run("the retries run out", func(t *testing.T) { testRetriesRunOut(open(t, address, infrastructure.NewSimulator())) })
			t.Run("the breaker opens", func(t *testing.T) { testBreakerOpens(open(t, address, infrastructure.NewSimulator())) })
			t.Run("the limit is reached", func(t *testing.T) { testLimit(open(t, address, infrastructure.NewSimulator())) })
		})
	}
}

func testPaid(b *bench) {
	b.wants("paid", "100", answer{code: "OK"}, answer{code: "OK"}, answer{code: "OK"})
	first := b.send(http.MethodGet, b.http.URL+"/payments/paid", "").body
	found, err := b.rpc.Find(b.t.Context(), &paymentv1.FindRequest{Id: "paid"})
	if err != nil || !strings.Contains(first, `"provider":"`+found.GetProvider()+`"`) {
		b.t.Errorf("found %s and %v, %v", first, found, err)
	}
	if found.GetProvider() != "P1" {
		b.t.Errorf("paid three times: the provider's number is %s", found.GetProvider())
	}
	b.wants("declined", "2000000", answer{code: "Payment Required"}, answer{code: "FailedPrecondition"}, answer{code: "DECLINED"})
	b.wants("", "100", answer{code: "Bad Request"}, answer{code: "InvalidArgument"}, answer{code: "BAD_USER_INPUT"})
	if r := b.send(http.MethodGet, b.http.URL+"/payments/never", ""); r.status != http.StatusNotFound {
		b.t.Errorf("a payment that was not made: %d", r.status)
	}
}

func testRetriesRunOut(b *bench) {
	b.quick()
	b.provider.Fail(true)
	for i, door := range b.doors() {
		before := b.provider.Calls()
		want := []answer{{code: "Bad Gateway"}, {code: codes.Unavailable.String()}, {code: "UNAVAILABLE"}}[i]
		if got := door("failing", "100"); got != want || b.provider.Calls() != before+3 {
			b.t.Errorf("%+v after %d calls; want %+v after 3", got, b.provider.Calls()-before, want)
		}
	}
	b.provider.Fail(false)
	b.wants("well again", "100", answer{code: "OK"}, answer{code: "OK"}, answer{code: "OK"})
}

func testBreakerOpens(b *bench) {
	if err := b.service.Payments.ChangeProcessing(hold.CircuitBreaker{Name: "provider", FailureThreshold: 2, Version: 2}); err != nil {
		b.t.Fatal(err)
	}
	b.provider.Fail(true)
	b.rest("one", "100")
	b.rest("two", "100")
	before := b.provider.Calls()
	b.wants("open", "100", answer{"Service Unavailable", true}, answer{codes.Unavailable.String(), true}, answer{"CIRCUIT_OPEN", true})
	if b.provider.Calls() != before {
		b.t.Error("an open breaker let a call through")
	}
	if page := b.send(http.MethodGet, b.admin.URL+"/healthz", "").body; !strings.Contains(page, `{"name":"provider","state":"open"`) {
		b.t.Errorf("the page of health: %s", page)
	}
}

// empty lets five requests an hour in from now on, and takes what there is.
func (b *bench) empty() {
	b.t.Helper()
	if err := application.ChangeAdmission(b.service.Orchestrator, hold.PerHour(5), 2); err != nil {
		b.t.Fatal(err)
	}
	for b.rest("until it is empty", "100").code != "Too Many Requests" { //nolint:revive // each takes one of what is left
	}
}

// testLimit changes, while the service runs, how many requests it lets in by all three
// doors together.
func testLimit(b *bench) {
	r := b.send(http.MethodPut, b.admin.URL+"/admission?per_second=10&version=1", "")
	if r.status != http.StatusNoContent || b.rest("one", "100").code != "OK" {
		b.t.Fatalf("%d %s", r.status, r.body)
	}
	b.empty()
	b.wants("full", "100",
		answer{"Too Many Requests", true}, answer{codes.ResourceExhausted.String(), true}, answer{"RATE_LIMITED", true})
	for _, bad := range []string{"per_second=x&version=1", "per_second=1&version=x", "per_second=0&version=9"} {
		if r := b.send(http.MethodPut, b.admin.URL+"/admission?"+bad, ""); r.status != http.StatusBadRequest {
			b.t.Errorf("%s: %d", bad, r.status)
		}
	}
}

// TestReplicasShare: what one replica lets in, another has not.
func TestReplicasShare(t *testing.T) {
	address := redisserver.ForTest(t).Addr()
	one, other := open(t, address, infrastructure.NewSimulator()), open(t, address, infrastructure.NewSimulator())
	one.empty()
	if got := other.rest("elsewhere", "100"); got.code != "Too Many Requests" {
		t.Errorf("the other replica says %+v", got)
	}
}
