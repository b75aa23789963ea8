package redisstore_test

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	redisstore "github.com/holdfast-go/holdfast/store/redis"
)

// counting is a hook that counts commands, as one that traces them would.
type counting struct{ commands atomic.Int64 }

func (c *counting) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (c *counting) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.commands.Add(1)
		return next(ctx, cmd)
	}
}

func (c *counting) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.commands.Add(int64(len(cmds)))
		return next(ctx, cmds)
	}
}

// A client's hooks see our calls, if the client bounds them itself.
func TestHooksSeeCalls(t *testing.T) {
	for name, enabled := range map[string]bool{"ContextTimeoutEnabled": true, "the default": false} {
		t.Run(name, func(t *testing.T) {
			client := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr(), ContextTimeoutEnabled: enabled})
			t.Cleanup(func() { _ = client.Close() })
			hook := &counting{}
			client.AddHook(hook)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := redisstore.New(client, "hooks", redisstore.Options{}).Stores().Members.Beat(ctx, "one", time.Second); err != nil {
				t.Fatal(err)
			}
			if seen := hook.commands.Load() > 0; seen != enabled {
				t.Errorf("the hook saw our calls: %v; want %v, as the documentation says", seen, enabled)
			}
		})
	}
}
