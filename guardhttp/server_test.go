package guardhttp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/guardhttp"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
)

// TestRefusals: each reason has its status, whether to come back, and a body that says
// so without saying whose key it was.
func TestRefusals(t *testing.T) {
	header := guardhttp.Header("X-Api-Key")
	tripped := hold.CircuitBreaker{FailureThreshold: 1, RecoveryTimeout: 30 * time.Second}
	for _, tt := range []struct {
		name       string
		policy     hold.Policy
		stores     func() port.Stores // nil: of its own
		cost       int64
		keyed      bool
		headers    []string
		before     int // responses of 500
		status     int
		retryAfter [2]int // at least and at most; 0: none
		reason     string
		detail     string
	}{
		{
			name: "too fast", policy: hold.RateLimit{Limit: hold.PerMinute(1)}, before: 1,
			status: 429, retryAfter: [2]int{60, 66}, reason: "RATE_LIMITED", detail: `"violated-policies":["api"]`,
		},
		{
			name: "too expensive", policy: hold.RateLimit{Limit: hold.PerMinute(1)}, cost: 2,
			status: 400, reason: "COST_TOO_HIGH",
		},
		{
			name: "nobody knows whose", policy: hold.RateLimit{Limit: hold.PerMinute(1), Keyed: true}, keyed: true,
			status: 400, reason: "KEY_MISSING",
		},
		{
			name: "whose is not told", policy: hold.RateLimit{Limit: hold.PerMinute(1), Keyed: true}, keyed: true, headers: []string{"X-Api-Key", "s3cret"}, before: 1,
			status: 429, retryAfter: [2]int{60, 66}, reason: "RATE_LIMITED",
		},
		{
			name: "a breaker is open", policy: tripped, before: 1,
			status: 503, retryAfter: [2]int{27, 37}, reason: "CIRCUIT_OPEN", detail: "#temporary-reduced-capacity",
		},
		{
			name: "the store is gone", policy: hold.RateLimit{Limit: hold.PerMinute(1), Outage: hold.OutageClosed}, stores: gone,
			status: 503, reason: "STORE_UNAVAILABLE",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := join(t, orchestrator.Config{})
				if tt.stores != nil {
					o = joinOn(t, tt.stores(), orchestrator.Config{})
				}
				s := guardhttp.Server{Guard: guardOn(t, o, tt.policy)}
				if tt.keyed {
					s.Key = header
				}
				if tt.cost != 0 {
					s.Cost = func(*http.Request) int64 { return tt.cost }
				}
				h := s.Handler(says(http.StatusInternalServerError))
				for range tt.before {
					if response := get(t, h, tt.headers...); response.status != http.StatusInternalServerError {
						t.Fatalf("before: %d", response.status)
					}
				}
				response := get(t, h, tt.headers...)
				body := response.body
				wait, _ := strconv.Atoi(response.header.Get("Retry-After"))
				if response.status != tt.status || wait < tt.retryAfter[0] || wait > tt.retryAfter[1] {
					t.Errorf("%d, Retry-After %d; want %d, %v", response.status, wait, tt.status, tt.retryAfter)
				}
				var problem struct {
					Type, Title, Detail, Reason string
					Status                      int
				}
				if err := json.Unmarshal([]byte(body), &problem); err != nil {
					t.Fatalf("%v in %s", err, body)
				}
				if problem.Reason != tt.reason || problem.Status != tt.status || problem.Type == "" || problem.Title == "" || problem.Detail == "" ||
					!strings.Contains(body, tt.detail) || strings.Contains(body, "s3cret") ||
					response.header.Get("Content-Type") != "application/problem+json" {
					t.Errorf("%s: %s; want reason %s", response.header.Get("Content-Type"), body, tt.reason)
				}
			})
		})
	}
}

// gone is a store that answers nothing.
func gone() port.Stores { return port.Stores{Buckets: goneBuckets{}} }

type goneBuckets struct{}

