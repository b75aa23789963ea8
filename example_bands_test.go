package holdfast_test

import (
	"context"
	"errors"
	"fmt"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
)

// A provider allows two calls a second and three an hour: that is one limit of
// two bands. A refusal says which of them it was.
func Example_limitOfSeveralBands() {
	orch, err := orchestrator.New(memory.New(memory.Options{}).Stores(), orchestrator.Config{})
	if err != nil {
		panic(err)
	}
	defer func() { _ = orch.Close(context.Background()) }()

	limit, err := orch.Limiter(hold.RateLimit{Name: "sms", Limit: hold.PerSecond(2), Also: hold.Bands{hold.PerHour(3)}})
	if err != nil {
		panic(err)
	}
	for _, messages := range []int64{2, 2, 3} {
		decision, err := limit.AllowN(context.Background(), "", messages)
		switch {
		case errors.Is(err, hold.ErrCostTooHigh):
			fmt.Println(messages, "messages: more than the limit holds")
		case err != nil:
			panic(err)
		case !decision.Allowed:
			fmt.Println(messages, "messages: refused by band", decision.Band)
		default:
			fmt.Println(messages, "messages: sent")
		}
	}
	// Output:
	// 2 messages: sent
	// 2 messages: refused by band 1
	// 3 messages: more than the limit holds
}
