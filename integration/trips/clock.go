package main

import "time"

// now is the only reading of the clock in this package.
func now() time.Time { return time.Now() } //nolint:forbidigo // the package's one clock

// A watch tells whether the wall clock was set while it ran.
type watch struct{ start time.Time }

// moved is by how much the wall clock went otherwise than the monotonic one.
func (w watch) moved() time.Duration {
	end := now()
	return (end.Round(0).Sub(w.start.Round(0)) - end.Sub(w.start)).Abs()
}
