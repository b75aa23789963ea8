// Package wiring joins fleets for the programs in same, which so change in two lines.
package wiring

import (
	"log"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
	redisstore "github.com/holdfast-go/holdfast/store/redis"
)

// OnRedis joins the fleet whose state is behind a client.
func OnRedis(client *redis.Client) *orchestrator.Orchestrator {
	return join(redisstore.New(client, "migrating", redisstore.Options{}).Stores())
}

// InMemory is a fleet of one.
func InMemory() *orchestrator.Orchestrator { return join(memory.New(memory.Options{}).Stores()) }

func join(stores port.Stores) *orchestrator.Orchestrator {
	// A slow machine must not make a decision that is the store's.
	orch, err := orchestrator.New(stores, orchestrator.Config{Fleet: fleet.Config{StoreTimeout: 2 * time.Second}})
	if err != nil {
		log.Fatal(err)
	}
	return orch
}

// Must ends the program where there is an error.
func Must[T any](made T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return made
}
