package redsynclock_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	redsynclock "github.com/holdfast-go/holdfast/contrib/redsync"
	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/internal/leaktest"
	"github.com/holdfast-go/holdfast/internal/redisserver"
)

// A server that does not answer holds nobody up for longer than the call's context, with
// a client that has its default options.
func TestAStoppedServer(t *testing.T) {
	server := redisserver.ForTest(t)
	locks := redsynclock.New(connect(t, server.Addr()), newFleet(), redsynclock.Options{})
	held := take(t, locks)
	must(t, server.Pause())
	for name, call := range map[string]func(context.Context) (bool, error){
		"lock": func(ctx context.Context) (bool, error) {
			_, ok, err := locks.Lock(ctx, port.ID{Name: "y"}, lasting)
			return ok, err
		},
		"extend": func(ctx context.Context) (bool, error) { return held.Extend(ctx, lasting) },
		"unlock": held.Unlock,
	} {
		start := time.Now()
		ok, err := call(soon(t, 100*time.Millisecond))
		if took := time.Since(start); took > 2*time.Second { // go-redis alone takes more than ten
			t.Errorf("%s took %s", name, took)
		}
		if said := storeError(t, err); ok || said.Config || !errors.Is(err, domain.ErrStoreUnavailable) {
			t.Errorf("%s: %t, %v", name, ok, err)
		}
	}
	must(t, server.Resume())
}

// A lock whose answer was lost is not asked for again: it would be found taken, by nobody.
func TestALostAnswer(t *testing.T) {
	leaktest.Check(t)
	server := miniredis.RunT(t)
	var lose atomic.Bool
	var sent atomic.Int32
	dial := leaktest.Dialer(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		return &lossy{Conn: c, lose: &lose, sent: &sent}, err
	}})
	t.Cleanup(func() { _ = client.Close() })
	locks := redsynclock.New(client, newFleet(), redsynclock.Options{})
	unlock(t, take(t, locks))
	before := sent.Load()
	lose.Store(true)
	_, ok, err := locks.Lock(soon(t, time.Second), theLock, lasting)
	if _ = storeError(t, err); ok {
		t.Error("a lock without an answer is held")
	}
	if n := sent.Load() - before; n != 1 {
		t.Errorf("the lock was asked for %d times", n)
	}
	unlock(t, take(t, locks)) // redsync has taken it back
}

// lossy loses the answer to the next lock that is asked for, and its connection.
type lossy struct {
	net.Conn

	lose *atomic.Bool
	sent *atomic.Int32
	dead atomic.Bool
}

func (c *lossy) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte("\r\nset\r\n")) {
		c.sent.Add(1)
		c.dead.Store(c.lose.CompareAndSwap(true, false))
	}
	return c.Conn.Write(b)
}

func (c *lossy) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.dead.Load() {
		_ = c.Close()
		return 0, net.ErrClosed
	}
	return n, err
}

// What does not mend itself says so.
func TestMisconfiguration(t *testing.T) {
	server := redisserver.ForTest(t)
	admin := connect(t, server.Addr())
	must(t, admin.Do(t.Context(), "acl", "setuser", "poor", "reset", "on", ">password", "~*", "+@connection", "+set", "+time").Err())
	user := func(name, password string) *redis.Client {
		leaktest.Check(t)
		c := redis.NewClient(&redis.Options{Addr: server.Addr(), Username: name, Password: password, Dialer: leaktest.Dialer(t)})
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	cluster := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{server.Addr()}})
	t.Cleanup(func() { _ = cluster.Close() })
	for name, locks := range map[string]*redsynclock.Locks{
		"a wrong password":                      redsynclock.New(user("poor", "wrong"), "shop", redsynclock.Options{}),
		"missing rights":                        redsynclock.New(user("poor", "password"), "shop", redsynclock.Options{}),
		"a namespace that could be left":        redsynclock.New(admin, "a}:b", redsynclock.Options{}),
		"a client whose calls would not end":    redsynclock.New(cluster, "shop", redsynclock.Options{}),
		"one of several clients that is such a": redsynclock.New(admin, "shop", redsynclock.Options{Others: []redis.UniversalClient{cluster}}),
	} {
		_, ok, err := locks.Lock(soon(t, time.Second), theLock, lasting)
		if said := storeError(t, err); ok || !said.Config || !errors.Is(err, domain.ErrStoreConfig) {
			t.Errorf("%s: %t, %v; want a misconfigured store", name, ok, err)
		}
	}
}

// The rights in the package's documentation are enough.
func TestRights(t *testing.T) {
	server := redisserver.ForTest(t)
	must(t, connect(t, server.Addr()).Do(t.Context(), "acl", "setuser", "holdfast", "reset", "on", ">password", "~shop:*",
		"+set", "+get", "+del", "+pexpire", "+time", "+eval", "+evalsha").Err())
	leaktest.Check(t)
	client := redis.NewClient(&redis.Options{
		Addr: server.Addr(), Username: "holdfast", Password: "password", Dialer: leaktest.Dialer(t),
	})
	t.Cleanup(func() { _ = client.Close() })
	lock := take(t, redsynclock.New(client, "shop", redsynclock.Options{}))
	if ok, err := lock.Extend(t.Context(), lasting); !ok || err != nil {
		t.Errorf("Extend: %t, %v", ok, err)
	}
	unlock(t, lock)
}

// Where nodes fail apart, so do groups of locks.
func TestShards(t *testing.T) {
	leaktest.Check(t)
	cluster := redis.NewClusterClient(&redis.ClusterOptions{ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = cluster.Close() })
	one := redsynclock.New(connect(t, "127.0.0.1:1"), "shop", redsynclock.Options{})
	many := redsynclock.New(cluster, "shop", redsynclock.Options{})
	seen := make(map[uint32]bool)
	for i := range 100 {
		id := port.ID{Name: "x", Key: string(rune('a' + i))}
		if one.Shard(id) != 0 || many.Shard(id) > 15 {
			t.Errorf("%v: %d, %d", id, one.Shard(id), many.Shard(id))
		}
		seen[many.Shard(id)] = true
	}
	if len(seen) < 8 {
		t.Errorf("100 locks are in %d groups", len(seen))
	}
}

// Of several servers one that takes connections and answers nothing leaves time for the
// others: a lock is had, extended and given back within its caller's patience.
func TestOneOfThreeHangs(t *testing.T) {
	leaktest.Check(t)
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = silent.Close() })
	clients := []redis.UniversalClient{
		connectHasty(t, miniredis.RunT(t).Addr()), connectHasty(t, silent.Addr().String()), connectHasty(t, miniredis.RunT(t).Addr()),
	}
	locks := redsynclock.New(clients[0], newFleet(), redsynclock.Options{Others: clients[1:]})
	lock, ok, err := locks.Lock(soon(t, 2*time.Second), theLock, lasting)
	if !ok || err != nil {
		t.Fatalf("Lock: %t, %v", ok, err)
	}
	if ok, err := lock.Extend(soon(t, 2*time.Second), lasting); !ok || err != nil {
		t.Errorf("Extend: %t, %v", ok, err)
	}
	if ok, err := lock.Unlock(soon(t, 2*time.Second)); !ok || err != nil {
		t.Errorf("Unlock: %t, %v", ok, err)
	}
}