func (goneBuckets) Take(_ context.Context, in []port.TakeRequest, out []port.TakeReply) {
	for i := range in {
		out[i].Err = errors.New("gone")
	}
}

// TestTooBusy: what a full bulkhead turns away comes back when it likes.
func TestTooBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		h := guardhttp.Server{Guard: guard(t, hold.Bulkhead{MaxConcurrent: 1})}.Handler(http.HandlerFunc(
			func(http.ResponseWriter, *http.Request) { <-release }))
		go get(t, h)
		synctest.Wait()
		response := get(t, h)
		if body := response.body; response.status != http.StatusServiceUnavailable || !strings.Contains(body, "BULKHEAD_FULL") {
			t.Errorf("%d: %s", response.status, body)
		}
		close(release)
	})
}

// TestPlainText: a client that takes no JSON gets a line.
func TestPlainText(t *testing.T) {
	for accept, want := range map[string]string{
		"text/html": "text/plain; charset=utf-8", "text/html, */*;q=0.1": "application/problem+json",
		"application/json": "application/problem+json", "application/*": "application/problem+json", "": "application/problem+json",
	} {
		h := guardhttp.Server{Guard: guard(t, hold.RateLimit{Limit: hold.PerHour(1)})}.Handler(says(http.StatusOK))
		get(t, h)
		response := get(t, h, "Accept", accept)
		if got := response.header.Get("Content-Type"); got != want || response.body == "" {
			t.Errorf("Accept %q: %s; want %s", accept, got, want)
		}
	}
}

// TestAllowed: the handler runs as it would without a guard, and clients are told what is
// left.
func TestAllowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		policy := hold.RateLimit{Limit: hold.PerSecond(10).WithBurst(20), Also: hold.Bands{hold.PerHour(1000)}}
		h := guardhttp.Server{Guard: guard(t, policy), Legacy: true}.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Own", "1")
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, "made")
		}))
		response := get(t, h)
		if response.status != http.StatusCreated || response.body != "made" || response.header.Get("X-Own") != "1" {
			t.Errorf("%d %v", response.status, response.header)
		}
		reset := strconv.FormatInt(time.Now().Add(time.Second).Unix(), 10)
		for name, want := range map[string]string{
			"RateLimit-Policy": `"api";q=20;w=2, "api.1";q=1000;w=3600`, "RateLimit": `"api";r=19;t=1`,
			"X-RateLimit-Limit": "20", "X-RateLimit-Remaining": "19", "X-RateLimit-Reset": reset,
		} {
			if got := response.header.Get(name); got != want {
				t.Errorf("%s: %q; want %q", name, got, want)
			}
		}
	})
}

