package holdfast_test

import (
	"context"
	"fmt"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
)

// A call whose cost is known only afterwards takes what it probably costs, waits for
// that if it must, and settles the difference.
func Example_settle() {
	ctx := context.Background()
	orch, err := orchestrator.New(memory.New(memory.Options{}).Stores(), orchestrator.Config{})
	if err != nil {
		panic(err)
	}
	defer func() { _ = orch.Close(ctx) }()

	limit, err := orch.Limiter(hold.RateLimit{Name: "model_tokens", Limit: hold.Per(10_000, 24*time.Hour)})
	if err != nil {
		panic(err)
	}
	estimate, used := int64(4000), int64(1500)
	tokens, err := limit.Reserve(ctx, "", estimate)
	if err != nil {
		panic(err)
	}
	if err := tokens.Wait(ctx); err != nil {
		panic(err)
	}
	// Here is the call, whose answer says what it used.
	if err := tokens.Settle(ctx, used); err != nil {
		panic(err)
	}
	left, err := limit.Peek(ctx, "")
	if err != nil {
		panic(err)
	}
	fmt.Println("left:", left.Remaining)
	// Output: left: 8500
}
