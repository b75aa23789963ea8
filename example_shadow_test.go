package holdfast_test

import (
	"context"
	"fmt"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
)

// A shadowLog prints which calls a limit in shadow mode would have refused. In a
// service it would count them.
type shadowLog struct{}

func (shadowLog) Start(ctx context.Context, _ string) context.Context { return ctx }

func (shadowLog) End(_ context.Context, s orchestrator.Summary) {
	if s.ShadowedBy != "" {
		fmt.Printf("%s: %s would have refused it\n", s.Guard, s.ShadowedBy)
	}
}

// A new limit is tried on real calls before it refuses any: with Shadow it
// decides and counts as always, and lets everything through.
func Example_shadow() {
	orch, err := orchestrator.New(memory.New(memory.Options{}).Stores(), orchestrator.Config{Observer: shadowLog{}})
	if err != nil {
		panic(err)
	}
	defer func() { _ = orch.Close(context.Background()) }()

	guard, err := orch.Guard("search", hold.RateLimit{Name: "index", Limit: hold.PerHour(2), Shadow: true})
	if err != nil {
		panic(err)
	}
	for i := range 3 {
		found, err := orchestrator.Do(context.Background(), guard, func(context.Context) (int, error) { return i, nil })
		fmt.Println(found, err)
	}
	// Output:
	// 0 <nil>
	// 1 <nil>
	// search: index would have refused it
	// 2 <nil>
}
