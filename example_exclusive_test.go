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

// Two replicas want to write the same report: one does, and the other learns that it need
// not. The fencing token tells the place where it is written who came later.
func Example_exclusive() {
	stores := memory.New(memory.Options{}).Stores() // with Redis: see contrib/redsync
	guards := make([]*orchestrator.Guard, 2)
	for i := range guards {
		orch, err := orchestrator.New(stores, orchestrator.Config{})
		if err != nil {
			panic(err)
		}
		defer func() { _ = orch.Close(context.Background()) }()
		guards[i], err = orch.Guard("report", hold.Exclusive{MaxHold: 10 * time.Minute})
		if err != nil {
			panic(err)
		}
	}

	var first uint64
	err := orchestrator.Run(context.Background(), guards[0], func(ctx context.Context) error {
		first, _ = orchestrator.Fence(ctx)
		err := orchestrator.Run(ctx, guards[1], func(context.Context) error { return nil })
		fmt.Println("while one writes, the other is refused:", errors.Is(err, hold.ErrNotExclusive))
		return nil
	})
	fmt.Println("written:", err == nil)
	_ = orchestrator.Run(context.Background(), guards[1], func(ctx context.Context) error {
		second, _ := orchestrator.Fence(ctx)
		fmt.Println("the next one has a higher token:", second > first)
		return nil
	})
	// Output:
	// while one writes, the other is refused: true
	// written: true
	// the next one has a higher token: true
}
