package holdfastgqlgen_test

import (
	"context"
	"errors"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/99designs/gqlgen/complexity"
	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler/extension"
	"github.com/vektah/gqlparser/v2/ast"

	holdfastgqlgen "github.com/holdfast-go/holdfast/contrib/gqlgen"
	"github.com/holdfast-go/holdfast/contrib/gqlgen/internal/shop"
	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
)

const cheap = `{ price(sku: "a") { cents } }` // of complexity 2

func tenant(_ context.Context, op *graphql.OperationContext) string {
	return op.Headers.Get("X-Tenant")
}

func alwaysSecret(context.Context, *graphql.OperationContext) string { return secret }

func oneEach(context.Context, *graphql.OperationContext, int) int64 { return 1 }

// TestOperationsAreRefused: each reason has its code and its status, over HTTP.
func TestOperationsAreRefused(t *testing.T) {
	type object = map[string]any
	for _, tt := range []struct {
		name   string
		policy hold.Policy
		before string // what happens before: "" nothing, "ok", "fails", "broken", "close"
		config holdfastgqlgen.Config
		want   object // extensions
		status int
		after  string
	}{
		{
			"a limit without tokens",
			hold.RateLimit{Name: "l", Keyed: true, Limit: hold.Limit{Tokens: 2, Period: 3 * time.Minute, Burst: 1}},
			"ok",
			holdfastgqlgen.Config{Key: alwaysSecret, Cost: oneEach},
			object{"code": "RATE_LIMITED", "limit": "l", "retryAfterSeconds": 90.0},
			429, "90",
		},
		{
			"one for which the operation is too large",
			hold.RateLimit{Limit: hold.PerHour(1)},
			"",
			holdfastgqlgen.Config{},
			object{"code": "COST_TOO_HIGH"},
			400, "",
		},
		{
			"nobody said for whom it is",
			hold.CircuitBreaker{Keyed: true},
			"",
			holdfastgqlgen.Config{},
			object{"code": "KEY_MISSING"},
			400, "",
		},
		{
			"an open breaker",
			hold.CircuitBreaker{Name: "b", FailureThreshold: 1},
			"fails",
			holdfastgqlgen.Config{},
			object{"code": "CIRCUIT_OPEN", "breaker": "b", "retryAfterSeconds": 30.0},
			503, "30",
		},
		{
			"a store that does not answer",
			hold.RateLimit{Name: "l", Limit: hold.PerHour(9), Outage: hold.OutageClosed},
			"broken",
			holdfastgqlgen.Config{},
			object{"code": "STORE_UNAVAILABLE", "limit": "l"},
			503, "",
		},
		{
			"a replica that goes away",
			hold.RateLimit{Limit: hold.PerHour(9)},
			"close",
			holdfastgqlgen.Config{},
			object{"code": "CLOSED"},
			503, "",
		},
		{
			"a limit that the guard does not have",
			hold.RateLimit{Limit: hold.PerHour(9)},
			"",
			holdfastgqlgen.Config{Charged: "l"},
			object{"code": "INTERNAL"},
			200, "",
		},
	} {
		for _, told := range []bool{false, true} {
			t.Run(tt.name+map[bool]string{true: ", with a status"}[told], func(t *testing.T) {
				stores := memory.New(memory.Options{}).Stores()
				if tt.before == "broken" {
					stores.Buckets = broken{}
				}
				o := newOn(t, stores, nil)
				r := &root{}
				if tt.before == "fails" {
					r.price = func(context.Context, string) (*shop.Price, error) { return nil, errors.New("down") }
				}
				server := newServer(r, holdfastgqlgen.Operations(newGuard(t, o, tt.policy), tt.config))
				url := serve(t, server)
				if told {
					url = serve(t, holdfastgqlgen.Status(server))
				}
				runs := 0
				switch tt.before {
				case "ok", "fails":
					if got := askOver(t, url, "", cheap); got.status != 200 {
						t.Errorf("before: %+v", got)
					}
					runs = 1
				case "close":
					if err := o.Close(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				got := askOver(t, url, "", cheap)
				if len(got.Errors) != 1 || got.Data != nil {
					t.Fatalf("%+v; want one error and no data", got)
				}
				ext := got.Errors[0].Extensions
				if wait, ok := ext["retryAfterSeconds"].(float64); ok && wait > tt.want["retryAfterSeconds"].(float64)-2 { // time passes
					ext["retryAfterSeconds"] = tt.want["retryAfterSeconds"]
					if got.retryAfter != "" {
						got.retryAfter = tt.after
					}
				}
				if !maps.Equal(ext, tt.want) {
					t.Errorf("the extensions are %v; want %v", ext, tt.want)
				}
				wantStatus, wantAfter := 200, ""
				if told {
					wantStatus, wantAfter = tt.status, tt.after
				}
				if got.status != wantStatus || got.retryAfter != wantAfter {
					t.Errorf("status %d, Retry-After %q; want %d, %q", got.status, got.retryAfter, wantStatus, wantAfter)
				}
				r.wants(t, runs)
			})
		}
	}
}

// TestCostOfAnOperation: its complexity, as gqlgen calculates it, and 1 at least.
func TestCostOfAnOperation(t *testing.T) {
	both := hold.Combine(hold.RateLimit{Name: "work", Limit: hold.PerHour(1000)}, hold.RateLimit{Name: "calls", Limit: hold.PerHour(1000)})
	double := func(_ context.Context, _ *graphql.OperationContext, complexity int) int64 {
		return 2 * int64(complexity)
	}
	plain := []complexity.Option{complexity.WithFixedScalarValue(0)}
	for _, tt := range []struct {
		name   string
		query  string
		config holdfastgqlgen.Config
		before graphql.HandlerExtension
		work   int64
		calls  int64
	}{
		{"a field and what is selected in it", cheap, holdfastgqlgen.Config{}, nil, 2, 2},
		{"two of them", `{ a: price(sku: "a") { cents } b: price(sku: "b") { cents sku } }`, holdfastgqlgen.Config{}, nil, 5, 5},
		{"by its arguments", `query($n: Int = 20) { search(first: $n) { cents sku } }`, holdfastgqlgen.Config{}, nil, 40, 40},
		{"in fragments", `{ ...all } fragment all on Query { price(sku: "a") { ... on Price { cents } } }`, holdfastgqlgen.Config{}, nil, 2, 2},
		{"the schema's own", `{ __schema { types { name } } }`, holdfastgqlgen.Config{}, nil, 1, 1},
		{"for one limit only", cheap, holdfastgqlgen.Config{Charged: "work"}, nil, 2, 1},
		{"otherwise", cheap, holdfastgqlgen.Config{Cost: double}, nil, 4, 4},
		{"with options", cheap, holdfastgqlgen.Config{Complexity: plain}, nil, 1, 1},
		{"as it was calculated before", cheap, holdfastgqlgen.Config{}, extension.FixedComplexityLimit(100, plain...), 1, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrchestrator(t)
				extensions := []graphql.HandlerExtension{holdfastgqlgen.Operations(newGuard(t, o, both), tt.config)}
				if tt.before != nil {
					extensions = append([]graphql.HandlerExtension{tt.before}, extensions...)
				}
				extensions = append(extensions, extension.Introspection{})
				if got := ask(t.Context(), t, newServer(&root{}, extensions...), tt.query); len(got.Errors) > 0 {
					t.Fatalf("%+v", got)
				}
				for name, want := range map[string]int64{"work": tt.work, "calls": tt.calls} {
					l, _ := o.RateLimiter(name)
					if left, err := l.Peek(t.Context(), ""); err != nil || 1000-left.Remaining != want {
						t.Errorf("the limit %q was charged %d, %v; want %d", name, 1000-left.Remaining, err, want)
					}
				}
			})
		})
	}
}

