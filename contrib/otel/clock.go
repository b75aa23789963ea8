package holdfastotel

import "time"

// now is the package's only reading of the clock.
func now() time.Time { return time.Now() } //nolint:forbidigo // see above
