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

// What an error means is said where it is known: by the function that made the
// call. Marks change neither its text nor what it matches.
func Example_errors() {
	orch, err := orchestrator.New(memory.New(memory.Options{}).Stores(), orchestrator.Config{})
	if err != nil {
		panic(err)
	}
	defer func() { _ = orch.Close(context.Background()) }()
	guard, err := orch.Guard("orders", hold.Combine(
		hold.Retry{MaxAttempts: 2, Backoff: hold.Fixed(time.Millisecond)}, hold.CircuitBreaker{},
	))
	if err != nil {
		panic(err)
	}

	errNotFound, errBusy, errPool := errors.New("no such order"), errors.New("busy"), errors.New("no free connection")
	for _, err := range []error{
		hold.MarkPermanent(hold.MarkIgnored(errNotFound)), // the caller's mistake: do not retry, do not count
		hold.MarkRetryAfter(errBusy, 5*time.Millisecond),  // wait as long as it asks
		hold.MarkLocal(errPool),                           // this replica's own trouble: the fleet need not know
	} {
		attempts := 0
		got := orchestrator.Run(context.Background(), guard, func(context.Context) error {
			attempts++
			return err
		})
		fmt.Printf("%d attempts: %v\n", attempts, got)
	}
	// Output:
	// 1 attempts: no such order
	// 2 attempts: retry exhausted after 2 attempts: busy
	// 2 attempts: retry exhausted after 2 attempts: no free connection
}

// There is no fallback policy: what to do instead is an if.
func Example_fallback() {
	orch, err := orchestrator.New(memory.New(memory.Options{}).Stores(), orchestrator.Config{})
	if err != nil {
		panic(err)
	}
	defer func() { _ = orch.Close(context.Background()) }()
	guard, err := orch.Guard("rates", hold.RateLimit{Limit: hold.PerMinute(1)})
	if err != nil {
		panic(err)
	}

	fetch := func(context.Context) (float64, error) { return 1.0842, nil }
	for range 2 {
		rate, err := orchestrator.Do(context.Background(), guard, fetch)
		if errors.Is(err, hold.ErrRateLimited) {
			rate, err = 1.08, nil // the last one known
		}
		fmt.Println(rate, err)
	}
	// Output:
	// 1.0842 <nil>
	// 1.08 <nil>
}