// TestKeysOfOperations: each tenant has a bucket of its own, over HTTP.
func TestKeysOfOperations(t *testing.T) {
	g := newGuard(t, newOrchestrator(t), hold.RateLimit{Keyed: true, Limit: hold.PerHour(2)})
	url := serve(t, holdfastgqlgen.Status(newServer(&root{}, holdfastgqlgen.Operations(g, holdfastgqlgen.Config{Key: tenant}))))
	for i, tt := range []struct {
		tenant string
		status int
	}{{"a", 200}, {"b", 200}, {"a", 429}, {"", 400}} {
		if got := askOver(t, url, tt.tenant, cheap); got.status != tt.status {
			t.Errorf("call %d, of %q: %+v; want %d", i, tt.tenant, got, tt.status)
		}
	}
}

// TestWhatABreakerOfOperationsHears: the errors of the response, those first that say most.
func TestWhatABreakerOfOperationsHears(t *testing.T) {
	down := errors.New("down")
	plain := orchestrator.Classify(func(err error) hold.Outcome {
		if errors.Is(err, down) {
			return hold.LocalFailure
		}
		return hold.Classify(err)
	})
	for _, tt := range []struct {
		name   string
		errs   map[string]error // by sku
		panics bool
		opts   []orchestrator.GuardOption
		want   hold.Outcome
	}{
		{"no error", nil, false, nil, hold.Success},
		{"one", map[string]error{"a": down}, false, nil, hold.Failure},
		{"one that says what it is", map[string]error{"a": hold.MarkIgnored(down)}, false, nil, hold.Ignored},
		{"a refusal further in", map[string]error{"a": &hold.CircuitOpenError{}}, false, nil, hold.Ignored},
		{"beside another one", map[string]error{"a": hold.MarkIgnored(down), "b": down}, false, nil, hold.Failure},
		{"the other way round", map[string]error{"a": down, "b": hold.MarkIgnored(down)}, false, nil, hold.Failure},
		{"local trouble", map[string]error{"a": hold.MarkIgnored(down), "b": hold.MarkLocal(down)}, false, nil, hold.LocalFailure},
		{"two", map[string]error{"a": down, "b": down}, false, nil, hold.Failure},
		{"two, for a classifier", map[string]error{"a": errors.New("x"), "b": down}, false, []orchestrator.GuardOption{plain}, hold.LocalFailure},
		{"a panic", nil, true, nil, hold.Failure},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var heard heard
				o := newOn(t, memory.New(memory.Options{}).Stores(), &heard)
				g := newGuard(t, o, hold.Combine(hold.Retry{}, roomAndBreaker()), tt.opts...)
				r := &root{price: func(_ context.Context, sku string) (*shop.Price, error) {
					if tt.panics {
						panic("boom")
					}
					return &shop.Price{}, tt.errs[sku]
				}}
				server := newServer(r, holdfastgqlgen.Operations(g, holdfastgqlgen.Config{}))
				server.SetRecoverFunc(func(context.Context, any) error { return errors.New("it panicked") })
				got := ask(t.Context(), t, server, `{ a: price(sku: "a") { cents } b: price(sku: "b") { cents } }`)
				if want := max(len(tt.errs), map[bool]int{true: 2}[tt.panics]); len(got.Errors) != want {
					t.Errorf("the client gets %+v; want %d errors", got, want)
				}
				for _, e := range got.Errors {
					if len(e.Path) != 1 || len(e.Extensions) != 0 {
						t.Errorf("the client gets %+v; want the resolver's error", e)
					}
				}
				r.wants(t, 2)
				heard.wants(t, tt.want)
				wantRoom(t, o, 0)
			})
		})
	}
}