// TestFields: what clients are told of their limits, in each situation.
func TestFields(t *testing.T) {
	tiers := func(_, key string) (hold.Limit, bool) { return hold.PerSecond(500), key == "gold" }
	for _, tt := range []struct {
		name          string
		policy        hold.Policy
		server        guardhttp.Server
		stores        func() port.Stores
		before        int
		every         time.Duration
		policies, now string
	}{
		{name: "no limit", policy: hold.Timeout{Duration: time.Second}},
		{name: "one in shadow", policy: hold.RateLimit{Limit: hold.PerSecond(1), Shadow: true}},
		{
			name: "none left", policy: hold.RateLimit{Limit: hold.PerMinute(2)}, before: 2,
			policies: `"api";q=2;w=60`, now: `"api";r=0;t=30`,
		},
		{
			name: "two limits", policy: hold.Combine(hold.RateLimit{Name: "all", Limit: hold.PerSecond(100)}, hold.RateLimit{Limit: hold.PerMinute(5)}),
			policies: `"all";q=100;w=1, "api";q=5;w=60`, now: `"all";r=99;t=1, "api";r=4;t=12`,
		},
		{
			name: "a band is what refuses", policy: hold.RateLimit{Limit: hold.PerSecond(2), Also: hold.Bands{hold.PerHour(3)}}, before: 3, every: time.Second,
			policies: `"api";q=2;w=1, "api.1";q=3;w=3600`, now: `"api.1";r=0;t=1197`,
		},
		{
			name: "of a tier", policy: hold.RateLimit{Limit: hold.PerSecond(5), Keyed: true},
			server:   guardhttp.Server{Key: func(*http.Request) string { return "gold" }, LimitFor: tiers},
			policies: `"api";q=500;w=1`, now: `"api";r=499;t=1`,
		},
		{
			name: "of no tier", policy: hold.RateLimit{Limit: hold.PerSecond(5), Keyed: true},
			server:   guardhttp.Server{Key: func(*http.Request) string { return "iron" }, LimitFor: tiers},
			policies: `"api";q=5;w=1`, now: `"api";r=4;t=1`,
		},
		{
			name: "decided without the store", policy: hold.RateLimit{Limit: hold.PerSecond(5), Outage: hold.OutageOpen}, stores: gone,
			policies: `"api";q=5;w=1`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				config := orchestrator.Config{}
				config.Fleet.LimitFor = tt.server.LimitFor
				o := join(t, config)
				if tt.stores != nil {
					o = joinOn(t, tt.stores(), config)
				}
				tt.server.Guard = guardOn(t, o, tt.policy)
				h := tt.server.Handler(says(http.StatusOK))
				for range tt.before {
					get(t, h)
					time.Sleep(tt.every)
				}
				response := get(t, h)
				if got := response.header.Get("Ratelimit-Policy"); got != tt.policies {
					t.Errorf("RateLimit-Policy: %s; want %s", got, tt.policies)
				}
				if got := response.header.Get("Ratelimit"); got != tt.now {
					t.Errorf("RateLimit: %s; want %s", got, tt.now)
				}
			})
		})
	}
}

// TestFieldsFollowUpdates: they are those of the policy in force.
func TestFieldsFollowUpdates(t *testing.T) {
	o := join(t, orchestrator.Config{})
	h := guardhttp.Server{Guard: guardOn(t, o, hold.RateLimit{Limit: hold.PerSecond(5)})}.Handler(says(http.StatusOK))
	get(t, h)
	if err := o.Update("api", hold.RateLimit{Limit: hold.PerSecond(7), Version: 1}); err != nil {
		t.Fatal(err)
	}
	if got := get(t, h).header.Get("Ratelimit-Policy"); got != `"api";q=7;w=1` {
		t.Errorf("after an update: %s", got)
	}
}

// TestHandlerRunsOnce: whatever the policy and its options say.
func TestHandlerRunsOnce(t *testing.T) {
	budget := hold.RetryBudget{Name: "spare", Ratio: 1}
	always := orchestrator.RetryIf(func(error) bool { return true })
	for name, policy := range map[string]hold.Policy{
		"retry": hold.Retry{MaxAttempts: 3, Backoff: hold.Fixed(time.Millisecond)},
		"hedge": hold.Hedge{Delay: time.Millisecond, Budget: budget},
	} {
		synctest.Test(t, func(t *testing.T) {
			runs := 0
			h := guardhttp.Server{Guard: guard(t, policy, always)}.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				runs++
				time.Sleep(time.Second)
				w.WriteHeader(http.StatusBadGateway)
			}))
			start := time.Now()
			if response := get(t, h); response.status != http.StatusBadGateway || runs != 1 || time.Since(start) != time.Second {
				t.Errorf("%s: %d after %d runs and %s", name, response.status, runs, time.Since(start))
			}
		})
	}
}

