package port

import (
	"context"
	"time"

	"github.com/holdfast-go/holdfast/domain/bucket"
)

// A BucketStore keeps the buckets of limits.
type BucketStore interface {
	// Take answers each request by the rules of package bucket.
	Take(ctx context.Context, in []TakeRequest, out []TakeReply)
}

// A TakeRequest asks one bucket. See [bucket.Ask] for its last part.
type TakeRequest struct {
	Bucket ID
	Rule   bucket.Rule // the caller's numbers; the stored ones may decide
	Manner bucket.Manner
	bucket.Ask
}

// A TakeReply answers a TakeRequest.
type TakeReply struct {
	Granted    int64         // the first so many of Count
	Remaining  int64         // whole tokens left, in the band that has the fewest
	RetryAfter time.Duration // when Granted is below Count: how long to wait before asking again
	Band       int           // then, the first of the bands that must be waited for longest
	TooHigh    bool          // Cost is above the burst of the rule in force, or Cost is below 0, or Count below 1: no wait helps
	Wait       time.Duration // of a place in the queue that was granted: until it is due
	DueMicro   int64         // then, the same by the store's clock, which names it to [bucket.Return]
	StepMicro  int64         // and how far it is behind the place before, for the same
	Foreign    bool          // another rule than the caller's decided
	Err        error         // the store could not decide; the rest is then zero
}

// A Leaser is a BucketStore that lends tokens ahead: it heeds [bucket.Ask].Lease.
// One that is none must not be asked.
type Leaser interface {
	// Lends does nothing.
	Lends()
}

// An Obeyer is a BucketStore that heeds [bucket.Ask].Order. One that is none must
// not be given any.
type Obeyer interface {
	// Obeys does nothing.
	Obeys()
}

// A Queuer is a BucketStore that heeds [bucket.Ask].WaitMicro and Return. One that is
// none must not be asked.
type Queuer interface {
	// Queues does nothing.
	Queues()
}

// A Binder is a BucketStore in this process: it hands out buckets that decide
// at once, without I/O, and need no merging of calls.
type Binder interface {
	// Bind returns the bucket of id under r, in that manner. It must not be nil.
	Bind(id ID, r bucket.Rule, how bucket.Manner) BoundBucket
}

// A BoundBucket is one bucket of a Binder. It is safe for concurrent use.
type BoundBucket interface {
	// Take answers one ask, as BucketStore.Take does.
	Take(ask bucket.Ask) TakeReply
}
