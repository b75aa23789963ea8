package holdfast_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
)

// A guard with everything: one deadline for the whole, three attempts, a breaker
// that sees each of them, a limit that each of them takes from, and a deadline
// for each.
func Example() {
	orch, err := orchestrator.New(memory.New(memory.Options{}).Stores(), orchestrator.Config{})
	if err != nil {
		panic(err)
	}
	defer func() { _ = orch.Close(context.Background()) }()

	guard, err := orch.Guard("payments", hold.Combine(
		hold.Timeout{Duration: 2 * time.Second},
		hold.Retry{MaxAttempts: 3, Backoff: hold.Fixed(time.Millisecond)},
		hold.CircuitBreaker{FailureRatio: 0.5},
		hold.RateLimit{Limit: hold.PerSecond(100)},
		hold.Timeout{Duration: 500 * time.Millisecond},
	))
	if err != nil {
		panic(err) // a policy that cannot be meant; it names the field
	}

	attempts := 0
	receipt, err := orchestrator.Do(context.Background(), guard, func(context.Context) (string, error) {
		attempts++
		if attempts < 3 {
			return "", errors.New("connection reset by peer")
		}
		return "receipt 1001", nil
	})
	fmt.Println(receipt, err, "after", attempts, "attempts")
	// Output: receipt 1001 <nil> after 3 attempts
}
