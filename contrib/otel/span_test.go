package holdfastotel_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	apitrace "go.opentelemetry.io/otel/trace"

	holdfastotel "github.com/holdfast-go/holdfast/contrib/otel"
	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/orchestrator"
)

// TestSpans: one for each call, with what its parts did that is not as it should be.
func TestSpans(t *testing.T) {
	tripping := hold.CircuitBreaker{Name: "b", FailureThreshold: 1}
	for _, tt := range []struct {
		name   string
		policy hold.Policy
		before int // calls before the one that is looked at
		fn     func(context.Context) error
		want   []string
	}{
		{"a success says little", hold.Combine(hold.Retry{}, tripping, hold.RateLimit{Name: "l", Limit: hold.PerHour(9)}), 0, succeed, []string{
			"holdfast g, internal: holdfast.attempts=1 holdfast.guard=g holdfast.outcome=success",
		}},
		{"each try of a retry, and what its breaker was told", hold.Combine(hold.Retry{MaxAttempts: 2, Backoff: hold.Fixed(1500 * time.Millisecond)}, hold.CircuitBreaker{Name: "b"}), 0, failing, []string{
			"holdfast g, internal: error.type=_OTHER holdfast.attempts=2 holdfast.guard=g holdfast.outcome=failure (Error: _OTHER)",
			"holdfast.breaker.reported: holdfast.name=b holdfast.outcome=failure",
			"holdfast.retry.again: error.type=_OTHER holdfast.pause=1.5",
			"holdfast.breaker.reported: holdfast.name=b holdfast.outcome=failure",
			"holdfast.retry.gave_up: error.type=_OTHER",
		}},
		{"who refused", hold.RateLimit{Name: "l", Limit: hold.PerHour(1)}, 1, succeed, []string{
			"holdfast g, internal: error.type=rate_limited holdfast.attempts=0 holdfast.guard=g holdfast.outcome=ignored holdfast.refused_by=limit holdfast.refused_name=l (Error: rate_limited)",
			"holdfast.limit.refused: error.type=rate_limited holdfast.name=l",
		}},
		{"an open breaker", tripping, 1, failing, []string{
			"holdfast g, internal: error.type=circuit_open holdfast.attempts=0 holdfast.guard=g holdfast.outcome=ignored holdfast.refused_by=breaker holdfast.refused_name=b (Error: circuit_open)",
			"holdfast.breaker.refused: error.type=circuit_open holdfast.name=b",
		}},
		{"what a limit in shadow would have done", hold.RateLimit{Name: "l", Limit: hold.PerHour(1), Shadow: true}, 1, succeed, []string{
			"holdfast g, internal: holdfast.attempts=1 holdfast.guard=g holdfast.outcome=success holdfast.shadowed_by=l",
			"holdfast.limit.shadowed: holdfast.name=l",
		}},
		{"a timeout", hold.Timeout{Duration: time.Second}, 0, hang, []string{
			"holdfast g, internal: error.type=timeout holdfast.attempts=1 holdfast.guard=g holdfast.outcome=failure (Error: timeout)",
			"holdfast.timeout.timed_out: error.type=timeout",
		}},
		{"a caller who goes away is no failure", hold.None{}, 0, func(context.Context) error { return context.Canceled }, []string{
			"holdfast g, internal: error.type=canceled holdfast.attempts=1 holdfast.guard=g holdfast.outcome=ignored",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKit(t, holdfastotel.Config{})
				g := newGuard(t, k.orch, tt.policy)
				for range tt.before {
					_ = orchestrator.Run(t.Context(), g, tt.fn)
				}
				began := time.Now()
				_ = orchestrator.Run(t.Context(), g, tt.fn)
				took := time.Since(began)
				ended := k.spans.Ended()
				if len(ended) != tt.before+1 {
					t.Fatalf("%d spans ended; want %d", len(ended), tt.before+1)
				}
				last := ended[tt.before]
				if got := show(last); !slices.Equal(got, tt.want) {
					t.Errorf("it is\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(tt.want, "\n\t"))
				}
				if !last.StartTime().Equal(began) || last.EndTime().Sub(last.StartTime()) != took {
					t.Errorf("it began %v and took %v; want %v and %v", last.StartTime(), last.EndTime().Sub(last.StartTime()), began, took)
				}
			})
		})
	}
}

