package gobreaker

import "time"

// now is the only reading of the clock in this package.
func now() time.Time { return time.Now() } //nolint:forbidigo // the package's one clock
