package guardhttp_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/guardhttp"
	"github.com/holdfast-go/holdfast/orchestrator"
)

// A script is a RoundTripper without a network: it answers one request after the other,
// and notes what it got and which bodies of its answers are open still.
type script struct {
	answers []answer

	mu     sync.Mutex
	bodies []string
	open   int
}

// An answer is a response, or an error in place of one.
type answer struct {
	status int
	header map[string]string
	err    error
	after  time.Duration
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	var got string
	if r.Body != nil {
		b, _ := io.ReadAll(r.Body)
		_ = r.Body.Close()
		got = string(b)
	}
	s.mu.Lock()
	a := s.answers[min(len(s.bodies), len(s.answers)-1)]
	s.bodies = append(s.bodies, got)
	s.mu.Unlock()
	if a.after > 0 {
		select {
		case <-time.After(a.after):
		case <-r.Context().Done():
			return nil, context.Cause(r.Context())
		}
	}
	if a.err != nil {
		return nil, a.err
	}
	s.mu.Lock()
	s.open++
	s.mu.Unlock()
	header := http.Header{}
	for name, value := range a.header {
		header.Set(name, value)
	}
	return &http.Response{
		StatusCode: a.status, Header: header, Request: r,
		Body: &counted{Reader: strings.NewReader("answer"), ctx: r.Context(), close: func() { s.mu.Lock(); s.open--; s.mu.Unlock() }},
	}, nil
}

func (s *script) tries() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.bodies)
}

// A counted body says when it is closed, and cannot be read after its request's context.
type counted struct {
	io.Reader

	ctx    context.Context //nolint:containedctx // as the real one
	close  func()
	closed atomic.Bool
}

func (c *counted) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.Reader.Read(p)
}

func (c *counted) Close() error {
	if !c.closed.Swap(true) {
		c.close()
	}
	return nil
}

// A sent body says whether it was closed.
type sent struct {
	io.Reader

	closed bool
}

func (s *sent) Close() error { s.closed = true; return nil }

var errRefused = &net.OpError{Op: "dial", Err: errors.New("connection refused")}

