package telemetry_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/telemetry"
)

var errBackend = errors.New("backend of tenant-7 is down")

// TestCalls: each call counts once, by how it ended.
func TestCalls(t *testing.T) {
	for _, tt := range []struct {
		name string
		call orchestrator.Summary
		want []string
	}{
		{"a success", orchestrator.Summary{Guard: "g", Attempts: 1, Duration: 20 * time.Millisecond}, []string{
			"holdfast.calls{guard=g outcome=success} 1",
			"holdfast.call.attempts{guard=g} 1",
			"holdfast.call.duration{guard=g outcome=success} 20",
		}},
		{"a failure after three attempts", orchestrator.Summary{Guard: "g", Attempts: 3, Duration: time.Second, Outcome: domain.Failure, Err: &domain.RetryExhaustedError{Attempts: 3, Err: errBackend}}, []string{
			"holdfast.calls{guard=g outcome=failure error.type=_OTHER} 1",
			"holdfast.call.attempts{guard=g} 3",
			"holdfast.call.duration{guard=g outcome=failure} 1000",
		}},
		{"a refusal", orchestrator.Summary{Guard: "g", Outcome: domain.Ignored, Duration: time.Millisecond, Err: &domain.RateLimitedError{Name: "l", Key: "tenant-7"}}, []string{
			"holdfast.calls{guard=g outcome=ignored error.type=rate_limited} 1",
			"holdfast.call.duration{guard=g outcome=ignored} 1",
		}},
		{"a panic", orchestrator.Summary{Guard: "g", Attempts: 1, Outcome: domain.Failure, Panicked: true, Duration: time.Millisecond}, []string{
			"holdfast.calls{guard=g outcome=failure error.type=panic} 1",
			"holdfast.call.attempts{guard=g} 1",
			"holdfast.call.duration{guard=g outcome=failure} 1",
		}},
		{"this replica's own trouble, without a guard", orchestrator.Summary{Attempts: 1, Outcome: domain.LocalFailure, Err: errBackend}, []string{
			"holdfast.calls{outcome=local_failure error.type=_OTHER} 1",
			"holdfast.call.attempts{} 1",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			book := newLedger(t)
			r := telemetry.NewRecorder(book)
			ctx := r.Start(t.Context(), tt.call.Guard)
			if ctx != t.Context() {
				t.Error("a call gets another context")
			}
			r.End(ctx, tt.call)
			wantLines(t, book.grown(), tt.want...)
		})
	}
}

// TestSteps: what a part did counts for the metric of its kind.
func TestSteps(t *testing.T) {
	const (
		limit, breaker, bulkhead = orchestrator.PartLimit, orchestrator.PartBreaker, orchestrator.PartBulkhead
		exclusive, retry, hedge  = orchestrator.PartExclusive, orchestrator.PartRetry, orchestrator.PartHedge
	)
	for want, step := range map[string]orchestrator.Step{
		"holdfast.limit.decisions{guard=g limit=n result=allowed degraded=false} 1":       {Part: limit, Result: orchestrator.ResultAllowed},
		"holdfast.limit.decisions{guard=g limit=n result=allowed degraded=true} 1":        {Part: limit, Result: orchestrator.ResultAllowed, Degraded: true},
		"holdfast.limit.decisions{guard=g limit=n result=shadowed degraded=false} 1":      {Part: limit, Result: orchestrator.ResultShadowed},
		"holdfast.limit.decisions{guard=g limit=n result=refused degraded=false} 1":       {Part: limit, Result: orchestrator.ResultRefused},
		"holdfast.limit.decisions{guard=g limit=n result=failed degraded=false} 1":        {Part: limit, Result: orchestrator.ResultFailed},
		"holdfast.breaker.decisions{guard=g breaker=n result=allowed} 1":                  {Part: breaker, Result: orchestrator.ResultAllowed},
		"holdfast.breaker.decisions{guard=g breaker=n result=refused} 1":                  {Part: breaker, Result: orchestrator.ResultRefused},
		"holdfast.breaker.reports{guard=g breaker=n outcome=success} 1":                   {Part: breaker, Result: orchestrator.ResultReported},
		"holdfast.breaker.reports{guard=g breaker=n outcome=local_failure} 1":             {Part: breaker, Result: orchestrator.ResultReported, Outcome: domain.LocalFailure},
		"holdfast.breaker.reports{guard=g breaker=n outcome=ignored} 1":                   {Part: breaker, Result: orchestrator.ResultReported, Outcome: 99},
		"holdfast.bulkhead.decisions{guard=g bulkhead=n result=refused degraded=true} 1":  {Part: bulkhead, Result: orchestrator.ResultRefused, Degraded: true},
		"holdfast.bulkhead.decisions{guard=g bulkhead=n result=failed degraded=false} 1":  {Part: bulkhead, Result: orchestrator.ResultFailed},
		"holdfast.bulkhead.decisions{guard=g bulkhead=n result=allowed degraded=false} 1": {Part: bulkhead, Result: orchestrator.ResultAllowed},
		"holdfast.exclusive.decisions{guard=g exclusive=n result=refused} 1":              {Part: exclusive, Result: orchestrator.ResultRefused},
		"holdfast.exclusive.losses{guard=g exclusive=n} 1":                                {Part: exclusive, Result: orchestrator.ResultLost},
		"holdfast.retry.decisions{guard=g budget=n result=again} 1":                       {Part: retry, Result: orchestrator.ResultAgain, Err: errBackend},
		"holdfast.retry.decisions{guard=g budget=n result=exhausted} 1":                   {Part: retry, Result: orchestrator.ResultGaveUp, Err: &domain.RetryExhaustedError{Err: &domain.BudgetExhaustedError{}}},
		"holdfast.retry.decisions{guard=g budget=n result=budget_empty} 1":                {Part: retry, Result: orchestrator.ResultGaveUp, Err: &domain.BudgetExhaustedError{}},
		"holdfast.hedge.decisions{guard=g budget=n result=again} 1":                       {Part: hedge, Result: orchestrator.ResultAgain},
		"holdfast.hedge.decisions{guard=g budget=n result=budget_empty} 1":                {Part: hedge, Result: orchestrator.ResultGaveUp, Err: domain.ErrBudgetExhausted},
		"holdfast.timeouts{guard=g} 1":                                                    {Part: orchestrator.PartTimeout, Result: orchestrator.ResultTimedOut},
	} {
		t.Run(want, func(t *testing.T) {
			book := newLedger(t)
			step.Guard = "g"
			if step.Part != orchestrator.PartTimeout {
				step.Name = "n"
			}
			r := telemetry.NewRecorder(book)
			r.Observe(t.Context(), step)
			wantLines(t, book.grown(), want)
			// Another guard's are its own.
			step.Guard = "h"
			r.Observe(t.Context(), step)
			wantLines(t, book.grown(), want, strings.Replace(want, "guard=g", "guard=h", 1))
		})
	}
}

