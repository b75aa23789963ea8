package demo

import (
	"context"
	"math"
	"time"
)

// A clock reads the time since it was made, by the monotonic clock. This file is
// the one place of the package where time is read.
type clock struct{ base time.Time }

func newClock() clock {
	return clock{time.Now()} //nolint:forbidigo // the one place where the clock starts
}

func (c clock) now() time.Duration {
	return time.Since(c.base) //nolint:forbidigo // the one place where the clock is read
}

// left is how long ctx lasts; for ever where it has no deadline.
func left(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return math.MaxInt64
	}
	return time.Until(deadline) //nolint:forbidigo // the one place where the clock is read
}

// pause waits for d, or until ctx ends; then it returns the cause.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
