package holdfast_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
)

// A read that takes long is sent again while it runs; the first answer wins, and the
// other try is cancelled. At most ten calls a second are, in the whole fleet.
func Example_hedge() {
	orch, err := orchestrator.New(memory.New(memory.Options{}).Stores(), orchestrator.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = orch.Close(context.Background()) }()

	guard, err := orch.Guard("prices", hold.Combine(
		hold.Timeout{Duration: time.Minute},
		hold.Hedge{Delay: time.Millisecond, Budget: hold.RetryBudget{PerSecond: 10}},
	))
	if err != nil {
		fmt.Println(err)
		return
	}
	var tries atomic.Int64
	price, err := orchestrator.DoIdempotent(context.Background(), guard, func(ctx context.Context) (string, error) {
		if tries.Add(1) == 1 {
			<-ctx.Done() // a replica of the dependency that hangs
			return "", ctx.Err()
		}
		return "42.00", nil
	})
	fmt.Println(price, err)
	// Output: 42.00 <nil>
}
