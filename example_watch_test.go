package holdfast_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
)

// A lastCall is an observer that keeps how the last call went. A real one starts
// a span and counts.
type lastCall struct{ orchestrator.Summary }

// Start may put a span into the context that the call then runs in.
func (*lastCall) Start(ctx context.Context, _ string) context.Context { return ctx }

// End is called once for each call, also when it panicked.
func (l *lastCall) End(_ context.Context, s orchestrator.Summary) { l.Summary = s }

// Three ways to look: events tell what changed, an observer sees each call,
// status is read.
func Example_watching() {
	events, last := make(chan hold.Event, 1), &lastCall{}
	orch, err := orchestrator.New(memory.New(memory.Options{}).Stores(), orchestrator.Config{
		Fleet:    fleet.Config{OnEvent: func(e hold.Event) { events <- e }},
		Observer: last,
	})
	if err != nil {
		panic(err)
	}
	defer func() { _ = orch.Close(context.Background()) }()
	guard, err := orch.Guard("mail", hold.CircuitBreaker{FailureThreshold: 1, RecoveryTimeout: time.Minute})
	if err != nil {
		panic(err)
	}

	_ = orchestrator.Run(context.Background(), guard, func(context.Context) error { return errors.New("refused") })
	fmt.Println("observer:", last.Guard, last.Outcome, last.Err)

	e := <-events
	fmt.Println("event:", e.Name, "went from", e.From, "to", e.To, "in the", e.Scope)

	if breaker, ok := orch.CircuitBreaker("mail"); ok {
		fmt.Println("status:", breaker.Status().State)
	}
	// Output:
	// observer: mail failure refused
	// event: mail went from closed to open in the replica
	// status: open
}

// A guard's policy can change while it runs: counts, tokens and state are kept.
func Example_update() {
	orch, err := orchestrator.New(memory.New(memory.Options{}).Stores(), orchestrator.Config{})
	if err != nil {
		panic(err)
	}
	defer func() { _ = orch.Close(context.Background()) }()
	guard, err := orch.Guard("export", hold.RateLimit{Limit: hold.PerHour(1)})
	if err != nil {
		panic(err)
	}

	run := func() error {
		return orchestrator.Run(context.Background(), guard, func(context.Context) error { return nil })
	}
	fmt.Println(run(), errors.Is(run(), hold.ErrRateLimited))

	fmt.Println(orch.Update("export", hold.RateLimit{Limit: hold.PerHour(-5)}))
	fmt.Println(guard.Policy(), "still")

	// A higher Version wins in the whole fleet.
	fmt.Println(orch.Update("export", hold.Combine(hold.Retry{}, hold.RateLimit{Limit: hold.PerHour(500), Version: 2})))
	fmt.Println(guard.Policy())
	// Output:
	// <nil> true
	// update "export": invalid policy: rate_limit.Limit.Tokens must be positive
	// rate_limit(1/h) still
	// <nil>
	// retry() > rate_limit(500/h, version=2)
}