// TestTimeoutOfAHandler: one that heeds its context and writes nothing gives way to a
// 503; what it has written stands.
func TestTimeoutOfAHandler(t *testing.T) {
	for _, tt := range []struct {
		name   string
		writes bool
		want   int
	}{
		{"nothing was written", false, http.StatusServiceUnavailable},
		{"it was faster", true, http.StatusAccepted},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := join(t, orchestrator.Config{})
				g := guardOn(t, o, hold.Combine(hold.CircuitBreaker{}, hold.Timeout{Duration: time.Second}))
				h := guardhttp.Server{Guard: g}.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if tt.writes {
						w.WriteHeader(http.StatusAccepted)
					}
					<-r.Context().Done()
				}))
				start := time.Now()
				response := get(t, h)
				if response.status != tt.want || time.Since(start) != time.Second {
					t.Errorf("%d after %s; want %d", response.status, time.Since(start), tt.want)
				}
				b, _ := o.CircuitBreaker("api")
				if failures := b.Status().Failures; failures != int64(map[bool]int{true: 0, false: 1}[tt.writes]) {
					t.Errorf("the breaker counts %d failures", failures)
				}
			})
		})
	}
}

// TestLockLost: a handler that is told that another may have begun, and writes nothing, gives
// way to a 503, too.
func TestLockLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := memory.New(memory.Options{}).Stores()
		stores.Locks = slippery{stores.Locks}
		h := guardhttp.Server{Guard: guardOn(t, joinOn(t, stores, orchestrator.Config{}), hold.Exclusive{})}.Handler(http.HandlerFunc(
			func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
		if r := get(t, h); r.status != http.StatusServiceUnavailable || !strings.Contains(r.body, "LOCK_LOST") {
			t.Errorf("%d: %s", r.status, r.body)
		}
	})
}

// slippery locks are lost at once.
type slippery struct{ port.LockStore }

func (s slippery) Lock(ctx context.Context, id port.ID, lasting time.Duration) (port.Lock, bool, error) {
	lock, ok, err := s.LockStore.Lock(ctx, id, lasting)
	return slipperyLock{lock}, ok, err
}

type slipperyLock struct{ port.Lock }

func (slipperyLock) Extend(context.Context, time.Duration) (bool, error) { return false, nil }

// TestClientGone: nobody is told anything, and no breaker counts it.
func TestClientGone(t *testing.T) {
	o := join(t, orchestrator.Config{})
	h := guardhttp.Server{Guard: guardOn(t, o, hold.CircuitBreaker{})}.Handler(http.HandlerFunc(
		func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(time.Millisecond, cancel)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/", http.NoBody))
	b, _ := o.CircuitBreaker("api")
	if s := b.Status(); w.Body.Len() != 0 || s.Failures != 0 {
		t.Errorf("it wrote %q; the breaker %+v", w.Body, s)
	}
}

// TestPanicOfAHandler passes through, and counts as a failure.
func TestPanicOfAHandler(t *testing.T) {
	o := join(t, orchestrator.Config{})
	h := guardhttp.Server{Guard: guardOn(t, o, hold.CircuitBreaker{})}.Handler(http.HandlerFunc(
		func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	func() {
		defer func() {
			if p := recover(); p != http.ErrAbortHandler { //nolint:errorlint // the same value
				t.Errorf("it panicked with %v", p)
			}
		}()
		get(t, h)
	}()
	b, _ := o.CircuitBreaker("api")
	if s := b.Status(); s.Failures != 1 {
		t.Errorf("the breaker: %+v", s)
	}
}

// TestWriterOfAServer: through a real server, a guarded handler can do with its writer
// what it could without: flush, set deadlines, copy, take the connection over.
func TestWriterOfAServer(t *testing.T) {
	server := guardhttp.Server{Guard: guard(t, hold.None{})}
	mux := http.NewServeMux()
	handle := func(path string, f func(*testing.T, http.ResponseWriter)) {
		mux.Handle(path, server.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { f(t, w) })))
	}
	handle("/flush", func(t *testing.T, w http.ResponseWriter) {
		t.Helper()
		w.(http.Flusher).Flush()
		_, _ = io.WriteString(w, "flushed")
	})
	handle("/controller", func(t *testing.T, w http.ResponseWriter) {
		t.Helper()
		c := http.NewResponseController(w)
		if err := errors.Join(c.Flush(), c.SetWriteDeadline(time.Now().Add(time.Minute)), c.EnableFullDuplex()); err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(w, "controlled")
	})
	handle("/copy", func(t *testing.T, w http.ResponseWriter) {
		t.Helper()
		if _, err := io.Copy(w, strings.NewReader("copied")); err != nil {
			t.Error(err)
		}
	})
	handle("/hijack", func(t *testing.T, w http.ResponseWriter) {
		t.Helper()
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\nhijacked")
		_ = conn.Close()
	})
	s := httptest.NewServer(mux)
	defer s.Close()
	for path, want := range map[string]string{
		"/flush": "flushed", "/controller": "controlled", "/copy": "copied", "/hijack": "hijacked",
	} {
		response := fetch(t, s.Client(), s.URL+path)
		if got := bodyOf(t, response); got != want || response.StatusCode != http.StatusOK {
			t.Errorf("%s: %s %q; want %q", path, response.Status, got, want)
		}
	}
}

// TestTakenOver: on a connection that was handed over nothing else is said, not even that
// the time is up.
func TestTakenOver(t *testing.T) {
	var complaints bytes.Buffer
	s := httptest.NewUnstartedServer(guardhttp.Server{Guard: guard(t, hold.Timeout{Duration: time.Millisecond})}.Handler(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			<-r.Context().Done()
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\ntaken")
			_ = conn.Close()
		})))
	s.Config.ErrorLog = log.New(&complaints, "", 0)
	s.Start()
	response := fetch(t, s.Client(), s.URL)
	defer response.Body.Close()
	if got := bodyOf(t, response); got != "taken" {
		t.Errorf("it says %q", got)
	}
	s.Close()
	if complaints.Len() != 0 {
		t.Errorf("the server: %s", complaints.String())
	}
}

