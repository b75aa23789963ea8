package redisstore

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/internal/leaktest"
	"github.com/holdfast-go/holdfast/internal/redisserver"
)

// Case 24: whatever a server refuses with is a StoreError, at once and of one
// attempt; only what somebody has to mend by hand is a matter of configuration.
func TestCase24RefusalsOfAServer(t *testing.T) {
	t.Parallel()
	for _, refusal := range []struct {
		text   string
		config bool
	}{
		{"LOADING Redis is loading the dataset in memory", false},
		{"READONLY You can't write against a read only replica.", false},
		{"OOM command not allowed when used memory > 'maxmemory'.", false},
		{"BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.", false},
		{"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", false},
		{"CLUSTERDOWN Hash slot not served", false},
		{"TRYAGAIN Multiple keys request during rehashing of slot", false},
		{"NOREPLICAS Not enough good replicas to write.", false},
		{"MISCONF Redis is configured to save RDB snapshots, but it is currently not able to persist on disk.", false},
		{"ERR max number of clients reached", false},
		{"ERR Error running script", false},
		{"NOPERM this user has no permissions to run the 'evalsha' command", true},
		{"NOAUTH Authentication required.", true},
		{"WRONGPASS invalid username-password pair or user is disabled.", true},
		{"ERR The user executing the script can't run this command or subcommand script: x, on @user_script:1.", true},
		{"ERR ACL failure in script: User u has no permissions to run the 'hset' command", true},
	} {
		t.Run(strings.Fields(refusal.text)[0], func(t *testing.T) {
			t.Parallel()
			server := newFake(t, func([]string) string { return "-" + refusal.text + "\r\n" })
			s := New(connect(t, server.addr), newFleet(), Options{})
			for op, err := range callOnce(t.Context(), t, s) {
				said := storeError(t, err)
				if said.Config != refusal.config || said.Entity || !strings.Contains(err.Error(), refusal.text) {
					t.Errorf("%s: %+v; want what the server said, Config %v", op, said, refusal.config)
				}
				sentinel := domain.ErrStoreUnavailable
				if refusal.config {
					sentinel = domain.ErrStoreConfig
				}
				if !errors.Is(err, sentinel) {
					t.Errorf("%s: %v does not match %v", op, err, sentinel)
				}
			}
			if got := server.scripts.Load(); got != 6 {
				t.Errorf("%d scripts were sent for 6 calls", got)
			}
		})
	}
}

