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

// Work that can wait takes a place in the queue of the whole fleet, in place of being
// refused. Work whose caller has no time for that is refused at once.
func Example_waitInsteadOfRefusing() {
	ctx := context.Background()
	orch, err := orchestrator.New(memory.New(memory.Options{}).Stores(), orchestrator.Config{})
	if err != nil {
		panic(err)
	}
	defer func() { _ = orch.Close(ctx) }()
	guard, err := orch.Guard("newsletter", hold.RateLimit{
		Limit:   hold.PerSecond(50).WithBurst(1),
		MaxWait: time.Minute, // 0 refuses at once
	})
	if err != nil {
		panic(err)
	}
	sent := 0
	for range 5 {
		if err := orchestrator.Run(ctx, guard, func(context.Context) error { sent++; return nil }); err != nil {
			panic(err)
		}
	}
	hurried, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	err = orchestrator.Run(hurried, guard, func(context.Context) error { sent++; return nil })
	fmt.Println(sent, "sent; the hurried one is refused:", errors.Is(err, hold.ErrRateLimited))
	// Output: 5 sent; the hurried one is refused: true
}
