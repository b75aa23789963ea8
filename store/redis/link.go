package redisstore

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// strandedMax is how many calls of a client that cannot be bounded may still be
// under way after their time; further ones fail at once.
const strandedMax = 64

var errStranded = errors.New("too many calls that the client does not end")

// A link is the caller's client with its calls bounded by their context.
//
// go-redis does so only when ContextTimeoutEnabled is set. Else a plain client
// is cloned with read and write timeouts of the time that is left (clones share
// the pool), which bounds one exchange with the server. A call that has to connect
// first makes several; that one, and any of other kinds of client, is left behind on
// a goroutine that ends by the client's own timeouts. To ask whether a connection
// stands ready takes a quarter of a microsecond, less than a hundredth of a call; a
// goroutine for each, or a timer, would take as much as a caller saves that flies alone.
type link struct {
	client  redis.UniversalClient
	plain   *redis.Client // nil: another kind
	bounded bool          // the client ends calls with their context

	topology  topology
	clones    sync.Map // of plain, by timeout
	stranded  chan struct{}
	diagnosis diagnosis
}

func newLink(client redis.UniversalClient) *link {
	l := &link{client: client, stranded: make(chan struct{}, strandedMax)}
	switch c := client.(type) {
	case *redis.Client:
		l.plain, l.bounded = c, c.Options().ContextTimeoutEnabled
	case *redis.ClusterClient:
		l.bounded = c.Options().ContextTimeoutEnabled
		l.topology.cluster = c
	case *redis.Ring:
		l.bounded = c.Options().ContextTimeoutEnabled
	}
	return l
}

// single reports whether all keys are on one server, so that a script may carry
// several of them.
func (l *link) single() bool { return l.plain != nil }

// A sender sends commands: a client, or a clone of it.
type sender interface {
	Process(ctx context.Context, cmd redis.Cmder) error
	Pipeline() redis.Pipeliner
}

// do runs f with a client that ends with ctx, or soon after. f must touch
// nothing that the caller uses once do has returned an error.
func (l *link) do(ctx context.Context, f func(context.Context, sender) error) error {
	if to := l.direct(ctx); to != nil {
		return f(ctx, to)
	}
	return l.strand(ctx, f)
}

// direct is a client whose calls end with ctx, or soon after; nil if they may
// have to be left behind.
func (l *link) direct(ctx context.Context) sender {
	switch {
	case l.bounded:
		return l.client
	case l.plain != nil && l.plain.PoolStats().IdleConns > 0:
		return l.within(ctx)
	default:
		return nil
	}
}

// strand runs f, and leaves it behind when ctx ends. Where too many are left behind, a
// plain client's call is run all the same: it ends, somewhat late.
func (l *link) strand(ctx context.Context, f func(context.Context, sender) error) error {
	var to sender = l.client
	if l.plain != nil {
		to = l.within(ctx)
	}
	select {
	case l.stranded <- struct{}{}:
	default:
		if l.plain != nil {
			return f(ctx, to)
		}
		return errStranded
	}
	done := make(chan error, 1)
	go func() {
		defer func() { <-l.stranded }()
		done <- f(ctx, to)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// timeoutStep is how finely timeouts of clones are told apart, so that there are few.
const timeoutStep = 10 * time.Millisecond

// within is the plain client with the time that ctx leaves, rounded up.
func (l *link) within(ctx context.Context) sender {
	deadline, ok := ctx.Deadline()
	if !ok {
		return l.plain
	}
	left := until(deadline)
	left = max((left + timeoutStep - 1).Truncate(timeoutStep), timeoutStep)
	if left > time.Second {
		return l.plain.WithTimeout(left)
	}
	if clone, ok := l.clones.Load(left); ok {
		return clone.(*redis.Client) //nolint:forcetypeassert // only clients are stored
	}
	clone, _ := l.clones.LoadOrStore(left, l.plain.WithTimeout(left))
	return clone.(*redis.Client) //nolint:forcetypeassert // only clients are stored
}