// TestUnknownStepsCountForNothing: parts and results of a newer version are no panic.
func TestUnknownStepsCountForNothing(t *testing.T) {
	book := newLedger(t)
	r := telemetry.NewRecorder(book)
	r.Observe(t.Context(), orchestrator.Step{Part: 200, Result: orchestrator.ResultAllowed})
	r.Observe(t.Context(), orchestrator.Step{Part: orchestrator.PartLimit, Result: 200})
	wantLines(t, book.grown())
}

// TestSeriesBeginAtZero: all that a part can do is there from its first step on, so that
// the first refusal is one more than before.
func TestSeriesBeginAtZero(t *testing.T) {
	book := newLedger(t)
	telemetry.NewRecorder(book).Observe(t.Context(), orchestrator.Step{Guard: "g", Part: orchestrator.PartExclusive, Name: "n", Result: orchestrator.ResultAllowed})
	wantLines(t, book.names(),
		"holdfast.exclusive.decisions{guard=g exclusive=n result=allowed}",
		"holdfast.exclusive.decisions{guard=g exclusive=n result=refused}",
		"holdfast.exclusive.decisions{guard=g exclusive=n result=failed}",
		"holdfast.exclusive.losses{guard=g exclusive=n}",
	)
}

// TestStoreCalls: how long they took, what they carried and what came of it.
func TestStoreCalls(t *testing.T) {
	book := newLedger(t)
	r := telemetry.NewRecorder(book)
	r.StoreCall(t.Context(), fleet.StoreCall{Op: "bucket take", Items: 9, Took: 5 * time.Millisecond})
	r.StoreCall(t.Context(), fleet.StoreCall{Op: "bucket take", Items: 1, Took: 2 * time.Millisecond})
	r.StoreCall(t.Context(), fleet.StoreCall{Op: "lock give back", Items: 3, Failed: 2, Took: 100 * time.Millisecond, Err: context.DeadlineExceeded})
	wantLines(t, book.grown(),
		"holdfast.store.call.duration{op=bucket_take} 7",
		"holdfast.store.call.duration{op=lock_give_back error.type=timeout} 100",
		"holdfast.store.call.items{op=bucket_take result=answered} 10",
		"holdfast.store.call.items{op=lock_give_back result=answered} 1",
		"holdfast.store.call.items{op=lock_give_back result=failed} 2",
	)
}

// TestEvents: by kind and name; transitions by what changed, too; never by key or reason.
func TestEvents(t *testing.T) {
	book := newLedger(t)
	r := telemetry.NewRecorder(book)
	r.Event(domain.Event{Kind: domain.EventBreaker, Name: "b", Key: "tenant-7", Scope: domain.ScopeFleet, From: domain.StateOpen, To: domain.StateHalfOpen})
	r.Event(domain.Event{Kind: domain.EventStoreDown, Reason: errBackend.Error()})
	r.Event(domain.Event{Kind: domain.EventOverride, Name: "b", Key: "tenant-7", Force: domain.ForceMetricsOnly, By: "tenant-7"})
	wantLines(t, book.grown(),
		"holdfast.events{kind=breaker name=b} 1",
		"holdfast.breaker.transitions{breaker=b scope=fleet from=open to=half_open} 1",
		"holdfast.events{kind=store_down} 1",
		"holdfast.events{kind=override name=b} 1",
	)
}

