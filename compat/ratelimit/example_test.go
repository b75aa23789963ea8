package ratelimit_test

import (
	"context"
	"fmt"

	redis_rate "github.com/holdfast-go/holdfast/compat/ratelimit"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
)

// The import and the constructor are what changes: in production the orchestrator is
// over the Redis that NewLimiter was given before.
func Example() {
	ctx := context.Background()
	orch, err := orchestrator.New(memory.New(memory.Options{}).Stores(), orchestrator.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = orch.Close(ctx) }()
	limiter := redis_rate.NewLimiter(orch)

	for range 3 {
		res, err := limiter.Allow(ctx, "project:123", redis_rate.PerHour(2))
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("allowed", res.Allowed, "remaining", res.Remaining)
	}
	// Output:
	// allowed 1 remaining 1
	// allowed 1 remaining 0
	// allowed 0 remaining 0
}
