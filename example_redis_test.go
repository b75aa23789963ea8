package holdfast_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/orchestrator"
	redisstore "github.com/holdfast-go/holdfast/store/redis"
)

// Two replicas of one service share a limit through Redis: only the line that
// makes the store differs from a program in one process.
func Example_redis() {
	server, err := miniredis.Run() // in production, a Redis that is there already
	if err != nil {
		panic(err)
	}
	defer server.Close()

	replicas := make([]*orchestrator.Guard, 2)
	for i := range replicas {
		client := redis.NewClient(&redis.Options{Addr: server.Addr()})
		defer func() { _ = client.Close() }()
		orch, err := orchestrator.New(redisstore.New(client, "shop", redisstore.Options{}).Stores(), orchestrator.Config{
			Fleet: fleet.Config{StoreTimeout: 5 * time.Second}, // 100 ms by default; machines that run tests can be slow
		})
		if err != nil {
			panic(err)
		}
		defer func() { _ = orch.Close(context.Background()) }()
		replicas[i], err = orch.Guard("export", hold.RateLimit{Limit: hold.PerHour(3), Outage: hold.OutageClosed})
		if err != nil {
			panic(err)
		}
	}

	for i := range 4 {
		err := orchestrator.Run(context.Background(), replicas[i%2], func(context.Context) error { return nil })
		fmt.Println("replica", i%2, "refused:", errors.Is(err, hold.ErrRateLimited))
	}
	// Output:
	// replica 0 refused: false
	// replica 1 refused: false
	// replica 0 refused: false
	// replica 1 refused: true
}
