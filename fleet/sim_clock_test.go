package fleet_test

import (
	"sync"
	"time"
)

// A storeClock is the store's: it drifts against everybody else's, and steps.
// Replicas need no clocks of their own beside the bubble's: no instant of theirs
// crosses a port, so that only how fast time goes can matter.
type storeClock struct {
	start time.Time
	ppm   int64 // how much faster it runs

	mu   sync.Mutex
	step time.Duration
	peak time.Time // before it stepped back
}

func (c *storeClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.read()
}

// read requires that c.mu is held.
func (c *storeClock) read() time.Time {
	return c.start.Add(c.drifted() + c.step)
}

// drifted is the time since the clock's start, without its steps.
func (c *storeClock) drifted() time.Duration {
	since := time.Since(c.start)
	return since + since*time.Duration(c.ppm)/1e6
}

func (c *storeClock) micro() int64 { return c.now().UnixMicro() }

func (c *storeClock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.read(); now.After(c.peak) {
		c.peak = now
	}
	c.step += d
}

// behind reports whether it shows a time that it has shown before: buckets wait
// for it to come back to where it was.
func (c *storeClock) behind() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.read().Before(c.peak)
}

// wait is how long it takes on the bubble's clock until d has passed on this one.
func (c *storeClock) wait(d time.Duration) time.Duration {
	slack := max(c.ppm, -c.ppm)
	return d + d*time.Duration(2*slack)/1e6 + time.Microsecond
}
