package holdfast_test

import (
	"context"
	"errors"
	"fmt"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
)

// A breaker for each shard of a database: one that fails is not asked any more, and the
// others do not notice. The key comes with the call.
func Example_breakerPerShard() {
	orch, err := orchestrator.New(memory.New(memory.Options{}).Stores(), orchestrator.Config{})
	if err != nil {
		panic(err)
	}
	defer func() { _ = orch.Close(context.Background()) }()

	guard, err := orch.Guard("read", hold.CircuitBreaker{Name: "shards", Keyed: true, FailureThreshold: 2, MaxOpenShare: 0.5})
	if err != nil {
		panic(err)
	}
	for _, shard := range []string{"east", "west", "west", "west", "north", "east"} {
		row, err := orchestrator.Do(context.Background(), guard, func(context.Context) (string, error) {
			if shard == "west" {
				return "", errors.New("west: connection reset")
			}
			return "a row of " + shard, nil
		}, orchestrator.Key(shard))
		if open, refused := errors.AsType[*hold.CircuitOpenError](err); refused {
			fmt.Println(open.Key, "is known to be down")
			continue
		}
		fmt.Println(row, err)
	}
	_, err = orchestrator.Do(context.Background(), guard, func(context.Context) (string, error) { return "", nil })
	fmt.Println(err)
	// Output:
	// a row of east <nil>
	//  west: connection reset
	//  west: connection reset
	// west is known to be down
	// a row of north <nil>
	// a row of east <nil>
	// key missing: breaker "shards"
}
