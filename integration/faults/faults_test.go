package faults

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// env lets the faults happen: `make faults` sets it, and CI runs that.
const env = "HOLDFAST_FAULTS"

// A fault is one row of the matrix: what breaks, and the test that breaks it.
type fault struct {
	what string
	test func(t *testing.T)
}

// TestFaults is the matrix. Each row is a failure that fleets have seen, and
// asserts what a user would want then.
func TestFaults(t *testing.T) {
	if os.Getenv(env) == "" {
		t.Skipf("`make faults` runs it: %s is not set", env)
	}
	for i, f := range matrix() {
		t.Run(fmt.Sprintf("%02d %s", i+1, f.what), func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			t.Cleanup(func() { noneIsLeft(t, before) }) // the last one
			f.test(t)
		})
	}
}

// noneIsLeft waits until whatever a row began has ended. A client that is closed
// while its server is gone ends a second later.
func noneIsLeft(t *testing.T, before goleak.Option) {
	t.Helper()
	for end := time.Now().Add(patience); ; {
		err := goleak.Find(before)
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Error(err)
			return
		}
	}
}

func matrix() []fault {
	return []fault{
		{"Redis is killed", redisIsKilled},
		{"Redis hangs", redisHangs},
		{"Redis is slow", redisIsSlow},
		{"replies are lost", repliesAreLost},
		{"connections are reset", connectionsAreReset},
		{"the network swallows everything", networkSwallows},
		{"memory is full", memoryIsFull},
		{"Redis is a read replica", redisIsReadOnly},
		{"Redis is loading", redisIsLoading},
		{"somebody's script runs for long", redisIsBusy},
		{"permissions are revoked", permissionsAreRevoked},
		{"the password is rotated", passwordIsRotated},
		{"the certificate is replaced", certificateIsReplaced},
		{"there is no Redis at the start", noRedisAtStart},
		{"the application holds all connections", poolIsExhausted},
		{"too many clients", tooManyClients},
		{"scripts are flushed in a loop", scriptsAreFlushed},
		{"all state is flushed", stateIsFlushed},
		{"our keys are evicted", keysAreEvicted},
		{"the state is poisoned", stateIsPoisoned},
		{"the state is of a newer version", stateIsNewer},
		{"one replica alone is cut off", oneReplicaIsCutOff},
		{"a replica dies with a probe", replicaDiesWithProbe},
		{"pushes are lost", pushesAreLost},
		{"one key is hot", oneKeyIsHot},
		{"keys come without end", keysWithoutEnd},
		{"keys are hostile", keysAreHostile},
		{"callers have no time", callersHaveNoTime},
		{"a cluster loses a master", clusterLosesMaster},
		{"a cluster moves slots", slotsMove},
		{"a failover loses writes", masterIsLost},
		{"an old master comes back", masterComesBack},
		{"the server's clock jumps", clockJumps},
		{"a deploy changes a limit", deployChangesLimit},
		{"Redis hangs under leases and a queue", aheadThroughAHang},
		{"Redis hangs under a bulkhead", roomThroughAHang},
		{"Redis hangs, and forgets, under an override", overrideThroughFaults},
		{"Redis hangs under a lock", lockThroughAHang},
		{"Redis is killed under a lock", lockThroughACrash},
		{"Redis hangs under a breaker with keys", keysThroughAHang},
	}
}
