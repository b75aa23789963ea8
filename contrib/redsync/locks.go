package redsynclock

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/go-redsync/redsync/v4"
	syncredis "github.com/go-redsync/redsync/v4/redis"
	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
)

// Options configure Locks. The zero value is ready to use.
type Options struct {
	// Others are clients of further servers, each independent of all others and not a
	// replica of one: a lock is then held by who has it on more than half of them, so
	// that it outlives the loss of the rest. Defaults to none: one server decides.
	Others []redis.UniversalClient
}

// Locks implements port.LockStore on Redis. It is safe for concurrent use.
type Locks struct {
	fleet  string
	broken error // why it cannot be used; nil = it can
	pools  []syncredis.Pool
	sync   *redsync.Redsync
	fence  *syncredis.Script
	spread bool // over several nodes that fail apart
}

var (
	_ port.LockStore = (*Locks)(nil)
	_ port.Sharder   = (*Locks)(nil)
)

// New returns locks on the server of the caller's client, which stays the caller's: to
// configure, to share and to close. It makes no call.
//
// fleet is the namespace, as for the store beside it: 1 to 64 ASCII letters, digits, '.',
// '_' or '-'. With another one every call fails with [domain.ErrStoreConfig], and so with
// a cluster's or ring's client without ContextTimeoutEnabled: its calls would not end when
// they should.
func New(client redis.UniversalClient, fleet string, o Options) *Locks {
	l := &Locks{fleet: fleet, fence: fenceScript()}
	for _, c := range append([]redis.UniversalClient{client}, o.Others...) {
		p := newPool(c)
		l.pools = append(l.pools, p)
		l.spread = l.spread || p.plain == nil
		if !p.bounded() {
			l.broken = misuse(fleet, errUnbounded)
		}
	}
	l.sync = redsync.New(l.pools...)
	if err := domain.ValidateName("fleet", fleet); err != nil {
		l.broken = misuse(fleet, fmt.Errorf("fleet: %w", err))
	}
	return l
}

var errUnbounded = errors.New("the client does not end calls with their context: set its ContextTimeoutEnabled")

func misuse(fleet string, err error) error {
	return &domain.StoreError{Op: "locks", Name: fleet, Config: true, Err: err}
}

// Shard groups locks that may fail apart from others, where they are on several nodes.
func (l *Locks) Shard(id port.ID) uint32 {
	const groups = 16
	if !l.spread {
		return 0
	}
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(l.key(id)))
	return sum.Sum32() % groups
}

// Lock takes the lock of id, if it is free, and its token.
func (l *Locks) Lock(ctx context.Context, id port.ID, lasting time.Duration) (port.Lock, bool, error) {
	if err := l.usable(ctx, "lock take", id); err != nil {
		return nil, false, err
	}
	patience := l.patience(ctx, lasting)
	mutex := l.sync.NewMutex(l.key(id), redsync.WithExpiry(lasting),
		redsync.WithTimeoutFactor(float64(patience)/float64(lasting)))
	if taken, err := decided(mutex.TryLockContext(ctx), len(l.pools)); taken || err != nil {
		return nil, false, wrong("lock take", id, err)
	}
	k := &lock{locks: l, id: id, word: mutex.Value()}
	var err error
	if k.token, err = l.next(ctx, k, patience); err == nil && k.token > 0 {
		return k, true, nil
	}
	if err != nil {
		_, _ = k.Unlock(ctx) // it comes free by itself otherwise
	}
	return nil, false, wrong("lock take", id, err)
}

// usable says why a call cannot begin.
func (l *Locks) usable(ctx context.Context, op string, id port.ID) error {
	switch {
	case l.broken != nil:
		return l.broken
	case ctx.Err() != nil:
		return wrong(op, id, context.Cause(ctx))
	default:
		return nil
	}
}

// patience is how long one server may take to answer. Of several one may be dead, and is
// waited for: that must leave time for what comes after.
func (l *Locks) patience(ctx context.Context, atMost time.Duration) time.Duration {
	const steps = 4 // to take it, to ask for tokens, to tell the highest, and some to spare
	deadline, ok := ctx.Deadline()
	if !ok {
		return atMost
	}
	left := min(max(until(deadline), time.Millisecond), atMost)
	if len(l.pools) > 1 {
		left /= steps
	}
	return left
}

// A lock implements port.Lock. It does not change.
type lock struct {
	locks *Locks
	id    port.ID
	word  string // that only its holder knows
	token uint64
}

func (k *lock) Token() uint64 { return k.token }

func (k *lock) Extend(ctx context.Context, lasting time.Duration) (bool, error) {
	return k.settle(ctx, "lock extend", lasting, (*redsync.Mutex).ExtendContext)
}

func (k *lock) Unlock(ctx context.Context) (bool, error) {
	return k.settle(ctx, "lock release", time.Second, (*redsync.Mutex).UnlockContext)
}

// settle lets redsync do something with the lock. Each time it is told anew whose it is: a
// mutex is not safe for concurrent use.
func (k *lock) settle(
	ctx context.Context, op string, lasting time.Duration, do func(*redsync.Mutex, context.Context) (bool, error),
) (bool, error) {
	if err := k.locks.usable(ctx, op, k.id); err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, k.locks.patience(ctx, lasting))
	defer cancel()
	ok, err := do(k.locks.sync.NewMutex(k.locks.key(k.id), redsync.WithValue(k.word), redsync.WithExpiry(lasting)), ctx)
	if ok {
		return true, nil
	}
	_, err = decided(err, len(k.locks.pools))
	return false, wrong(op, k.id, err)
}
