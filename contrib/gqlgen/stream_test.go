package holdfastgqlgen_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	holdfastgqlgen "github.com/holdfast-go/holdfast/contrib/gqlgen"
	"github.com/holdfast-go/holdfast/contrib/gqlgen/internal/shop"
	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/store/memory"
)

const watch = `subscription { prices(sku: "a") { cents stock } }`

// A feed is a subscription under way.
type feed struct {
	over   chan string // what was sent, when it is over
	cancel func()
}

// subscribe asks h for a subscription, by server-sent events.
func subscribe(t *testing.T, h http.Handler) *feed {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	f := &feed{over: make(chan string, 1), cancel: cancel}
	r := request(ctx, t, watch)
	r.Header.Set("Accept", "text/event-stream")
	w := httptest.NewRecorder()
	go func() {
		h.ServeHTTP(w, r)
		cancel() // as a server does
		f.over <- w.Body.String()
	}()
	synctest.Wait()
	return f
}

// TestSubscription: it is one call, from its opening to its end, however it ends.
func TestSubscription(t *testing.T) {
	inTime := hold.Combine(hold.Timeout{Duration: time.Minute}, roomAndBreaker())
	for _, tt := range []struct {
		name   string
		policy hold.Policy
		stock  error
		end    func(f *feed, prices chan *shop.Price)
		want   hold.Outcome
		says   string // in what was sent last
	}{
		{"the server ends it", roomAndBreaker(), nil, func(_ *feed, prices chan *shop.Price) { close(prices) }, hold.Success, `{"cents":5,"stock":7}`},
		{"after an event that failed", roomAndBreaker(), errors.New("down"), func(_ *feed, prices chan *shop.Price) { close(prices) }, hold.Failure, "down"},
		{"after one that failed, and one that did not", roomAndBreaker(), errors.New("down"), func(_ *feed, prices chan *shop.Price) {
			prices <- nil // which has no stock to look for
			close(prices)
		}, hold.Success, `{"prices":null}`},
		{"the client goes away", roomAndBreaker(), nil, func(f *feed, _ chan *shop.Price) { f.cancel() }, hold.Ignored, ""},
		{"its time is up", inTime, nil, func(*feed, chan *shop.Price) { time.Sleep(time.Minute) }, hold.Failure, `"code":"TIMEOUT"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var heard heard
				o := newOn(t, memory.New(memory.Options{}).Stores(), &heard)
				g := newGuard(t, o, tt.policy)
				prices := make(chan *shop.Price)
				r := &root{
					prices: func(context.Context) (<-chan *shop.Price, error) { return prices, nil },
					stock:  func(context.Context) (*int, error) { return new(7), tt.stock },
				}
				f := subscribe(t, newServer(r, holdfastgqlgen.Operations(g, holdfastgqlgen.Config{})))
				defer f.cancel()
				wantRoom(t, o, 1)
				prices <- &shop.Price{Cents: 5}
				synctest.Wait()
				wantRoom(t, o, 1)
				tt.end(f, prices)
				sent := <-f.over
				if !strings.Contains(sent, tt.says) || strings.Count(sent, "TIMEOUT") > 1 {
					t.Errorf("it was sent %s; want %s in it", sent, tt.says)
				}
				synctest.Wait()
				wantRoom(t, o, 0)
				heard.wants(t, tt.want)
			})
		})
	}
}

// TestSubscriptionThatIsNotOpened: refused, or its resolver failed.
func TestSubscriptionThatIsNotOpened(t *testing.T) {
	for _, tt := range []struct {
		name   string
		policy hold.Policy
		says   string
		hears  []hold.Outcome
	}{
		{"refused", hold.RateLimit{Keyed: true, Limit: hold.PerHour(1)}, `"code":"KEY_MISSING"`, nil},
		{"its resolver failed", hold.CircuitBreaker{}, "down", []hold.Outcome{hold.Failure}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var heard heard
				g := newGuard(t, newOn(t, memory.New(memory.Options{}).Stores(), &heard), tt.policy)
				r := &root{prices: func(context.Context) (<-chan *shop.Price, error) { return nil, errors.New("down") }}
				sent := <-subscribe(t, holdfastgqlgen.Status(newServer(r, holdfastgqlgen.Operations(g, holdfastgqlgen.Config{})))).over
				if !strings.Contains(sent, tt.says) || strings.Count(sent, "event: next") != 1 || !strings.Contains(sent, "event: complete") {
					t.Errorf("it was sent %s; want one event with %s, and the end", sent, tt.says)
				}
				heard.wants(t, tt.hears...)
			})
		})
	}
}

// TestSubscriptionAsAProbe: one that outlives its lease closes the breaker, if there was an
// event by then.
func TestSubscriptionAsAProbe(t *testing.T) {
	for _, tt := range []struct {
		name  string
		event *shop.Price
		want  hold.State
	}{{"an event", &shop.Price{}, hold.StateClosed}, {"none", nil, hold.StateHalfOpen}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrchestrator(t)
				g := newGuard(t, o, hold.CircuitBreaker{FailureThreshold: 1, SuccessThreshold: 1})
				prices, failed := make(chan *shop.Price), errors.New("down")
				r := &root{prices: func(context.Context) (<-chan *shop.Price, error) { return prices, failed }}
				server := newServer(r, holdfastgqlgen.Operations(g, holdfastgqlgen.Config{}))
				<-subscribe(t, server).over
				failed = nil
				time.Sleep(hold.DefaultRecoveryTimeout)
				f := subscribe(t, server)
				if tt.event != nil {
					prices <- tt.event
				}
				time.Sleep(hold.DefaultProbeLease)
				b, _ := o.CircuitBreaker("g")
				if got := b.Status().State; got != tt.want {
					t.Errorf("the breaker is %s; want it %s", got, tt.want)
				}
				close(prices)
				<-f.over
			})
		})
	}
}

// TestDeferredParts: the operation ends with the last of them, and an error in any counts.
func TestDeferredParts(t *testing.T) {
	for _, tt := range []struct {
		name  string
		stock error
		want  hold.Outcome
	}{{"it went well", nil, hold.Success}, {"a part failed", errors.New("down"), hold.Failure}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var heard heard
				o := newOn(t, memory.New(memory.Options{}).Stores(), &heard)
				release := make(chan struct{})
				r := &root{stock: func(ctx context.Context) (*int, error) {
					<-release
					return new(7), errors.Join(tt.stock, ctx.Err())
				}}
				// A guard of the field around it: its own context must not end with it.
				field, err := o.Guard("field", hold.Timeout{Duration: time.Second})
				if err != nil {
					t.Fatal(err)
				}
				server := newServer(r,
					holdfastgqlgen.Operations(newGuard(t, o, roomAndBreaker()), holdfastgqlgen.Config{}),
					holdfastgqlgen.Fields(guards(field, "Query.price"), holdfastgqlgen.FieldsConfig{}))
				request := request(t.Context(), t, `{ price(sku: "a") { cents ... @defer { stock } } }`)
				request.Header.Set("Accept", "multipart/mixed")
				w, over := httptest.NewRecorder(), make(chan struct{})
				go func() { server.ServeHTTP(w, request); close(over) }()
				synctest.Wait()
				wantRoom(t, o, 1)
				heard.wants(t)
				close(release)
				<-over
				if body := w.Body.String(); !strings.Contains(body, `"cents":100`) || !strings.Contains(body, map[bool]string{true: `"stock":7`, false: "down"}[tt.stock == nil]) {
					t.Errorf("it was sent %s", body)
				}
				wantRoom(t, o, 0)
				heard.wants(t, tt.want)
				time.Sleep(time.Second) // for the transport's own goroutine
			})
		})
	}
}

// TestStatus: it changes the header of what was refused as a whole, and nothing else.
func TestStatus(t *testing.T) {
	g := newGuard(t, newOrchestrator(t), hold.RateLimit{Keyed: true, Limit: hold.PerHour(1)}) // refuses all, for want of a key
	refuses := newServer(&root{}, holdfastgqlgen.Operations(g, holdfastgqlgen.Config{}))
	passes := newServer(&root{})
	plain := func(f func(w http.ResponseWriter)) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { f(w) })
	}
	mixed := func(r *http.Request) { r.Header.Set("Accept", "multipart/mixed") }
	for _, tt := range []struct {
		name    string
		handler http.Handler
		change  func(r *http.Request)
		want    int
		body    string // in it
	}{
		{"refused", refuses, nil, 400, "KEY_MISSING"},
		{"refused, by GET", refuses, func(r *http.Request) { r.Method, r.URL.RawQuery = http.MethodGet, "query=%7B__typename%7D" }, 400, "KEY_MISSING"},
		{"refused, in parts", refuses, mixed, 400, "KEY_MISSING"},
		{"it passed", passes, nil, 200, "100"},
		{"it passed, in parts", passes, mixed, 200, "100"},
		{"it is no GraphQL", passes, func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("{")) }, 400, "could not be decoded"},
		{"a status of its own", plain(func(w http.ResponseWriter) { w.WriteHeader(http.StatusTeapot); w.WriteHeader(http.StatusOK) }), nil, 418, ""},
		{"no status", plain(func(w http.ResponseWriter) { _, _ = w.Write([]byte("body")) }), nil, 200, "body"},
		{"flushed", plain(func(w http.ResponseWriter) {
			_ = http.NewResponseController(w).Flush()
			w.(http.Flusher).Flush()
			_, _ = w.Write([]byte("body"))
		}), nil, 200, "body"},
		{"early hints", plain(func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusTeapot)
		}), nil, 418, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url := serve(t, holdfastgqlgen.Status(tt.handler))
			r := request(t.Context(), t, cheap)
			if tt.change != nil {
				tt.change(r)
			}
			sent, err := http.NewRequestWithContext(t.Context(), r.Method, url+"?"+r.URL.RawQuery, r.Body)
			if err != nil {
				t.Fatal(err)
			}
			sent.Header = r.Header
			got, err := http.DefaultClient.Do(sent)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = got.Body.Close() }()
			body, err := io.ReadAll(got.Body)
			if err != nil || got.StatusCode != tt.want || !strings.Contains(string(body), tt.body) {
				t.Errorf("%d, %s, %v; want %d, and %s", got.StatusCode, body, err, tt.want, tt.body)
			}
		})
	}
}

// A listed writer writes down which headers were sent.
type listed struct {
	*httptest.ResponseRecorder

	sent []int
}

func (l *listed) WriteHeader(status int) { l.sent = append(l.sent, status) }

// TestStatusIsSentOnce: whatever comes first.
func TestStatusIsSentOnce(t *testing.T) {
	g := newGuard(t, newOrchestrator(t), hold.RateLimit{Keyed: true, Limit: hold.PerHour(1)}) // refuses all, for want of a key
	refuses := newServer(&root{}, holdfastgqlgen.Operations(g, holdfastgqlgen.Config{}))
	for _, tt := range []struct {
		name   string
		before func(w http.ResponseWriter)
		want   []int
	}{
		{"nothing", func(http.ResponseWriter) {}, []int{400}},
		{"hints, which are no status yet", func(w http.ResponseWriter) { w.WriteHeader(http.StatusEarlyHints) }, []int{103, 400}},
		{"the header is gone", func(w http.ResponseWriter) { w.(http.Flusher).Flush() }, []int{200}},
		{"so it is with a part of the body", func(w http.ResponseWriter) { _, _ = w.Write([]byte(" ")) }, []int{200}},
	} {
		w := &listed{ResponseRecorder: httptest.NewRecorder()}
		holdfastgqlgen.Status(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			tt.before(w)
			refuses.ServeHTTP(w, r)
			_, _ = w.Write([]byte(" "))
		})).ServeHTTP(w, request(t.Context(), t, cheap))
		if !slices.Equal(w.sent, tt.want) {
			t.Errorf("before: %s; it sends %v; want %v", tt.name, w.sent, tt.want)
		}
	}
}

// TestStatusOfAnUpgrade: a websocket needs the writer as it is.
func TestStatusOfAnUpgrade(t *testing.T) {
	var got http.ResponseWriter
	w := httptest.NewRecorder()
	r := request(t.Context(), t, cheap)
	r.Header.Set("Upgrade", "websocket")
	holdfastgqlgen.Status(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { got = w })).ServeHTTP(w, r)
	if got != http.ResponseWriter(w) {
		t.Errorf("the handler gets a %T", got)
	}
}
