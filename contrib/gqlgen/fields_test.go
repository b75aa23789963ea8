package holdfastgqlgen_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	holdfastgqlgen "github.com/holdfast-go/holdfast/contrib/gqlgen"
	"github.com/holdfast-go/holdfast/contrib/gqlgen/internal/shop"
	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
)

func guards(g *orchestrator.Guard, fields ...string) map[string]*orchestrator.Guard {
	all := make(map[string]*orchestrator.Guard)
	for _, field := range fields {
		all[field] = g
	}
	return all
}

// TestAFieldIsRefused: it is null, with an error at its path; the others have their data, and
// the status is that of an answer. Over HTTP.
func TestAFieldIsRefused(t *testing.T) {
	g := newGuard(t, newOrchestrator(t), hold.RateLimit{Keyed: true, Limit: hold.PerHour(1)})
	config := holdfastgqlgen.FieldsConfig{Key: func(context.Context, *graphql.FieldContext) string { return secret }}
	r := &root{}
	url := serve(t, holdfastgqlgen.Status(newServer(r, holdfastgqlgen.Fields(guards(g, "Price.stock"), config))))
	if got := askOver(t, url, "", `{ price(sku: "a") { cents stock } }`); len(got.Errors) > 0 {
		t.Fatalf("%+v", got)
	}
	got := askOver(t, url, "", `{ first: price(sku: "a") { cents stock } }`)
	if got.status != 200 || got.retryAfter != "" || fmt.Sprint(got.Data) != "map[first:map[cents:100 stock:<nil>]]" || len(got.Errors) != 1 {
		t.Fatalf("%+v; want all but the field that was refused", got)
	}
	e := got.Errors[0]
	if e.Extensions["code"] != "RATE_LIMITED" || e.Extensions["limit"] != "g" || fmt.Sprint(e.Path) != "[first stock]" ||
		e.Message != `rate limited: "g"` {
		t.Errorf("the error is %+v", e)
	}
	if wait, _ := e.Extensions["retryAfterSeconds"].(float64); wait < 3590 || wait > 3600 {
		t.Errorf("it says to come back in %g s; want an hour", wait)
	}
}

// TestCostOfAField: by its arguments.
func TestCostOfAField(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t)
		g := newGuard(t, o, hold.RateLimit{Limit: hold.PerHour(1000)})
		config := holdfastgqlgen.FieldsConfig{Cost: func(_ context.Context, field *graphql.FieldContext) int64 {
			return int64(field.Args["first"].(int))
		}}
		server := newServer(&root{}, holdfastgqlgen.Fields(guards(g, "Query.search"), config))
		if got := ask(t.Context(), t, server, `{ search(first: 30) { cents } price(sku: "a") { cents } }`); len(got.Errors) > 0 {
			t.Fatalf("%+v", got)
		}
		l, _ := o.RateLimiter("g")
		if left, err := l.Peek(t.Context(), ""); err != nil || left.Remaining != 970 {
			t.Errorf("there are %d left, %v; want 970", left.Remaining, err)
		}
	})
}

// TestHowOftenAFieldRuns: fields may run again, those of a mutation may not; and the error is
// the resolver's.
func TestHowOftenAFieldRuns(t *testing.T) {
	retry := hold.Retry{MaxAttempts: 3, Backoff: hold.Fixed(time.Second)}
	down := errors.New("down")
	for _, tt := range []struct {
		name  string
		query string
		errs  []error
		runs  int
		want  string // of errors, by their messages
		hears []hold.Outcome
	}{
		{"a field", cheap, []error{down, nil}, 2, "", []hold.Outcome{hold.Failure, hold.Success}},
		{"again and again", cheap, []error{down}, 3, "down", []hold.Outcome{hold.Failure, hold.Failure, hold.Failure}},
		{"not if it says so", cheap, []error{hold.MarkPermanent(down)}, 1, "down", []hold.Outcome{hold.Failure}},
		{"of a mutation", `mutation { buy(sku: "a") { cents } }`, []error{down, nil}, 1, "down", []hold.Outcome{hold.Failure}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var heard heard
				g := newGuard(t, newOn(t, memory.New(memory.Options{}).Stores(), &heard), hold.Combine(retry, hold.CircuitBreaker{}))
				r := &root{}
				r.price = func(_ context.Context, sku string) (*shop.Price, error) {
					return &shop.Price{Sku: sku}, tt.errs[min(r.runs, len(tt.errs))-1]
				}
				server := newServer(r, holdfastgqlgen.Fields(guards(g, "Query.price", "Mutation.buy"), holdfastgqlgen.FieldsConfig{}))
				server.SetErrorPresenter(func(ctx context.Context, err error) *gqlerror.Error {
					if came := tt.errs[min(r.runs, len(tt.errs))-1]; errors.Unwrap(err) != came { //nolint:errorlint // as it came
						t.Errorf("the presenter gets %#v; want %#v in it, as it came", errors.Unwrap(err), came)
					}
					return graphql.DefaultErrorPresenter(ctx, err)
				})
				var messages []string
				for _, e := range ask(t.Context(), t, server, tt.query).Errors {
					messages = append(messages, e.Message)
					if len(e.Extensions) > 0 {
						t.Errorf("the error has %v; want nothing of ours", e.Extensions)
					}
				}
				if got := strings.Join(messages, ", "); got != tt.want {
					t.Errorf("the errors are %q; want %q", got, tt.want)
				}
				r.wants(t, tt.runs)
				heard.wants(t, tt.hears...)
			})
		})
	}
}

