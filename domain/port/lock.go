package port

import (
	"context"
	"time"
)

// A LockStore gives out locks: one holder at a time has that of an id, for a while that
// it may extend. It is best effort where a store may lose what it has written, as in a
// failover; [Lock].Token is for those who need more.
type LockStore interface {
	// Lock takes the lock of id for so long, or reports false when it is taken. It does
	// not wait for it. An error means that the store could not decide; the lock may then
	// be taken for so long, and be nobody's. A token is at most 2^53.
	Lock(ctx context.Context, id ID, lasting time.Duration) (Lock, bool, error)
}

// A Lock is held from when it was taken, for as long as was asked for, counted from when
// the call was sent. It is safe for concurrent use.
type Lock interface {
	// Token grows each time that the lock of its id is taken, also when the store lost
	// all it knew in between, unless its clock stepped back as well. It is for fencing:
	// where the effect happens, a token below one that was seen is refused.
	Token() uint64
	// Extend lets it last for so long from now. It reports false when it is not held any
	// more, and never takes it anew.
	Extend(ctx context.Context, lasting time.Duration) (bool, error)
	// Unlock gives it back. It reports false when it was not held any more; that of
	// another holder is left alone.
	Unlock(ctx context.Context) (bool, error)
}