// TestRoundTrip: what is sent again, and what the client gets in the end.
func TestRoundTrip(t *testing.T) {
	three := hold.Retry{MaxAttempts: 3, Backoff: hold.Fixed(time.Second)}
	reset := errors.New("connection reset")
	ok, bad := answer{status: 200}, answer{status: 503}
	for _, tt := range []struct {
		name    string
		policy  hold.Policy
		method  string
		body    string // "" is none
		noCopy  bool   // of the body
		header  string // its name
		answers []answer

		tries int
		took  time.Duration
		want  int // 0: an error
		err   error
	}{
		{name: "a good answer", policy: three, answers: []answer{ok}, tries: 1, want: 200},
		{name: "not found is an answer", policy: three, answers: []answer{{status: 404}}, tries: 1, want: 404},
		{name: "better the second time", policy: three, answers: []answer{bad, ok}, tries: 2, took: time.Second, want: 200},
		{name: "never better", policy: three, answers: []answer{bad}, tries: 3, took: 2 * time.Second, want: 503},
		{name: "what the server never had is no good again", policy: three, answers: []answer{{status: 501}}, tries: 1, want: 501},
		{name: "no answer", policy: three, answers: []answer{{err: reset}}, tries: 3, took: 2 * time.Second, err: reset},
		{
			name: "the server asks for time", policy: three, answers: []answer{{status: 503, header: map[string]string{"Retry-After": "7"}}, ok},
			tries: 2, took: 7 * time.Second, want: 200,
		},
		{
			name: "by its RateLimit", policy: three, answers: []answer{{status: 429, header: map[string]string{"RateLimit": `"a";r=3;t=60, "b";r=0;t=9`}}, ok},
			tries: 2, took: 9 * time.Second, want: 200,
		},
		{
			name: "for longer than anybody waits", policy: three, answers: []answer{{status: 503, header: map[string]string{"Retry-After": "301"}}, ok},
			tries: 1, want: 503,
		},
		{name: "a body is sent again", policy: three, method: "PUT", body: "order", answers: []answer{bad, ok}, tries: 2, took: time.Second, want: 200},
		{name: "one that cannot be", policy: three, method: "PUT", body: "order", noCopy: true, answers: []answer{bad, ok}, tries: 1, want: 503},
		{name: "an order is not sent twice", policy: three, method: "POST", body: "order", answers: []answer{bad, ok}, tries: 1, want: 503},
		{name: "nor after an error", policy: three, method: "POST", body: "order", answers: []answer{{err: reset}, ok}, tries: 1, err: reset},
		{name: "unless it never left", policy: three, method: "POST", body: "order", answers: []answer{{err: errRefused}, ok}, tries: 2, took: time.Second, want: 200},
		{
			name: "or can be told from another", policy: three, method: "POST", body: "order", header: "Idempotency-Key",
			answers: []answer{bad, ok}, tries: 2, took: time.Second, want: 200,
		},
		{
			name: "a refusal sends nothing", policy: hold.RateLimit{Limit: hold.PerHour(1), FirstFill: hold.FirstEmpty}, method: "POST", body: "order",
			tries: 0, err: hold.ErrRateLimited,
		},
		{
			name: "a breaker that trips in between", policy: hold.Combine(three, hold.CircuitBreaker{FailureThreshold: 1}),
			answers: []answer{bad}, tries: 1, took: time.Second, err: hold.ErrCircuitOpen,
		},
		{
			name: "too slow", policy: hold.Timeout{Duration: 3 * time.Second}, answers: []answer{{status: 200, after: 4 * time.Second}},
			tries: 1, took: 3 * time.Second, err: hold.ErrTimeout,
		},
		{
			name: "in time, and read later", policy: hold.Timeout{Duration: 3 * time.Second}, answers: []answer{{status: 200, after: 2 * time.Second}},
			tries: 1, took: 2 * time.Second, want: 200,
		},
		{
			name:    "a slow one is given company",
			policy:  hold.Hedge{Delay: time.Second, Budget: hold.RetryBudget{Name: "spare", Ratio: 1}},
			answers: []answer{{status: 200, after: time.Minute}, ok}, tries: 2, took: time.Second, want: 200,
		},
		{
			name:   "an order is not",
			policy: hold.Hedge{Delay: time.Second, Budget: hold.RetryBudget{Name: "spare", Ratio: 1}}, method: "POST",
			answers: []answer{{status: 200, after: time.Minute}, ok}, tries: 1, took: time.Minute, want: 200,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := &script{answers: tt.answers}
				client := http.Client{Transport: &guardhttp.Transport{Guard: guard(t, tt.policy), Next: server}}
				request, body := newRequest(t, tt.method, tt.body, tt.noCopy)
				if tt.header != "" {
					request.Header.Set(tt.header, "1")
				}
				start := time.Now()
				response, err := client.Do(request)
				if server.tries() != tt.tries || time.Since(start) != tt.took {
					t.Errorf("%d tries in %s; want %d in %s", server.tries(), time.Since(start), tt.tries, tt.took)
				}
				if !errors.Is(err, tt.err) || err == nil != (tt.want != 0) {
					t.Fatalf("error %v; want %v", err, tt.err)
				}
				if body != nil && !body.closed && tt.tries == 0 {
					t.Error("the request's body was not closed")
				}
				for _, got := range server.bodies {
					if got != tt.body {
						t.Errorf("the server got %q; want %q", got, tt.body)
					}
				}
				if err == nil {
					time.Sleep(time.Hour) // whatever bounds the guard has, they are over
					if got := bodyOf(t, response); response.StatusCode != tt.want || got != "answer" || response.Request.URL.Host != "shop" {
						t.Errorf("%d %q; want %d", response.StatusCode, got, tt.want)
					}
				}
				if server.open != 0 {
					t.Errorf("%d bodies are open still", server.open)
				}
			})
		})
	}
}

func newRequest(t *testing.T, method, text string, noCopy bool) (*http.Request, *sent) {
	t.Helper()
	if method == "" {
		method = http.MethodGet
	}
	var reader io.Reader = http.NoBody
	var body *sent
	if text != "" {
		reader = bytes.NewReader([]byte(text))
	}
	request, err := http.NewRequestWithContext(t.Context(), method, "http://shop/orders", reader)
	if err != nil {
		t.Fatal(err)
	}
	if text != "" {
		body = &sent{Reader: reader}
		request.Body = body
	}
	if noCopy {
		request.GetBody = nil
	}
	return request, body
}

// TestRetryIfCannotRepeat: an option that wants every error retried does not send twice
// what must not be.
func TestRetryIfCannotRepeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &script{answers: []answer{{status: 503}}}
		g := guard(t, hold.Retry{Backoff: hold.Fixed(time.Second)}, orchestrator.RetryIf(func(error) bool { return true }))
		request, _ := newRequest(t, http.MethodPost, "order", false)
		response, err := (&guardhttp.Transport{Guard: g, Next: server}).RoundTrip(request)
		if err != nil || server.tries() != 1 {
			t.Fatalf("%v after %d tries", err, server.tries())
		}
		if got := bodyOf(t, response); got != "answer" || response.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("%d %q", response.StatusCode, got)
		}
	})
}

