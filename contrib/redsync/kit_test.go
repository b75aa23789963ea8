package redsynclock_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
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

// connect returns a client with its default options, to be closed with t.
func connect(t *testing.T, addr string) *redis.Client {
	t.Helper()
	leaktest.Check(t)
	client := redis.NewClient(&redis.Options{Addr: addr, Dialer: leaktest.Dialer(t)})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// connectHasty is connect for a server that is to die: the client does not dial again and
// again.
func connectHasty(t *testing.T, addr string) *redis.Client {
	t.Helper()
	leaktest.Check(t)
	client := redis.NewClient(&redis.Options{
		Addr: addr, Dialer: leaktest.Dialer(t), DialerRetries: 1, MaxRetries: -1,
		ContextTimeoutEnabled: true, // or calls are made by copies, which have no hooks
	})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// realRedis is a client of the server that tests may use, and must not harm.
func realRedis(t *testing.T) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(redisserver.URLForTest(t))
	must(t, err)
	leaktest.Check(t)
	options.Dialer = leaktest.Dialer(t)
	client := redis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// newFleet is a namespace that nobody else uses.
func newFleet() string { return "test" + strconv.FormatUint(rand.Uint64(), 36) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// onBoth runs f on miniredis and on a real server.
func onBoth(t *testing.T, f func(t *testing.T, client *redis.Client)) {
	t.Helper()
	t.Run("miniredis", func(t *testing.T) {
		leaktest.Check(t)
		f(t, connect(t, miniredis.RunT(t).Addr()))
	})
	t.Run("redis", func(t *testing.T) { f(t, realRedis(t)) })
}

var theLock = port.ID{Name: "x"}

const lasting = 10 * time.Second

// take takes a lock that is free.
func take(t *testing.T, locks *redsynclock.Locks) port.Lock {
	t.Helper()
	lock, ok, err := locks.Lock(t.Context(), theLock, lasting)
	if err != nil || !ok {
		t.Fatalf("Lock: %t, %v; want that it is free", ok, err)
	}
	return lock
}

func unlock(t *testing.T, lock port.Lock) {
	t.Helper()
	if ok, err := lock.Unlock(t.Context()); err != nil || !ok {
		t.Fatalf("Unlock: %t, %v; want that it was held", ok, err)
	}
}

// storeError checks what every error of a port promises, and returns it.
func storeError(t *testing.T, err error) *domain.StoreError {
	t.Helper()
	said, ok := errors.AsType[*domain.StoreError](err)
	if !ok {
		t.Fatalf("the error is %v; want a *domain.StoreError", err)
	}
	return said
}

func soon(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