// A real server in each of those moods says what we think it does.
func TestCase24RealRefusals(t *testing.T) {
	t.Parallel()
	all, writes := []string{"take", "report", "probe", "read", "beat", "hold"}, []string{"take", "report", "beat", "hold"}
	for _, mood := range []struct {
		name   string
		args   []string
		mood   func(ctx context.Context, admin *redis.Client) error
		client redis.Options
		prefix string
		config bool
		ops    []string
	}{
		// A full memory refuses what would begin to write. Of a breaker everything
		// is written anew, which begins by deleting, so that it goes on.
		{"a full memory", nil, func(ctx context.Context, admin *redis.Client) error {
			return admin.ConfigSet(ctx, "maxmemory", "1").Err()
		}, redis.Options{}, "OOM", false, []string{"take", "beat", "hold"}},
		{"a replica", nil, func(ctx context.Context, admin *redis.Client) error {
			return admin.Do(ctx, "replicaof", "127.0.0.1", "1").Err()
		}, redis.Options{}, "READONLY", false, writes},
		{
			"a wrong password",
			[]string{"--requirepass", "right"},
			nil,
			redis.Options{Password: "wrong"},
			"WRONGPASS", true, all,
		},
		{"no password", []string{"--requirepass", "right"}, nil, redis.Options{}, "", true, all}, // what it says depends on the length of the command
		{"no right to scripts", nil, func(ctx context.Context, admin *redis.Client) error {
			return admin.Do(ctx, "acl", "setuser", "u", "on", ">p", "~*", "&*", "-@all", "+hmget", "+time").Err()
		}, redis.Options{Username: "u", Password: "p"}, "NOPERM", true, writes},
		{"no right to the keys", nil, func(ctx context.Context, admin *redis.Client) error {
			return admin.Do(ctx, "acl", "setuser", "u", "on", ">p", "~other:*", "&*", "+@all").Err()
		}, redis.Options{Username: "u", Password: "p"}, "NOPERM", true, all},
		{"no right to a command in the script", nil, func(ctx context.Context, admin *redis.Client) error {
			return admin.Do(ctx, "acl", "setuser", "u", "on", ">p", "~*", "&*", "+@all", "-hset").Err()
		}, redis.Options{Username: "u", Password: "p"}, "ERR", true, writes},
		{"no right to read in the script", nil, func(ctx context.Context, admin *redis.Client) error {
			return admin.Do(ctx, "acl", "setuser", "u", "on", ">p", "~*", "&*", "+@all", "-hmget", "-hgetall").Err()
		}, redis.Options{Username: "u", Password: "p"}, "ERR", true, writes},
	} {
		t.Run(mood.name, func(t *testing.T) {
			t.Parallel()
			server := redisserver.ForTest(t, mood.args...)
			if mood.mood != nil {
				must(t, mood.mood(t.Context(), connect(t, server.Addr())))
			}
			mood.client.Addr = server.Addr()
			for _, op := range mood.ops {
				client := redis.NewClient(&mood.client) // a new one each: a server may hang up after it has refused
				t.Cleanup(func() { _ = client.Close() })
				err := eachCall(t, New(client, newFleet(), Options{}))[op](t.Context())
				if err == nil {
					t.Errorf("%s: no error; want %s…", op, mood.prefix)
					continue
				}
				if said := storeError(t, err); said.Config != mood.config || said.Entity || !strings.HasPrefix(said.Err.Error(), mood.prefix) {
					t.Errorf("%s: %+v; want %s…, Config %v", op, said, mood.prefix, mood.config)
				}
			}
		})
	}
}

// A server that is still loading its data is an outage, and no longer one when
// it has loaded them.
func TestCase24Loading(t *testing.T) {
	t.Parallel()
	// 50 ms a key, and it answers others after every 1,024 bytes.
	server := redisserver.ForTest(t, "--key-load-delay", "50000", "--loading-process-events-interval-bytes", "1024", "--enable-debug-command", "yes")
	admin := connect(t, server.Addr())
	for _, key := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		must(t, admin.Set(t.Context(), key, strings.Repeat(key+"x", 1000), 0).Err())
	}
	must(t, admin.Do(t.Context(), "config", "set", "rdbcompression", "no").Err())
	s := New(connect(t, server.Addr()), newFleet(), Options{})
	if got := takeWith(t.Context(), s, ruleOf(t, 10, 10), takeOne()); got.Err != nil {
		t.Fatal(got.Err)
	}
	reloaded := make(chan error, 1)
	go func() { reloaded <- admin.Do(context.WithoutCancel(t.Context()), "debug", "reload").Err() }()
	loading := 0
	for deadline := time.Now().Add(10 * time.Second); ; {
		got := takeWith(t.Context(), s, ruleOf(t, 10, 10), takeOne())
		if redis.HasErrorPrefix(got.Err, "LOADING") || got.Err != nil && strings.Contains(got.Err.Error(), "LOADING") {
			loading++
			if said := storeError(t, got.Err); said.Config || said.Entity {
				t.Errorf("Take = %+v; want an outage", said)
			}
		} else if got.Err != nil {
			t.Errorf("Take = %+v", got)
		}
		if time.Now().After(deadline) {
			t.Fatalf("LOADING was seen %d times, and the server does not come back: %+v", loading, got)
		}
		if got.Err == nil && loading > 0 {
			break
		}
		select {
		case err := <-reloaded:
			must(t, err)
			if loading == 0 {
				t.Skip("the server had loaded before it could be asked")
			}
		default:
		}
	}
}

