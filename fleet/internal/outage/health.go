// Package outage is the breaker around a store: after a few failures in a row
// it is down, so that a dead store costs nothing per call, and comes back by
// single trials. It knows neither buckets nor breakers.
package outage

import (
	"sync"
	"sync/atomic"
	"time"
)

// The numbers of a Health.
const (
	failuresToDown = 3
	firstTrial     = 100 * time.Millisecond
	longestTrial   = time.Second
)

// A Health is what one replica knows of one shard of its store. Its times are
// read from any clock that does not step back. The zero Health is up. It is
// safe for concurrent use.
type Health struct {
	down atomic.Bool

	mu       sync.Mutex
	failures int           // in a row
	since    time.Duration // when it went down
	trialAt  time.Duration // when the next trial may start
	pause    time.Duration // between trials
}

// Up reports whether the store may be called.
func (h *Health) Up() bool { return !h.down.Load() }

// DownSince returns when the store went down, if it is.
func (h *Health) DownSince() (time.Duration, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.since, h.down.Load()
}

// Failed records a call that the store did not answer, and reports whether that
// brought it down. random is a number in [0, 1) that spreads the trials of many
// replicas.
func (h *Health) Failed(now time.Duration, random float64) (wentDown bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failures++
	if h.down.Load() {
		h.pause = min(2*h.pause, longestTrial)
		h.plan(now, random)
		return false
	}
	if h.failures < failuresToDown {
		return false
	}
	h.since, h.pause = now, firstTrial
	h.plan(now, random)
	h.down.Store(true)
	return true
}

// plan sets the next trial between half a pause and a whole one from now.
func (h *Health) plan(now time.Duration, random float64) {
	h.trialAt = now + h.pause/2 + time.Duration(random*float64(h.pause/2))
}

// Answered records a call that the store answered, and reports whether that
// brought it up.
func (h *Health) Answered() (cameUp bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failures = 0
	return h.down.CompareAndSwap(true, false)
}

// Trial reports whether the caller is the one to try the store now, and if so
// keeps everyone else from it until its result is recorded, or for as long as a
// trial may take.
func (h *Health) Trial(now, atMost time.Duration) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.down.Load() || now < h.trialAt {
		return false
	}
	h.trialAt = now + atMost + longestTrial
	return true
}
