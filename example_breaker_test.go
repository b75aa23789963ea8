package holdfast_test

import (
	"context"
	"errors"
	"fmt"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
)

// Two guards for one third party: they name the same breaker, so what one learns
// holds for the other, and on Redis for every replica.
func Example_sharedBreaker() {
	orch, err := orchestrator.New(memory.New(memory.Options{}).Stores(), orchestrator.Config{})
	if err != nil {
		panic(err)
	}
	defer func() { _ = orch.Close(context.Background()) }()

	bank := hold.CircuitBreaker{Name: "bank", FailureThreshold: 2}
	charge, err := orch.Guard("charge", bank) // a payment must not be made twice
	if err != nil {
		panic(err)
	}
	balance, err := orch.Guard("balance", hold.Combine(hold.Retry{}, bank)) // reading may be repeated
	if err != nil {
		panic(err)
	}

	down := func(context.Context) (int, error) { return 0, errors.New("bank: 503") }
	for range 2 {
		_, err = orchestrator.Do(context.Background(), charge, down)
		fmt.Println(err)
	}
	_, err = orchestrator.Do(context.Background(), balance, down)
	if errors.Is(err, hold.ErrCircuitOpen) {
		fmt.Println("balance: not asked, the bank is known to be down")
	}
	// Output:
	// bank: 503
	// bank: 503
	// balance: not asked, the bank is known to be down
}

// A breaker by itself, for what does not end with the return of a function, such
// as a stream. Every permit is reported once, whatever came of the call.
func Example_stream() {
	orch, err := orchestrator.New(memory.New(memory.Options{}).Stores(), orchestrator.Config{})
	if err != nil {
		panic(err)
	}
	defer func() { _ = orch.Close(context.Background()) }()

	breaker, err := orch.Breaker(hold.CircuitBreaker{Name: "quotes", FailureThreshold: 1})
	if err != nil {
		panic(err)
	}
	permit, err := breaker.Acquire(context.Background())
	if err != nil {
		panic(err)
	}
	err = errors.New("stream broken off") // … hours later
	permit.Report(hold.Classify(err))
	fmt.Println(breaker.Status().State)
	// Output: open
}
