package holdfast_test

import (
	"context"
	"errors"
	"fmt"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
)

// At most one call of the whole fleet runs at a time: the partner allows no more.
func Example_bulkhead() {
	orch, err := orchestrator.New(memory.New(memory.Options{}).Stores(), orchestrator.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = orch.Close(context.Background()) }()

	guard, err := orch.Guard("partner", hold.Bulkhead{MaxConcurrent: 1, Fleet: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	err = orchestrator.Run(context.Background(), guard, func(ctx context.Context) error {
		// While this call runs, another one has no room.
		return orchestrator.Run(ctx, guard, func(context.Context) error { return nil })
	})
	fmt.Println(errors.Is(err, hold.ErrBulkheadFull))
	// Output: true
}