// TestTimeoutOfAnOperation: what was in time is there, and an error says why the rest is not.
func TestTimeoutOfAnOperation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard heard
		o := newOn(t, memory.New(memory.Options{}).Stores(), &heard)
		g := newGuard(t, o, hold.Combine(hold.Timeout{Duration: time.Second}, roomAndBreaker()))
		r := &root{price: func(ctx context.Context, sku string) (*shop.Price, error) {
			if sku == "late" {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return &shop.Price{Cents: 1}, nil
		}}
		server := newServer(r, holdfastgqlgen.Operations(g, holdfastgqlgen.Config{}))
		got := ask(t.Context(), t, server, `{ early: price(sku: "early") { cents } late: price(sku: "late") { cents } }`)
		if len(got.Errors) != 2 || got.Errors[1].Extensions["code"] != "TIMEOUT" || got.Data["early"] == nil || got.Data["late"] != nil {
			t.Errorf("the client gets %+v; want the resolver's error, that of the guard, and what was early", got)
		}
		heard.wants(t, hold.Failure)
	})
}

// TestATimeoutFurtherIn is no error of this guard.
func TestATimeoutFurtherIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, newOrchestrator(t), hold.Timeout{Duration: time.Second})
		r := &root{price: func(context.Context, string) (*shop.Price, error) { return nil, &hold.TimeoutError{} }}
		got := ask(t.Context(), t, newServer(r, holdfastgqlgen.Operations(g, holdfastgqlgen.Config{})), cheap)
		if len(got.Errors) != 1 || got.Errors[0].Extensions["code"] != nil {
			t.Errorf("the client gets %+v; want the resolver's error", got)
		}
	})
}

