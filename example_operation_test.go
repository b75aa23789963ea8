package holdfast_test

import (
	"context"
	"fmt"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
)

// GetQuote is an operation of a domain layer: it knows what it needs, and
// nothing of how that is done.
type GetQuote struct{ Symbol string }

// ResiliencePolicy declares what the operation needs. Its parts are named, as
// there is no guard to take a name from.
func (GetQuote) ResiliencePolicy() hold.Policy {
	return hold.Combine(
		hold.Timeout{Duration: time.Second},
		hold.RateLimit{Name: "quotes", Limit: hold.PerSecond(50)},
	)
}

// Execute does the work once.
func (q GetQuote) Execute(context.Context) (string, error) { return q.Symbol + " 42.00", nil }

// A domain that declares its policies with its operations.
func Example_operation() {
	orch, err := orchestrator.New(memory.New(memory.Options{}).Stores(), orchestrator.Config{})
	if err != nil {
		panic(err)
	}
	defer func() { _ = orch.Close(context.Background()) }()

	quote, err := orchestrator.Execute(context.Background(), orch, GetQuote{Symbol: "ACME"})
	fmt.Println(quote, err)
	fmt.Println(GetQuote{}.ResiliencePolicy())

	// In a test of the domain itself, the same runs bare.
	quote, err = orchestrator.Execute(context.Background(), orchestrator.Bypass(), GetQuote{Symbol: "ACME"})
	fmt.Println(quote, err)
	// Output:
	// ACME 42.00 <nil>
	// timeout(1s) > rate_limit(50/s, name=quotes)
	// ACME 42.00 <nil>
}
