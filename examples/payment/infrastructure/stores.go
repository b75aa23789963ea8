package infrastructure

import (
	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/store/memory"
	redisstore "github.com/holdfast-go/holdfast/store/redis"
)

// fleet is what the replicas of this service call their part of Redis.
const fleet = "payment-example"

// Stores keep the limits and breakers: in this process, or in the Redis at an address,
// for all replicas. close lets go of the connections.
func Stores(address string) (stores port.Stores, closeStores func() error) {
	if address == "" {
		return memory.New(memory.Options{}).Stores(), func() error { return nil }
	}
	client := redis.NewClient(&redis.Options{Addr: address, ContextTimeoutEnabled: true})
	return redisstore.New(client, fleet, redisstore.Options{}).Stores(), client.Close
}
