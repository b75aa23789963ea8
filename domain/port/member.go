package port

import (
	"context"
	"time"
)

// A MemberStore knows which replicas there are.
type MemberStore interface {
	// Beat keeps replica a member for the given time, or ends its membership
	// when that is 0, and returns how many members there are now.
	Beat(ctx context.Context, replica string, lasting time.Duration) (live int, err error)
}
