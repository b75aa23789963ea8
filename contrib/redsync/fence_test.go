package redsynclock_test

import (
	"context"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	redsynclock "github.com/holdfast-go/holdfast/contrib/redsync"
	"github.com/holdfast-go/holdfast/internal/leaktest"
)

// Tokens grow whatever becomes of the last one: it is lost, or overwritten by something.
func TestTokensGrow(t *testing.T) {
	onBoth(t, func(t *testing.T, client *redis.Client) {
		fleet := newFleet()
		locks := redsynclock.New(client, fleet, redsynclock.Options{})
		key := fleet + ":{lx}:fence"
		last := uint64(0)
		for _, s := range []struct {
			name string
			does func() error
		}{
			{"the first one", func() error { return nil }},
			{"the next one", func() error { return nil }},
			{"after the last one was lost", func() error { return client.Del(t.Context(), key).Err() }},
			{"after something was written there", func() error { return client.Set(t.Context(), key, "nonsense", time.Hour).Err() }},
			{"that is no number", func() error { return client.Set(t.Context(), key, "nan", time.Hour).Err() }},
			{"or one below 0", func() error { return client.Set(t.Context(), key, "-5", time.Hour).Err() }},
			{"or one too large to be counted on", func() error { return client.Set(t.Context(), key, "1e300", time.Hour).Err() }},
			{"or a list", func() error {
				_ = client.Del(t.Context(), key)
				return client.LPush(t.Context(), key, "a").Err()
			}},
			{"after a clock that was ahead of all", func() error { return client.Set(t.Context(), key, "3000000000000000", time.Hour).Err() }},
		} {
			must(t, s.does())
			lock := take(t, locks)
			if lock.Token() <= last {
				t.Errorf("%s: %d after %d", s.name, lock.Token(), last)
			}
			last = lock.Token()
			unlock(t, lock)
		}
		if last != 3_000_000_000_000_001 {
			t.Errorf("the last token is %d; want the one after what was there", last)
		}
	})
}

// thief does something before each script.
type thief struct{ steals func() }

func (thief) DialHook(next redis.DialHook) redis.DialHook { return next }

func (thief) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (h thief) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "evalsha" {
			h.steals()
		}
		return next(ctx, cmd)
	}
}

// Who has lost the lock before it has its token gets none: that would be higher than the
// token of who holds it now.
func TestNoTokenWithoutTheLock(t *testing.T) {
	onBoth(t, func(t *testing.T, client *redis.Client) {
		fleet := newFleet()
		options := *client.Options()
		options.ContextTimeoutEnabled = true // or calls are made by copies, which have no hooks
		hooked := redis.NewClient(&options)
		defer func() { _ = hooked.Close() }()
		hooked.AddHook(thief{func() { must(t, client.Set(t.Context(), fleet+":{lx}", "another's", time.Hour).Err()) }})
		lock, ok, err := redsynclock.New(hooked, fleet, redsynclock.Options{}).Lock(t.Context(), theLock, lasting)
		if ok || err != nil {
			t.Errorf("%v, %t, %v; want that it is taken", lock, ok, err)
		}
	})
}

// Both keys of a lock are as documented, in one slot, and end by themselves.
func TestKeys(t *testing.T) {
	onBoth(t, func(t *testing.T, client *redis.Client) {
		fleet := newFleet()
		take(t, redsynclock.New(client, fleet, redsynclock.Options{}))
		for key, most := range map[string]time.Duration{fleet + ":{lx}": lasting, fleet + ":{lx}:fence": 24 * time.Hour} {
			if life, err := client.PTTL(t.Context(), key).Result(); err != nil || life <= most/2 || life > most {
				t.Errorf("%s lasts for %s, %v; want %s", key, life, err, most)
			}
		}
		keys, err := client.Keys(t.Context(), fleet+":*").Result()
		if err != nil || len(keys) != 2 {
			t.Errorf("the keys are %q, %v", keys, err)
		}
	})
}

// trio are three servers with one fleet's locks on them.
type trio struct {
	servers []*miniredis.Miniredis
	locks   *redsynclock.Locks
	key     string
}

func newTrio(t *testing.T) *trio {
	t.Helper()
	leaktest.Check(t)
	fleet := newFleet()
	three := &trio{key: fleet + ":{lx}"}
	var clients []redis.UniversalClient
	for range 3 {
		server := miniredis.RunT(t)
		three.servers = append(three.servers, server)
		clients = append(clients, connectHasty(t, server.Addr()))
	}
	three.locks = redsynclock.New(clients[0], fleet, redsynclock.Options{Others: clients[1:]})
	return three
}

// On several servers the highest last token counts, and is told to all: whichever of them
// are asked next, tokens grow.
func TestTokensOfSeveralServers(t *testing.T) {
	three := newTrio(t)
	first := take(t, three.locks)
	unlock(t, first)
	must(t, three.servers[0].Set(three.key+":fence", "3000000000000000")) // its clock was ahead
	second := take(t, three.locks)
	if second.Token() != 3_000_000_000_000_001 {
		t.Errorf("the token is %d; want the highest", second.Token())
	}
	unlock(t, second)
	three.servers[0].Close()
	if third := take(t, three.locks); third.Token() <= second.Token() {
		t.Errorf("without the server that gave the highest the next one is %d", third.Token())
	}
}

// More than half of the servers must have the lock: fewer decide nothing, and that is no
// refusal; what they were told is taken back.
func TestTooFewServers(t *testing.T) {
	three := newTrio(t)
	three.servers[0].Close()
	unlock(t, take(t, three.locks))
	held := take(t, three.locks)
	three.servers[1].Close()
	_, ok, err := three.locks.Lock(soon(t, time.Second), theLock, lasting)
	if _ = storeError(t, err); ok {
		t.Error("one of three servers gave the lock")
	}
	ok, err = held.Extend(soon(t, time.Second), lasting)
	if _ = storeError(t, err); ok {
		t.Error("one of three servers extended the lock")
	}
	must(t, three.servers[0].Restart())
	must(t, three.servers[1].Restart())
	if ok, err := held.Extend(t.Context(), lasting); !ok || err != nil {
		t.Errorf("with all of them back it is not held: %t, %v", ok, err)
	}
	three.servers[0].Del(three.key)
	three.servers[1].Del(three.key)
	if ok, err := held.Extend(t.Context(), lasting); ok || err != nil {
		t.Errorf("held on one of three it is extended: %t, %v", ok, err)
	}
	unlock(t, take(t, three.locks)) // on the two where it is free
}