// TestWriterWithoutExtras: a writer that can do nothing more does not pretend to.
func TestWriterWithoutExtras(t *testing.T) {
	var w plainWriter
	h := guardhttp.Server{Guard: guard(t, hold.None{})}.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, flushes := w.(http.Flusher); flushes {
			t.Error("it says that it can flush")
		}
		if _, err := io.Copy(w, io.LimitReader(strings.NewReader("copied"), 6)); err != nil {
			t.Error(err)
		}
	}))
	h.ServeHTTP(&w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
	if w.String() != "copied" {
		t.Errorf("it wrote %q", w.String())
	}
}

type plainWriter struct{ bytes.Buffer }

func (*plainWriter) Header() http.Header { return http.Header{} }
func (*plainWriter) WriteHeader(int)     {}

// TestInformationalStatus: an early hint is no response.
func TestInformationalStatus(t *testing.T) {
	o := join(t, orchestrator.Config{})
	s := httptest.NewServer(guardhttp.Server{Guard: guardOn(t, o, hold.CircuitBreaker{})}.Handler(http.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusInternalServerError)
		})))
	defer s.Close()
	response := fetch(t, s.Client(), s.URL)
	_ = response.Body.Close()
	b, _ := o.CircuitBreaker("api")
	if f := b.Status().Failures; response.StatusCode != http.StatusInternalServerError || f != 1 {
		t.Errorf("%s, and the breaker counts %d failures", response.Status, f)
	}
}

// TestOwnRefusal: who wants another body writes it.
func TestOwnRefusal(t *testing.T) {
	h := guardhttp.Server{
		Guard: guard(t, hold.RateLimit{Limit: hold.PerHour(1)}),
		Refuse: func(w http.ResponseWriter, _ *http.Request, refusal orchestrator.Refusal) {
			http.Error(w, refusal.Reason.String(), http.StatusTeapot)
		},
	}.Handler(says(http.StatusOK))
	get(t, h)
	response := get(t, h)
	if body := response.body; response.status != http.StatusTeapot || body != "RATE_LIMITED\n" || response.header.Get("Ratelimit") == "" {
		t.Errorf("%d %q %v", response.status, body, response.header)
	}
}

func TestServerWithoutAGuard(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("it serves without a guard")
		}
	}()
	guardhttp.Server{}.Handler(says(http.StatusOK))
}
