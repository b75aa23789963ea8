package redisstore

import (
	"fmt"

	"github.com/redis/go-redis/v9"
)

// poolLeast is the smallest pool that leaves a connection to this package while
// the application waits on another: one each for flights, probes and reports.
const poolLeast = 4

// Warnings names the options of the client that hurt, each with what to do. It
// implements port.Adviser, so a replica that joins logs them.
func (s *Store) Warnings() []string {
	switch c := s.link.client.(type) {
	case *redis.Client:
		return warningsOfClient(c.Options())
	case *redis.ClusterClient:
		return warningsOfCluster(c.Options())
	case *redis.Ring:
		return warningsOfRing(c.Options())
	default:
		return nil
	}
}

func warningsOfClient(o *redis.Options) (all []string) {
	if o.DB != 0 {
		all = append(all, fmt.Sprintf("DB is %d, but channels are one for all databases: "+
			"fleets on different databases need different names", o.DB))
	}
	if o.Limiter != nil {
		all = append(all, "Limiter is set: a call that it refuses looks like a failure of the store")
	}
	return append(all, warningsOfPool(o.PoolSize)...)
}

func warningsOfCluster(o *redis.ClusterOptions) (all []string) {
	if o.MaxRedirects < 1 {
		all = append(all, "MaxRedirects is below 1: calls fail whenever slots move")
	}
	all = append(all, warningsOfTimeout(o.ContextTimeoutEnabled)...)
	return append(all, warningsOfPool(o.PoolSize)...)
}

func warningsOfRing(o *redis.RingOptions) (all []string) {
	all = append(all, "a Ring asks another server when one does not answer: what that one held begins anew there")
	all = append(all, warningsOfTimeout(o.ContextTimeoutEnabled)...)
	return append(all, warningsOfPool(o.PoolSize)...)
}

func warningsOfTimeout(enabled bool) []string {
	if enabled {
		return nil
	}
	return []string{"ContextTimeoutEnabled is not set: a call to a node that hangs is left behind until ReadTimeout, " +
		"and holds its connection for so long"}
}

func warningsOfPool(size int) []string {
	if size == 0 || size >= poolLeast { // a Ring leaves 0 to its servers' clients
		return nil
	}
	return []string{fmt.Sprintf("PoolSize is %d: give this store %d connections, or a client of its own", size, poolLeast)}
}
