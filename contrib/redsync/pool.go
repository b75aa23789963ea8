package redsynclock

import (
	"context"
	"time"

	syncredis "github.com/go-redsync/redsync/v4/redis"
	"github.com/go-redsync/redsync/v4/redis/goredis/v9"
	"github.com/redis/go-redis/v9"
)

// A pool is one server as redsync takes it, with calls that end with their context.
// go-redis lets them do so only when ContextTimeoutEnabled is set; else a plain client is
// cloned with the time that is left (clones share the connections).
type pool struct {
	client redis.UniversalClient
	plain  *redis.Client // nil: another kind
}

func newPool(c redis.UniversalClient) pool {
	plain, _ := c.(*redis.Client)
	return pool{c, plain}
}

// bounded reports whether calls can be made to end with their context.
func (p pool) bounded() bool {
	switch c := p.client.(type) {
	case *redis.ClusterClient:
		return c.Options().ContextTimeoutEnabled
	case *redis.Ring:
		return c.Options().ContextTimeoutEnabled
	default:
		return true
	}
}

// Get returns what makes one call.
func (p pool) Get(ctx context.Context) (syncredis.Conn, error) {
	client := p.within(ctx)
	made, err := goredis.NewPool(client).Get(ctx)
	if err != nil {
		return nil, err
	}
	return conn{made, client, ctx}, nil
}

// shortest is the least time that a call is given.
const shortest = 10 * time.Millisecond

func (p pool) within(ctx context.Context) redis.UniversalClient {
	deadline, ok := ctx.Deadline()
	if p.plain == nil || !ok || p.plain.Options().ContextTimeoutEnabled {
		return p.client
	}
	return p.plain.WithTimeout(max(until(deadline), shortest))
}

// conn is redsync's own, but for one command.
type conn struct {
	syncredis.Conn

	client redis.UniversalClient
	ctx    context.Context //nolint:containedctx // of one call, as redsync has it
}

// SetNX takes a lock. It is sent once: sent again after a reply that was lost, it would
// find the lock taken, by itself.
func (c conn) SetNX(name, value string, expiry time.Duration) (bool, error) {
	cmd := once{redis.NewBoolCmd(c.ctx, "set", name, value, "px", expiry.Milliseconds(), "nx")}
	if err := c.client.Process(c.ctx, cmd); err != nil && cmd.Err() == nil {
		return false, err
	}
	return cmd.Result()
}

// once is a command that go-redis must not send again when its reply is lost.
type once struct{ *redis.BoolCmd }

// NoRetry tells go-redis.
func (once) NoRetry() bool { return true }