// TestSpanWithoutAGuard: policies that code carries along have no guard's name.
func TestSpanWithoutAGuard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, holdfastotel.Config{})
		_, _ = orchestrator.ExecuteWithPolicy(t.Context(), k.orch, hold.Retry{}, func(context.Context) (int, error) { return 1, nil })
		if got, want := show(k.spans.Ended()[0]), "holdfast, internal: holdfast.attempts=1 holdfast.outcome=success"; got[0] != want {
			t.Errorf("it is %q; want %q", got[0], want)
		}
	})
}

// TestSpanOfAPanic ends, and says so.
func TestSpanOfAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, holdfastotel.Config{})
		func() {
			defer func() { _ = recover() }()
			_ = orchestrator.Run(t.Context(), newGuard(t, k.orch, hold.None{}), func(context.Context) error { panic(errBackend) })
		}()
		want := "holdfast g, internal: error.type=panic holdfast.attempts=1 holdfast.guard=g holdfast.outcome=failure (Error: panic)"
		if got := show(k.spans.Ended()[0]); got[0] != want || len(got) > 1 {
			t.Errorf("it is %q; want %q", got, want)
		}
	})
}

// parents are who is inside whom, by the spans' names.
func parents(spans []trace.ReadOnlySpan) []string {
	names := make(map[apitrace.SpanID]string)
	for _, s := range spans {
		names[s.SpanContext().SpanID()] = s.Name()
	}
	all := make([]string, len(spans))
	for i, s := range spans {
		all[i] = fmt.Sprintf("%s in %q", s.Name(), names[s.Parent().SpanID()])
	}
	return all
}

// TestSpansNest: in the caller's, around the function's, and in that of a guard further out.
func TestSpansNest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		recorder := tracetest.NewSpanRecorder()
		provider := trace.NewTracerProvider(trace.WithSpanProcessor(recorder))
		k := newKit(t, holdfastotel.Config{TracerProvider: provider})
		tracer := provider.Tracer("mine")
		outer := newGuard(t, k.orch, hold.None{})
		inner, err := k.orch.Guard("inner", hold.Timeout{Duration: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		ctx, caller := tracer.Start(t.Context(), "caller")
		_ = orchestrator.Run(ctx, outer, func(ctx context.Context) error {
			return orchestrator.Run(ctx, inner, func(ctx context.Context) error {
				_, mine := tracer.Start(ctx, "mine")
				defer mine.End()
				return hang(ctx)
			})
		})
		caller.End()
		want := []string{`mine in "holdfast inner"`, `holdfast inner in "holdfast g"`, `holdfast g in "caller"`, `caller in ""`}
		if got := parents(recorder.Ended()); !slices.Equal(got, want) {
			t.Errorf("they are %q; want %q", got, want)
		}
		if events := recorder.Ended()[1].Events(); len(events) != 1 || len(recorder.Ended()[2].Events()) != 0 {
			t.Error("a step of the inner guard is noted in the span of the outer one")
		}
	})
}

// notNamed samples all spans but those of one name.
type notNamed string

func (n notNamed) ShouldSample(p trace.SamplingParameters) trace.SamplingResult {
	decision := trace.RecordAndSample
	if p.Name == string(n) {
		decision = trace.Drop
	}
	return trace.SamplingResult{Decision: decision, Tracestate: apitrace.SpanContextFromContext(p.ParentContext).TraceState()}
}

func (n notNamed) Description() string { return "all but " + string(n) }

// TestSpanThatNobodyRecords: what happens in it is not taken for that of the one around.
func TestSpanThatNobodyRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, holdfastotel.Config{}, trace.WithSampler(notNamed("holdfast inner")))
		outer := newGuard(t, k.orch, hold.None{})
		inner, err := k.orch.Guard("inner", hold.Timeout{Duration: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		_ = orchestrator.Run(t.Context(), outer, func(ctx context.Context) error {
			_ = orchestrator.Run(ctx, inner, hang)
			if len(k.spans.Ended()) != 0 {
				t.Error("the end of the inner call ends the outer span")
			}
			return nil
		})
		want := []string{"holdfast g, internal: holdfast.attempts=1 holdfast.guard=g holdfast.outcome=success"}
		if got := k.spans.Ended(); len(got) != 1 || !slices.Equal(show(got[0]), want) {
			t.Errorf("%d spans, the first %q; want %q", len(got), show(got[0]), want)
		}
	})
}