// TestTimeoutOfAField: it bounds the resolver, and not what is selected in the field.
func TestTimeoutOfAField(t *testing.T) {
	type valueKey struct{}
	for _, tt := range []struct {
		name  string
		takes time.Duration
		heeds bool
		want  any // code
	}{
		{"in time", 0, true, nil},
		{"late", time.Minute, true, "TIMEOUT"},
		{"late, and yet it works", time.Minute, false, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGuard(t, newOrchestrator(t), hold.Timeout{Duration: time.Second})
				r := &root{
					price: func(ctx context.Context, _ string) (*shop.Price, error) {
						if at, ok := ctx.Deadline(); !ok || time.Until(at) != time.Second {
							t.Errorf("the resolver's deadline is %s, %t; want a second", at, ok)
						}
						own, cancel := context.WithCancel(ctx)
						defer cancel()
						select {
						case <-own.Done():
							if tt.heeds {
								if !errors.Is(context.Cause(own), hold.ErrTimeout) || own.Err() != context.DeadlineExceeded {
									t.Errorf("its context says %v, %v", own.Err(), context.Cause(own))
								}
								return nil, own.Err()
							}
							time.Sleep(tt.takes)
						case <-time.After(tt.takes):
						}
						return &shop.Price{}, nil
					},
					stock: func(ctx context.Context) (*int, error) {
						time.Sleep(2 * time.Second)
						if _, ok := ctx.Deadline(); ok || ctx.Value(valueKey{}) != 1 {
							t.Error("what is selected has not the caller's context")
						}
						own, cancel := context.WithCancel(ctx)
						defer cancel()
						return new(7), errors.Join(own.Err(), context.Cause(own))
					},
				}
				server := newServer(r, holdfastgqlgen.Fields(guards(g, "Query.price"), holdfastgqlgen.FieldsConfig{}))
				ctx, cancel := context.WithCancel(context.WithValue(t.Context(), valueKey{}, 1))
				defer cancel()
				got := ask(ctx, t, server, `{ price(sku: "a") { stock } }`)
				var code any
				if len(got.Errors) > 0 {
					code = got.Errors[0].Extensions["code"]
				}
				if code != tt.want || tt.want == nil && fmt.Sprint(got.Data) != "map[price:map[stock:7]]" {
					t.Errorf("the client gets %+v; want the code %v", got, tt.want)
				}
			})
		})
	}
}

// TestTheCallersEndReachesAField: also what is selected in it.
func TestTheCallersEndReachesAField(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard heard
		g := newGuard(t, newOn(t, memory.New(memory.Options{}).Stores(), &heard), hold.Combine(hold.Timeout{Duration: time.Hour}, hold.CircuitBreaker{ProbeLease: time.Hour}))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r := &root{stock: func(ctx context.Context) (*int, error) {
			cancel()
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		server := newServer(r, holdfastgqlgen.Fields(guards(g, "Query.price"), holdfastgqlgen.FieldsConfig{}))
		if got := ask(ctx, t, server, `{ price(sku: "a") { stock } }`); len(got.Errors) != 1 || got.Errors[0].Message != "context canceled" {
			t.Errorf("the client gets %+v", got)
		}
		heard.wants(t, hold.Success)
	})
}

