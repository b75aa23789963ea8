package redisstore

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// After a failover go-redis may keep its map of a cluster for a minute, and ask a
// node that is gone. So when a node does not answer the map is read again: at
// once and, as the cluster may not have noticed by then, for a while whenever
// anything is asked.
const (
	doubtFor    = 5 * time.Second
	reloadEvery = 200 * time.Millisecond
)

// A topology is what is thought of a cluster's map. The zero one, of another kind
// of server, is never in doubt. It is safe for concurrent use.
type topology struct {
	cluster *redis.ClusterClient

	mu       sync.Mutex
	doubted  time.Time // when a node last did not answer
	reloaded time.Time // when the map was last asked for
}

// hear keeps what a call says of the map.
func (t *topology) hear(ctx context.Context, err error) {
	if t.cluster == nil {
		return
	}
	at := now()
	t.mu.Lock()
	if err != nil && !isAnswer(err) {
		t.doubted = at
	}
	reload := !t.doubted.IsZero() && at.Sub(t.doubted) < doubtFor && at.Sub(t.reloaded) >= reloadEvery
	if reload {
		t.reloaded = at
	}
	t.mu.Unlock()
	if reload {
		t.cluster.ReloadState(ctx) // which does not wait for it
	}
}

// isAnswer reports whether err is the word of a node that is well.
func isAnswer(err error) bool {
	if _, said := errors.AsType[redis.Error](err); !said {
		return false
	}
	return !redis.IsClusterDownError(err) && !redis.IsReadOnlyError(err)
}