// A server that speaks no TLS, or one whose certificate nobody knows, is a
// matter of configuration; one that is not there is an outage.
func TestConnectionsThatFail(t *testing.T) {
	t.Parallel()
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(secure.Close)
	hangsUp := newFake(t, func([]string) string { return "" })
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	serveUntilEnd(t, listener, func(conn net.Conn) {
		_, _ = io.WriteString(conn, "-ERR this is no TLS\r\n")
		_, _ = io.Copy(io.Discard, conn)
	})
	modern := &tls.Config{MinVersion: tls.VersionTLS13}
	for name, kind := range map[string]struct {
		options redis.Options
		config  bool
	}{
		"no TLS there":           {redis.Options{Addr: listener.Addr().String(), TLSConfig: modern}, true},
		"an unknown certificate": {redis.Options{Addr: secure.Listener.Addr().String(), TLSConfig: modern}, true},
		"nobody there":           {redis.Options{Addr: "127.0.0.1:1"}, false},
		"hung up on":             {redis.Options{Addr: hangsUp.addr}, false},
		"no such machine":        {redis.Options{Addr: "holdfast.invalid:1"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kind.options.DialerRetries, kind.options.DialerRetryTimeout = 1, time.Millisecond
			client := redis.NewClient(&kind.options)
			t.Cleanup(func() { _ = client.Close() })
			s := New(client, newFleet(), Options{})
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			got := takeWith(ctx, s, ruleOf(t, 10, 10), takeOne())
			if said := storeError(t, got.Err); said.Config != kind.config || said.Entity {
				t.Errorf("Take: %+v; want Config %v", said, kind.config)
			}
		})
	}
}

// Case 25: a store is made while there is no server, and works when there is.
func TestCase25ColdStart(t *testing.T) {
	t.Parallel()
	leaktest.Check(t)
	server := redisserver.ForTest(t)
	server.Kill()
	s := New(connect(t, server.Addr()), newFleet(), Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if got := takeWith(ctx, s, ruleOf(t, 10, 10), takeOne()); storeError(t, got.Err).Config {
		t.Errorf("Take = %+v; want an outage", got)
	}
	must(t, server.Restart(t.Context()))
	for deadline := time.Now().Add(10 * time.Second); ; {
		got := takeWith(t.Context(), s, ruleOf(t, 10, 10), takeOne())
		if got == (port.TakeReply{Granted: 1, Remaining: 9}) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("Take = %+v although the server is there", got)
		}
	}
}

// Batches with an identifier that cannot be written safely fail alone.
func TestUnsafeReplicaName(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, client *redis.Client) {
		f := newFixture(t, client)
		for _, replica := range []string{"", "a:b", "a;b", "a b", strings.Repeat("a", 65)} {
			in := []port.Report{
				{Breaker: theBreaker, Rules: rulesOf(t, domain.CircuitBreaker{}), Evidence: sick(replica, 1, 0)},
				{Breaker: theBreaker, Rules: rulesOf(t, domain.CircuitBreaker{}), Evidence: sick("good", 1, 0)},
			}
			out := make([]port.View, 2)
			f.Stores().Breakers.Report(t.Context(), in, out)
			_ = storeError(t, out[0].Err)
			if out[1].Err != nil {
				t.Errorf("replica %q: %+v; want only its own report to fail", replica, out)
			}
		}
	})
}

// In a pipeline, too: there a client does not tell each command when it is the
// connection that was refused.
func TestRefusedConnectionOfAPipeline(t *testing.T) {
	t.Parallel()
	server := redisserver.ForTest(t, "--requirepass", "right")
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), Password: "wrong"})
	t.Cleanup(func() { _ = client.Close() })
	s := New(client, newFleet(), Options{})
	in := manyBuckets(t, 2*bucketsPerScript)
	out := make([]port.TakeReply, len(in))
	s.Stores().Buckets.Take(t.Context(), in, out)
	for i, got := range out {
		if said := storeError(t, got.Err); !said.Config || !strings.HasPrefix(said.Err.Error(), "WRONGPASS") {
			t.Fatalf("bucket %d: %+v; want WRONGPASS", i, got)
		}
	}
}
