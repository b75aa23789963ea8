package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
)

// A world is what lies around the fleet: what it depends on, and whom it serves.
type world struct {
	sick   atomic.Bool // the dependency fails
	keys   atomic.Int64
	calls  atomic.Int64
	events atomic.Int64 // that replicas told: of outages and of breakers
}

var errSick = errors.New("the dependency is sick")

// depend calls the dependency. Now and then it hangs.
func (w *world) depend(ctx context.Context) error {
	if _, bounded := ctx.Deadline(); bounded && rand.IntN(50) == 0 {
		<-ctx.Done()
		return ctx.Err()
	}
	if w.sick.Load() {
		return errSick
	}
	return nil
}

// key is a key that is used a few times, and then never again.
func (w *world) key() string { return "user" + strconv.FormatInt(w.keys.Add(1)/4, 10) }
