package redsynclock

import "time"

// until is the package's only reading of the local clock: how much time a caller leaves.
func until(t time.Time) time.Duration { return time.Until(t) } //nolint:forbidigo // see above