// TestOutcomesOfResponses: what a breaker makes of them.
func TestOutcomesOfResponses(t *testing.T) {
	for _, tt := range []struct {
		status          int
		calls, failures int64
	}{
		{200, 1, 0}, {404, 1, 0}, {429, 0, 0}, {500, 1, 1}, {501, 1, 1}, {503, 1, 1},
	} {
		o := join(t, orchestrator.Config{})
		transport := &guardhttp.Transport{Guard: guardOn(t, o, hold.CircuitBreaker{}), Next: &script{answers: []answer{{status: tt.status}}}}
		request, _ := newRequest(t, "", "", false)
		response, err := transport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.Request != request {
			t.Error("the response is not for the client's own request")
		}
		b, _ := o.CircuitBreaker("api")
		if s := b.Status(); s.Calls != tt.calls || s.Failures != tt.failures {
			t.Errorf("status %d: %d calls, %d failures; want %d, %d", tt.status, s.Calls, s.Failures, tt.calls, tt.failures)
		}
	}
}

// TestBreakerForEachHost: what fails at one host stops no other.
func TestBreakerForEachHost(t *testing.T) {
	g := guard(t, hold.CircuitBreaker{FailureThreshold: 1, Keyed: true, Sharing: hold.ShareLocal})
	transport := &guardhttp.Transport{Guard: g, Key: guardhttp.Host, Next: &script{answers: []answer{{status: 500}, {status: 200}}}}
	get := func(host string) error {
		request, _ := newRequest(t, "", "", false)
		request.URL.Host = host
		response, err := transport.RoundTrip(request)
		if err == nil {
			_ = response.Body.Close()
		}
		return err
	}
	if err := get("bad"); err != nil {
		t.Fatal(err)
	}
	if bad, good := get("bad"), get("good"); !errors.Is(bad, hold.ErrCircuitOpen) || good != nil {
		t.Errorf("the bad host: %v; the good one: %v", bad, good)
	}
}

// TestRealServer: through net/http on both sides, with keep-alive: what is thrown away on
// the way to a good answer costs no connection.
func TestRealServer(t *testing.T) {
	var connections, requests atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if requests.Add(1)%3 != 0 {
			w.WriteHeader(http.StatusBadGateway)
		}
		_, _ = w.Write(body)
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	transport := &guardhttp.Transport{
		Guard: guard(t, hold.Combine(hold.Timeout{Duration: time.Minute}, hold.Retry{Backoff: hold.Fixed(time.Millisecond)})),
		Next:  server.Client().Transport,
	}
	client := http.Client{Transport: transport}
	for range 5 {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL, strings.NewReader("order"))
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if got := bodyOf(t, response); response.StatusCode != http.StatusOK || got != "order" {
			t.Errorf("%s %q", response.Status, got)
		}
	}
	if requests.Load() != 15 || connections.Load() != 1 {
		t.Errorf("%d requests on %d connections; want 15 on 1", requests.Load(), connections.Load())
	}
	client.CloseIdleConnections()
}

// TestStalledBody: an answer that is thrown away, and whose body does not come, does not
// hold up the next try.
func TestStalledBody(t *testing.T) {
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) > 1 {
			return
		}
		w.Header().Set("Content-Length", "1000")
		w.WriteHeader(http.StatusBadGateway)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	defer server.Close()
	client := http.Client{Transport: &guardhttp.Transport{Guard: guard(t, hold.Retry{Backoff: hold.Fixed(time.Millisecond)}), Next: server.Client().Transport}}
	response := fetch(t, &client, server.URL)
	if _ = response.Body.Close(); response.StatusCode != http.StatusOK {
		t.Error(response.Status)
	}
}

// TestSwitchedProtocol: a connection that was handed over can be written to.
func TestSwitchedProtocol(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		line, _ := buffered.ReadString('\n')
		_, _ = io.WriteString(conn, line)
	}))
	defer server.Close()
	transport := &guardhttp.Transport{Guard: guard(t, hold.Timeout{Duration: time.Minute}), Next: server.Client().Transport}
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
	request.Header.Set("Connection", "Upgrade")
	request.Header.Set("Upgrade", "echo")
	response, err := transport.RoundTrip(request) //nolint:bodyclose // conn is the body
	if err != nil {
		t.Fatal(err)
	}
	conn, ok := response.Body.(io.ReadWriteCloser)
	if !ok {
		t.Fatal("it cannot be written to")
	}
	_, _ = io.WriteString(conn, "hello\n")
	if got, _ := io.ReadAll(conn); string(got) != "hello\n" {
		t.Errorf("it said %q", got)
	}
	_ = conn.Close()
}

// TestClientEndsWhileReading: the client's own context still ends a body.
func TestClientEndsWhileReading(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	request, _ := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, http.NoBody)
	response, err := (&guardhttp.Transport{Guard: guard(t, hold.Timeout{Duration: time.Minute}), Next: server.Client().Transport}).RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.ReadAll(response.Body); !errors.Is(err, context.Canceled) {
		t.Errorf("reading on: %v", err)
	}
	_ = response.Body.Close()
}