// TestErrorTypes: the last attempt's error, in one of few words.
func TestErrorTypes(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{errBackend, "_OTHER"},
		{&domain.RetryExhaustedError{Err: errBackend}, "_OTHER"},
		{&domain.RetryExhaustedError{Err: &domain.TimeoutError{Err: context.DeadlineExceeded}}, "timeout"},
		{&domain.BudgetExhaustedError{Err: &domain.CircuitOpenError{Key: "tenant-7"}}, "circuit_open"},
		{&domain.RateLimitedError{Key: "tenant-7"}, "rate_limited"},
		{domain.ErrCostTooHigh, "cost_too_high"},
		{domain.ErrKeyMissing, "key_missing"},
		{&domain.BulkheadFullError{}, "bulkhead_full"},
		{&domain.ExclusiveError{}, "held_elsewhere"},
		{errors.Join(&domain.LockLostError{}, context.Canceled), "lock_lost"},
		{&domain.StoreError{Err: errBackend}, "store_unavailable"},
		{&domain.StoreError{Config: true, Err: errBackend}, "store_config"},
		{domain.ErrClosed, "closed"},
		{context.Canceled, "canceled"},
		{context.DeadlineExceeded, "deadline_exceeded"},
	} {
		if got := telemetry.ErrorType(tt.err); got != tt.want {
			t.Errorf("%v is %q; want %q", tt.err, got, tt.want)
		}
	}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{&domain.StoreError{Err: errBackend}, "store_unavailable"},
		{&domain.StoreError{Err: context.DeadlineExceeded}, "timeout"},
		{&domain.StoreError{Config: true, Err: context.DeadlineExceeded}, "store_config"},
		{&domain.StoreError{Entity: true, Err: errBackend}, "store_entity"},
		{errBackend, "store_unavailable"},
	} {
		if got := telemetry.StoreErrorType(tt.err); got != tt.want {
			t.Errorf("of a store, %v is %q; want %q", tt.err, got, tt.want)
		}
	}
}

// TestRecorderNeedsNoMemory: in the way of calls it allocates nothing once each series is
// there, but for failed calls whose errors are to be read.
func TestRecorderNeedsNoMemory(t *testing.T) {
	r := telemetry.NewRecorder(newLedger(t))
	ctx := t.Context()
	for name, f := range map[string]func(){
		"a call": func() { r.End(r.Start(ctx, "g"), orchestrator.Summary{Guard: "g", Attempts: 1}) },
		"a failed one": func() {
			r.End(ctx, orchestrator.Summary{Guard: "g", Attempts: 1, Outcome: domain.Failure, Err: errBackend})
		},
		"a step": func() {
			r.Observe(ctx, orchestrator.Step{Guard: "g", Part: orchestrator.PartLimit, Name: "l", Result: orchestrator.ResultAllowed})
		},
		"a call of a store": func() { r.StoreCall(ctx, fleet.StoreCall{Op: "bucket take", Items: 1}) },
	} {
		if got := testing.AllocsPerRun(100, f); got != 0 {
			t.Errorf("%s allocates %v times", name, got)
		}
	}
}

// TestSeriesAreMadeOnce: whoever comes first, the same series are asked for once.
func TestSeriesAreMadeOnce(t *testing.T) {
	book := newLedger(t)
	meter := &counting{ledger: book, asked: make(map[string]int)}
	r := telemetry.NewRecorder(meter)
	done := make(chan struct{})
	const together, times = 8, 50
	for range together {
		go func() {
			defer func() { done <- struct{}{} }()
			for range times {
				r.Observe(context.Background(), orchestrator.Step{Guard: "g", Part: orchestrator.PartTimeout, Result: orchestrator.ResultTimedOut})
			}
		}()
	}
	for range together {
		<-done
	}
	wantLines(t, book.grown(), "holdfast.timeouts{guard=g} 400")
	if got := meter.asked["holdfast.timeouts"]; got != 1 {
		t.Errorf("the series was made %d times", got)
	}
}

type counting struct {
	*ledger

	asked map[string]int // under the cache's lock
}

func (c *counting) Adder(m *telemetry.Metric, values ...string) telemetry.Adder {
	c.asked[m.Name]++
	return c.ledger.Adder(m, values...)
}

// TestWords: no label says anything that a query language stumbles over.
func TestWords(t *testing.T) {
	book := newLedger(t)
	r := telemetry.NewRecorder(book)
	for kind := domain.EventBreaker; kind <= domain.EventLockLost; kind++ {
		r.Event(domain.Event{Kind: kind})
	}
	for _, name := range book.names() {
		if _, labels, _ := strings.Cut(name, "{"); strings.ContainsAny(labels, "-") || strings.Contains(labels, "unknown") {
			t.Errorf("there is %q", name)
		}
	}
}