// TestFieldsThatCannotBeGuarded: gqlgen refuses to start.
func TestFieldsThatCannotBeGuarded(t *testing.T) {
	g := newGuard(t, newOrchestrator(t), hold.None{})
	for _, tt := range []struct {
		name   string
		guards map[string]*orchestrator.Guard
		want   string // in the panic; "" is none
	}{
		{"none", nil, ""},
		{"some", guards(g, "Query.price", "Mutation.buy", "Price.stock"), ""},
		{"a field that is misspelt", guards(g, "Query.prize"), "no such field"},
		{"a type that is", guards(g, "query.price"), "no such field"},
		{"no field at all", guards(g, "Query"), "no such field"},
		{"one of a subscription", guards(g, "Subscription.prices"), "guard the operation"},
		{"one of an interface", guards(g, "Thing.sku"), "implement"},
		{"one without a guard", guards(nil, "Query.price"), "no guard"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			defer func() {
				said := fmt.Sprint(recover())
				if tt.want == "" && said != "<nil>" || !strings.Contains(said, tt.want) {
					t.Errorf("it panics with %q; want %q in it", said, tt.want)
				}
			}()
			newServer(&root{}, holdfastgqlgen.Fields(tt.guards, holdfastgqlgen.FieldsConfig{}))
		})
	}
}

// TestErrorOf: what a resolver that runs a guard of its own may say.
func TestErrorOf(t *testing.T) {
	plain := errors.New("plain " + secret)
	for _, tt := range []struct {
		err  error
		text string // "" is none
		ext  string
	}{
		{nil, "", ""},
		{plain, "", ""},
		{context.Canceled, "", ""},
		{&hold.RateLimitedError{Name: "l", Key: secret, RetryAfter: time.Millisecond}, `rate limited: "l"`, "map[code:RATE_LIMITED limit:l retryAfterSeconds:1]"},
		{&hold.CircuitOpenError{Name: "b", Key: secret}, `circuit open: "b"`, "map[breaker:b code:CIRCUIT_OPEN]"},
		{&hold.BulkheadFullError{Name: "room"}, `bulkhead full: "room"`, "map[bulkhead:room code:BULKHEAD_FULL]"},
		{&hold.ExclusiveError{Name: "x"}, `held elsewhere: "x"`, "map[code:HELD_ELSEWHERE exclusive:x]"},
		{&hold.TimeoutError{After: time.Second, Err: plain}, "timeout after 1s", "map[code:TIMEOUT]"},
		{&hold.LockLostError{Name: "x", Err: plain}, "lock lost", "map[code:LOCK_LOST]"},
		{&hold.RetryExhaustedError{Attempts: 2, Err: hold.ErrClosed}, "closed", "map[code:CLOSED]"},
	} {
		got, ok := holdfastgqlgen.ErrorOf(tt.err)
		if ok != (tt.text != "") {
			t.Errorf("%v: %v, %t", tt.err, got, ok)
		}
		if ok && (got.Message != tt.text || fmt.Sprint(got.Extensions) != tt.ext || !errors.Is(got, tt.err)) {
			t.Errorf("%v: %q, %v; want %q, %s", tt.err, got.Message, got.Extensions, tt.text, tt.ext)
		}
	}
}

// TestFieldsAndOperations: a field that was refused says nothing about the operation.
func TestFieldsAndOperations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard heard
		o := newOn(t, memory.New(memory.Options{}).Stores(), &heard)
		whole := newGuard(t, o, hold.CircuitBreaker{})
		part, err := o.Guard("part", hold.RateLimit{Keyed: true, Limit: hold.PerHour(1)}) // refuses all, for want of a key
		if err != nil {
			t.Fatal(err)
		}
		server := newServer(&root{}, holdfastgqlgen.Operations(whole, holdfastgqlgen.Config{}),
			holdfastgqlgen.Fields(guards(part, "Query.price"), holdfastgqlgen.FieldsConfig{}))
		got := ask(t.Context(), t, server, cheap)
		if codes := got.Errors; len(codes) != 1 || codes[0].Extensions["code"] != "KEY_MISSING" {
			t.Errorf("the client gets %+v", got)
		}
		heard.wants(t, hold.Ignored)
	})
}
