package holdfast_test

import (
	"context"
	"fmt"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
)

// A consumer that sizes its batches by what the fleet's limit has left: it takes
// up to a whole batch, and is charged for what it was granted only.
func Example_partialTake() {
	orch, err := orchestrator.New(memory.New(memory.Options{}).Stores(), orchestrator.Config{})
	if err != nil {
		panic(err)
	}
	defer func() { _ = orch.Close(context.Background()) }()

	limit, err := orch.Limiter(hold.RateLimit{Name: "mails", Limit: hold.PerHour(8)})
	if err != nil {
		panic(err)
	}
	for range 3 {
		decision, err := limit.AllowUpTo(context.Background(), "", 5)
		if err != nil {
			panic(err)
		}
		fmt.Println("send", decision.Granted)
	}
	// Output:
	// send 5
	// send 3
	// send 0
}
