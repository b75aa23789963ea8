package holdfast_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/orchestrator"
	redisstore "github.com/holdfast-go/holdfast/store/redis"
)

// Without Redis each limit does what it declares, breakers work by what this replica sees,
// and no call waits longer than StoreTimeout. Here nobody listens at the address; that
// the replica starts all the same is part of it.
func Example_withoutRedis() {
	ctx := context.Background()
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer func() { _ = client.Close() }()
	down := make(chan hold.Event, 1)
	orch, err := orchestrator.New(redisstore.New(client, "shop", redisstore.Options{}).Stores(), orchestrator.Config{
		Fleet: fleet.Config{OnEvent: func(e hold.Event) {
			if e.Kind == hold.EventStoreDown {
				down <- e
			}
		}},
	})
	if err != nil {
		panic(err)
	}
	defer func() { _ = orch.Close(ctx) }()

	for _, limit := range []hold.RateLimit{
		{Name: "search", Limit: hold.PerSecond(100), Outage: hold.OutageOpen},   // rather too much than nothing
		{Name: "login", Limit: hold.PerMinute(5), Outage: hold.OutageClosed},    // rather nothing than too much
		{Name: "sms", Limit: hold.PerSecond(10), Outage: hold.OutageLocalShare}, // its part; closed until Redis was seen once
	} {
		guard, err := orch.Guard(limit.Name, limit)
		if err != nil {
			panic(err)
		}
		err = orchestrator.Run(ctx, guard, func(context.Context) error { return nil })
		fmt.Printf("%s: admitted %v, for want of a store %v\n", limit.Name, err == nil, errors.Is(err, hold.ErrStoreUnavailable))
	}
	fmt.Println("told once:", (<-down).Kind)
	// Output:
	// search: admitted true, for want of a store false
	// login: admitted false, for want of a store true
	// sms: admitted false, for want of a store true
	// told once: store down
}