// TestTwoObservers: each ends its own span, whoever came in between.
func TestTwoObservers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newKit(t, holdfastotel.Config{}), newKit(t, holdfastotel.Config{})
		orch := newOrchestrator(t, orchestrator.Config{Observer: orchestrator.Observers(a, b)})
		_ = orchestrator.Run(t.Context(), newGuard(t, orch, hold.Timeout{Duration: time.Second}), hang)
		for name, k := range map[string]*kit{"the first": a, "the second": b} {
			if ended := k.spans.Ended(); len(ended) != 1 || len(ended[0].Events()) != 1 {
				t.Errorf("%s has ended %d spans", name, len(ended))
			}
		}
		if a.spans.Ended()[0].SpanContext().SpanID() != b.spans.Ended()[0].Parent().SpanID() {
			t.Error("the second's span is not inside the first's")
		}
	})
}

// TestSpansOfStoreCalls: where they are asked for, dated by what they took.
func TestSpansOfStoreCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, holdfastotel.Config{StoreSpans: true})
		time.Sleep(time.Hour)
		k.StoreCall(t.Context(), fleet.StoreCall{Op: "bucket take", Items: 3, Took: time.Millisecond})
		k.StoreCall(t.Context(), fleet.StoreCall{Op: "member beat", Items: 1, Failed: 1, Took: time.Second, Err: &hold.StoreError{Err: errBackend}})
		ended := k.spans.Ended()
		if len(ended) != 2 {
			t.Fatalf("%d spans", len(ended))
		}
		for i, want := range []string{
			"holdfast bucket take, client: holdfast.failed=0 holdfast.items=3 holdfast.op=bucket take",
			"holdfast member beat, client: error.type=store_unavailable holdfast.failed=1 holdfast.items=1 holdfast.op=member beat (Error: store_unavailable)",
		} {
			if got := show(ended[i]); len(got) != 1 || got[0] != want {
				t.Errorf("it is %q; want %q", got, want)
			}
		}
		if s := ended[1]; !s.EndTime().Equal(time.Now()) || s.EndTime().Sub(s.StartTime()) != time.Second {
			t.Errorf("it is from %v to %v", s.StartTime(), s.EndTime())
		}
	})
}

// TestNoSpansOfStoreCalls: and not where they are not.
func TestNoSpansOfStoreCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, holdfastotel.Config{})
		_ = orchestrator.Run(t.Context(), newGuard(t, k.orch, hold.RateLimit{Limit: hold.PerSecond(1)}), succeed)
		if got := k.spans.Ended(); len(got) != 1 {
			t.Errorf("%d spans", len(got))
		}
	})
}

// TestNoKeys: whatever happens, neither a key nor the text of an error is told.
func TestNoKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, holdfastotel.Config{StoreSpans: true})
		stop, err := k.Watch(k.orch)
		if err != nil {
			t.Fatal(err)
		}
		g := newGuard(t, k.orch, hold.Combine(
			hold.Retry{MaxAttempts: 2},
			hold.CircuitBreaker{Name: "b", Keyed: true, FailureThreshold: 1, MaxKeys: 1},
			hold.RateLimit{Name: "l", Keyed: true, Limit: hold.PerHour(2)},
		))
		for _, key := range []string{"tenant-7", "tenant-7", "tenant-7a"} {
			for range 3 {
				_ = orchestrator.Run(soon(t, time.Minute), g, failing, orchestrator.Key(key))
			}
		}
		synctest.Wait()
		var told []string
		for name := range k.collect(t) {
			told = append(told, name)
		}
		for _, s := range k.spans.Ended() {
			told = append(told, show(s)...)
		}
		if len(told) < 30 {
			t.Fatalf("only %d things are told", len(told))
		}
		for _, line := range told {
			if strings.Contains(line, "tenant") {
				t.Errorf("it tells %q", line)
			}
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}
