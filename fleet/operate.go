package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/domain/bucket"
	"github.com/holdfast-go/holdfast/domain/port"
)

// Grant adds tokens to a key's bucket, as far as there is room in each of its
// bands: somebody is let through earlier than the limit would. It is for operators,
// and so on top of what the limit admits. For a limit that is not keyed the key is
// not looked at. Other replicas may deny from memory for up to a second still.
//
// Errors are those of AllowN, but for those of a cost, and an error for tokens
// below 1. The store is asked once: after an error of its own the order may have
// been carried out.
func (l *Limiter) Grant(ctx context.Context, key string, tokens int64) error {
	if tokens < 1 {
		return fmt.Errorf("limit %q: %d tokens cannot be granted", l.Policy().Name, tokens)
	}
	return l.order(ctx, key, bucket.Order{Tokens: tokens, BlockMilli: -1})
}

// Reset fills a key's bucket in every band and ends a block, as Grant does. Tokens
// that replicas took ahead stay theirs.
func (l *Limiter) Reset(ctx context.Context, key string) error {
	return l.order(ctx, key, bucket.Order{Tokens: bucket.Refill})
}

// Block admits nothing of a key for so long, in whole milliseconds and up to ten
// years: calls are refused and told to come back then. 0 ends a block. The bucket
// fills up meanwhile. Replicas spend what they took ahead, for up to 10 s. Errors are
// as for Grant, and one for a negative time.
func (l *Limiter) Block(ctx context.Context, key string, lasting time.Duration) error {
	if lasting < 0 {
		return fmt.Errorf("limit %q: cannot be blocked for %v", l.Policy().Name, lasting)
	}
	lasting = min(lasting, bucket.MaxBlockMilli*time.Millisecond)
	whole := (lasting + time.Millisecond - 1).Truncate(time.Millisecond)
	return l.order(ctx, key, bucket.Order{BlockMilli: whole.Milliseconds()})
}

// order has the store do what an operator wants, and forgets a denial: it may hold
// no longer.
func (l *Limiter) order(ctx context.Context, key string, o bucket.Order) error {
	q := whole(0)
	set, ln, err := l.enter(ctx, key, &q)
	if err != nil {
		return err
	}
	if _, obeys := l.replica.bare.Buckets.(port.Obeyer); !obeys {
		return fmt.Errorf("limit %q: the store takes no orders: %w", set.policy.Name, errors.ErrUnsupported)
	}
	ctx, cancel := context.WithTimeout(ctx, l.replica.config.StoreTimeout)
	defer cancel()
	in := [1]port.TakeRequest{{Bucket: ln.id, Rule: set.rule, Manner: set.manner(), Ask: bucket.Ask{Order: &o}}}
	var out [1]port.TakeReply
	l.replica.stores.Buckets.Take(ctx, in[:], out[:])
	if out[0].Err != nil {
		return asStoreError(set, out[0].Err)
	}
	ln.memo.Store(nil)
	return nil
}