// TestGuardForOperations: an operation may have a guard of its own, or none.
func TestGuardForOperations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t)
		none := newGuard(t, o, hold.RateLimit{Keyed: true, Limit: hold.PerHour(9)}) // refuses all, for want of a key
		writes, err := o.Guard("writes", hold.RateLimit{Limit: hold.PerHour(2)})
		if err != nil {
			t.Fatal(err)
		}
		config := holdfastgqlgen.Config{GuardFor: func(op *graphql.OperationContext) (*orchestrator.Guard, bool) {
			if op.OperationName == "bare" {
				return nil, true
			}
			return writes, op.Operation.Operation == ast.Mutation
		}}
		server := newServer(&root{}, holdfastgqlgen.Operations(none, config))
		for i, tt := range []struct {
			query string
			want  any
		}{
			{`mutation { buy(sku: "a") { cents } }`, nil},
			{`mutation { buy(sku: "a") { cents } }`, "RATE_LIMITED"},
			{cheap, "KEY_MISSING"},
		} {
			var code any
			if got := ask(t.Context(), t, server, tt.query); len(got.Errors) > 0 {
				code = got.Errors[0].Extensions["code"]
			}
			if code != tt.want {
				t.Errorf("operation %d: %v; want %v", i, code, tt.want)
			}
		}
		bare := newServer(&root{}, holdfastgqlgen.Operations(nil, holdfastgqlgen.Config{
			GuardFor: func(*graphql.OperationContext) (*orchestrator.Guard, bool) { return nil, true },
		}))
		if got := ask(t.Context(), t, bare, cheap); len(got.Errors) > 0 {
			t.Errorf("without a guard: %+v", got)
		}
	})
}

// TestOperationsThatNobodyEnds: the guard has its room back when the caller goes away, or
// something panics.
func TestOperationsThatNobodyEnds(t *testing.T) {
	for _, tt := range []struct {
		name  string
		run   func(e graphql.OperationInterceptor, ctx context.Context, cancel func())
		hears hold.Outcome
	}{
		{"the transport does not ask", func(e graphql.OperationInterceptor, ctx context.Context, cancel func()) {
			e.InterceptOperation(ctx, func(context.Context) graphql.ResponseHandler { return nil })
			cancel()
		}, hold.Ignored},
		{"it panics at first", func(e graphql.OperationInterceptor, ctx context.Context, _ func()) {
			e.InterceptOperation(ctx, func(context.Context) graphql.ResponseHandler { panic("boom") })
		}, hold.Failure},
		{"it panics later", func(e graphql.OperationInterceptor, ctx context.Context, _ func()) {
			e.InterceptOperation(ctx, func(context.Context) graphql.ResponseHandler {
				return func(context.Context) *graphql.Response { panic("boom") }
			})(ctx)
		}, hold.Failure},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var heard heard
				o := newOn(t, memory.New(memory.Options{}).Stores(), &heard)
				e := holdfastgqlgen.Operations(newGuard(t, o, roomAndBreaker()), holdfastgqlgen.Config{})
				if err := e.Validate(shop.NewExecutableSchema(shop.Config{Resolvers: &root{}})); err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(graphql.WithOperationContext(t.Context(), &graphql.OperationContext{
					Operation: &ast.OperationDefinition{Operation: ast.Query},
				}))
				defer cancel()
				func() {
					defer func() { _ = recover() }()
					tt.run(e.(graphql.OperationInterceptor), ctx, cancel)
				}()
				synctest.Wait()
				wantRoom(t, o, 0)
				heard.wants(t, tt.hears)
			})
		})
	}
}

// TestOperationsWithoutAGuard: gqlgen refuses them.
func TestOperationsWithoutAGuard(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("it was taken")
		}
	}()
	newServer(&root{}, holdfastgqlgen.Operations(nil, holdfastgqlgen.Config{}))
}
