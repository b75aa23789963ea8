package guardhttp

import "time"

// now is read for HTTP dates alone.
func now() time.Time { return time.Now() } //nolint:forbidigo // the one place of the package
