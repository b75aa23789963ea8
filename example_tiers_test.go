package holdfast_test

import (
	"context"
	"fmt"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
)

// Tenants with limits of their own: who is not in the table has the policy's.
func Example_tiers() {
	paid := map[string]hold.Limit{
		"acme":   hold.PerMinute(60).WithBurst(4),
		"globex": hold.PerMinute(60).WithBurst(2),
	}
	orch, err := orchestrator.New(memory.New(memory.Options{}).Stores(), orchestrator.Config{
		Fleet: fleet.Config{LimitFor: func(_, tenant string) (hold.Limit, bool) {
			limit, ok := paid[tenant]
			return limit, ok
		}},
	})
	if err != nil {
		panic(err)
	}
	defer func() { _ = orch.Close(context.Background()) }()

	limit, err := orch.Limiter(hold.RateLimit{Name: "api", Keyed: true, Limit: hold.PerMinute(60).WithBurst(1)})
	if err != nil {
		panic(err)
	}
	for _, tenant := range []string{"acme", "globex", "initech"} {
		decision, err := limit.AllowUpTo(context.Background(), tenant, 100)
		if err != nil {
			panic(err)
		}
		fmt.Println(tenant, decision.Granted)
	}
	// Output:
	// acme 4
	// globex 2
	// initech 1
}
