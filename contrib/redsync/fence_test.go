package redsynclock_test

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
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
	clients []redis.UniversalClient
	locks   *redsynclock.Locks
	key     string
}

func newTrio(t *testing.T) *trio {
	t.Helper()
	leaktest.Check(t)
	fleet := newFleet()
	three := &trio{key: fleet + ":{lx}"}
	for range 3 {
		server := miniredis.RunT(t)
		three.servers = append(three.servers, server)
		three.clients = append(three.clients, connectHasty(t, server.Addr()))
	}
	three.locks = redsynclock.New(three.clients[0], fleet, redsynclock.Options{Others: three.clients[1:]})
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

// More than half of the servers must give a token, too: who had the lock on three, and lost it
// on two before that, has it no more.
func TestTooFewTokens(t *testing.T) {
	for lost, want := range []bool{true, true, false, false} {
		three := newTrio(t)
		for i := range lost {
			three.clients[i].AddHook(thief{func() { three.servers[i].Del(three.key) }})
		}
		lock, ok, err := three.locks.Lock(t.Context(), theLock, lasting)
		if ok != want || err != nil {
			t.Errorf("lost on %d of three: %v, %t, %v", lost, lock, ok, err)
		}
	}
}

// A lock whose token did not come is given back, and is free at once.
func TestATokenThatDoesNotCome(t *testing.T) {
	leaktest.Check(t)
	server := miniredis.RunT(t)
	options := redis.Options{Addr: server.Addr(), Dialer: leaktest.Dialer(t), MaxRetries: -1, ContextTimeoutEnabled: true}
	client := redis.NewClient(&options)
	t.Cleanup(func() { _ = client.Close() })
	locks := redsynclock.New(client, newFleet(), redsynclock.Options{})
	unlock(t, take(t, locks)) // the script is there
	breaks := &breaker{}
	client.AddHook(breaks)
	breaks.on.Store(true)
	_, ok, err := locks.Lock(soon(t, time.Second), theLock, lasting)
	if _ = storeError(t, err); ok {
		t.Error("a lock without a token is held")
	}
	unlock(t, take(t, locks))
}

// breaker fails the next script that asks for a token, once it is on.
type breaker struct {
	thief

	on atomic.Bool
}

var errBroken = errors.New("broken")

func (b *breaker) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "evalsha" && len(cmd.Args()) > 2 && cmd.Args()[2] == 2 && b.on.Swap(false) {
			cmd.SetErr(errBroken)
			return errBroken
		}
		return next(ctx, cmd)
	}
}

// TestTheScript: what another server gave is taken for the last token, unless the last one
// here is higher: then that is told, and counts.
func TestTheScript(t *testing.T) {
	text, err := os.ReadFile("fence.lua")
	must(t, err)
	onBoth(t, func(t *testing.T, client *redis.Client) {
		fleet := newFleet()
		keys := []string{fleet + ":{lx}", fleet + ":{lx}:fence"}
		must(t, client.Set(t.Context(), keys[0], "word", time.Minute).Err())
		for _, s := range []struct{ given, want int64 }{
			{3_000_000_000_000_000, 3_000_000_000_000_000},
			{2_000_000_000_000_000, 3_000_000_000_000_000},
			{3_000_000_000_000_005, 3_000_000_000_000_005},
			{0, 3_000_000_000_000_006},
		} {
			reply, err := client.Eval(t.Context(), string(text), keys, "word", s.given, 60_000).Int64Slice()
			if err != nil || len(reply) != 3 || reply[2] != s.want {
				t.Errorf("given %d: %v, %v; want %d", s.given, reply, err, s.want)
			}
		}
	})
}
