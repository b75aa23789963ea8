package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// These are the only readings of the clock in this package.

func now() time.Time { return time.Now() } //nolint:forbidigo // the package's one clock

func since(t time.Time) time.Duration { return now().Sub(t) }

// patience is how long anything may take that has no bound of its own.
const patience = 20 * time.Second

var errLate = errors.New("did not happen in time")

// waitFor waits for something that happens, and looks so often.
func waitFor(ctx context.Context, every time.Duration, what string, happened func() bool) error {
	for begin := now(); !happened(); {
		if since(begin) > patience {
			return fmt.Errorf("%s: %w", what, errLate)
		}
		if err := sleep(ctx, every); err != nil {
			return err
		}
	}
	return nil
}

// sleep waits, unless ctx ends first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
