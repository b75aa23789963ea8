package orchestrator

import "time"

// These are the only readings of the clock in this package.

func now() time.Time { return time.Now() } //nolint:forbidigo // the package's one clock

func since(t time.Time) time.Duration { return time.Since(t) } //nolint:forbidigo // the package's one clock

func until(t time.Time) time.Duration { return time.Until(t) } //nolint:forbidigo // the package's one clock
