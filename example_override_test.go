package holdfast_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/operate"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
)

// An operator stops a whole fleet's calls for a while, says why, and thinks better of it.
// The command does the same: holdfast override payments open --for 10m --reason why.
func Example_override() {
	stores := memory.New(memory.Options{}).Stores()
	orch, err := orchestrator.New(stores, orchestrator.Config{})
	if err != nil {
		panic(err)
	}
	defer func() { _ = orch.Close(context.Background()) }()

	guard, err := orch.Guard("payments", hold.CircuitBreaker{})
	if err != nil {
		panic(err)
	}
	desk, err := operate.New(stores, "ann")
	if err != nil {
		panic(err)
	}
	ctx, payments := context.Background(), port.ID{Name: "payments"}
	charge := func() error {
		return orchestrator.Run(ctx, guard, func(context.Context) error { return nil })
	}

	order := hold.Override{Force: hold.ForceOpen, For: 10 * time.Minute, Reason: "the provider asked"}
	if err := desk.Override(ctx, payments, order); err != nil {
		panic(err)
	}
	if open, ok := errors.AsType[*hold.CircuitOpenError](charge()); ok {
		fmt.Printf("refused by the %s: %s\n", open.Scope, open.Reason)
	}

	if err := desk.Override(ctx, payments, hold.Override{Force: hold.ForceNone}); err != nil {
		panic(err)
	}
	for tries := 0; charge() != nil && tries < 1000; tries++ { // it takes a moment to be heard
		time.Sleep(time.Millisecond)
	}
	events, err := desk.Events(ctx, payments)
	fmt.Println(len(events), err)
	// Output:
	// refused by the operator: the provider asked
	// 2 <nil>
}
