package faults

import (
	"bufio"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/redisserver"
)

func redisIsKilled(t *testing.T) {
	r := newRig(t, plan{server: []string{"--appendonly", "yes", "--appendfsync", "always"}})
	r.goThrough(outage{breaks: r.server.Kill, mends: r.restart, inDoubt: true})
}

func (r *rig) restart() { r.must(r.server.Restart(r.Context())) }

// redisHangs: what was sent to it meanwhile is not executed when it goes on.
func redisHangs(t *testing.T) {
	r := newRig(t, plan{})
	r.goThrough(outage{
		breaks: func() { r.must(r.server.Pause()) },
		mends:  func() { r.must(r.server.Resume()) },
	})
}

// newRigOn is a rig with a way between the replica and its server.
func newRigOn(t *testing.T) (*rig, *way) {
	t.Helper()
	server := redisserver.ForTest(t)
	w := newWay(t, server.Addr())
	return joinRig(t, server, plan{addr: w.addr()}), w
}

func redisIsSlow(t *testing.T) {
	r, w := newRigOn(t)
	r.goThrough(outage{
		breaks:  w.poison(`{"type":"latency","stream":"downstream","attributes":{"latency":400,"jitter":100}}`),
		mends:   w.heal,
		inDoubt: true,
	})
}

func repliesAreLost(t *testing.T) {
	r, w := newRigOn(t)
	r.goThrough(outage{
		breaks:  w.poison(`{"type":"timeout","stream":"downstream","attributes":{"timeout":0}}`),
		mends:   w.heal,
		inDoubt: true,
	})
}

func connectionsAreReset(t *testing.T) {
	r, w := newRigOn(t)
	r.goThrough(outage{
		breaks:  w.poison(`{"type":"reset_peer","stream":"downstream","attributes":{"timeout":0}}`),
		mends:   w.heal,
		inDoubt: true, atOnce: true,
	})
}

func networkSwallows(t *testing.T) {
	r, w := newRigOn(t)
	r.goThrough(outage{
		breaks: w.poison(`{"type":"timeout","stream":"upstream","attributes":{"timeout":0}}`),
		mends:  w.heal,
	})
}

// set sets a value of the server's configuration.
func (r *rig) set(name, value string) func() {
	return func() { r.must(r.admin.ConfigSet(r.Context(), name, value).Err()) }
}

func memoryIsFull(t *testing.T) {
	r := newRig(t, plan{})
	r.goThrough(outage{breaks: r.set("maxmemory", "1"), mends: r.set("maxmemory", "0"), says: "OOM"})
}

func redisIsReadOnly(t *testing.T) {
	r := newRig(t, plan{})
	r.goThrough(outage{
		breaks: func() { r.must(r.admin.ReplicaOf(r.Context(), "127.0.0.1", "1").Err()) },
		mends:  func() { r.must(r.admin.ReplicaOf(r.Context(), "NO", "ONE").Err()) },
		says:   "READONLY",
	})
}

// redisIsLoading: a server that was killed reads its file for three seconds,
// and says so.
func redisIsLoading(t *testing.T) {
	r := newRig(t, plan{server: []string{"--key-load-delay", "2000", "--loading-process-events-interval-bytes", "1024", "--save", "3600 1"}})
	r.must(r.admin.Eval(r.Context(), "for i = 1, 1500 do redis.call('SET', 'filler' .. i, i) end return 1", nil).Err())
	r.must(r.admin.Save(r.Context()).Err())
	restarted := make(chan error, 1)
	r.goThrough(outage{
		breaks: func() { r.server.Kill(); go func() { restarted <- r.server.Restart(r.Context()) }() },
		mends: func() {
			if said := ping(r.T, r.server.Addr()); !strings.HasPrefix(said, "-LOADING") {
				r.Errorf("it said %q; want that it is loading", said)
			}
			r.must(<-restarted)
		},
		erases: true,
	})
}

// ping asks a server without a client's patience.
func ping(t *testing.T, addr string) string {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	_, _ = conn.Write([]byte("PING\r\n"))
	said, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err.Error()
	}
	return said
}

func redisIsBusy(t *testing.T) {
	r := newRig(t, plan{server: []string{"--busy-reply-threshold", "50"}})
	over := make(chan struct{})
	somebody := redis.NewClient(&redis.Options{Addr: r.server.Addr(), ReadTimeout: -1, MaxRetries: -1})
	defer somebody.Close()
	r.goThrough(outage{
		breaks: func() {
			go func() {
				defer close(over)
				_ = somebody.Eval(r.Context(), "while true do end", nil).Err()
			}()
		},
		mends: func() { r.must(r.admin.ScriptKill(r.Context()).Err()); <-over },
		says:  "BUSY",
	})
}

// user is a client that logs in as one of the server's users.
func user(password func() string) func(*redis.Options) {
	return func(o *redis.Options) {
		o.CredentialsProvider = func() (string, string) { return "app", password() }
	}
}

// allow changes the rights of that user.
func (r *rig) allow(words ...any) {
	r.Helper()
	r.must(r.admin.Do(r.Context(), append([]any{"acl", "setuser", "app"}, words...)...).Err())
}

func newRigOfUser(t *testing.T, password func() string) *rig {
	t.Helper()
	server := redisserver.ForTest(t)
	admin := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer admin.Close()
	err := admin.Do(t.Context(), "acl", "setuser", "app", "on", ">"+password(), "~faults:*", "&faults:*", "+@all").Err()
	if err != nil {
		t.Fatal(err)
	}
	return joinRig(t, server, plan{options: user(password)})
}

func permissionsAreRevoked(t *testing.T) {
	r := newRigOfUser(t, func() string { return "secret" })
	r.goThrough(outage{
		breaks: func() { r.allow("-eval", "-evalsha") },
		mends:  func() { r.allow("+eval", "+evalsha") },
		config: true, says: "NOPERM",
	})
}

func passwordIsRotated(t *testing.T) {
	var password atomic.Value
	password.Store("old")
	r := newRigOfUser(t, func() string { return password.Load().(string) })
	r.goThrough(outage{
		breaks: func() {
			r.allow("resetpass", ">new")
			r.must(r.admin.Do(r.Context(), "client", "kill", "user", "app").Err())
		},
		mends:  func() { password.Store("new") },
		config: true, inDoubt: true, atOnce: true, says: "WRONGPASS",
	})
}

// noRedisAtStart: a replica is made, and decides, without Redis.
func noRedisAtStart(t *testing.T) {
	server := redisserver.ForTest(t)
	server.Kill()
	start := time.Now()
	r := joinRig(t, server, plan{})
	if took := time.Since(start); took > time.Second {
		t.Errorf("to make a replica took %v", took)
	}
	r.goThrough(outage{breaks: func() {}, mends: r.restart, already: true, erases: true})
}

// poolIsExhausted: the application that the client belongs to waits for
// something else on all of its connections.
func poolIsExhausted(t *testing.T) {
	const size = 3
	r := newRig(t, plan{options: func(o *redis.Options) { o.PoolSize = size }})
	held := make(chan error, size)
	r.goThrough(outage{
		breaks: func() {
			for range size {
				go func() { held <- r.client.BLPop(r.Context(), time.Minute, "work").Err() }()
			}
		},
		mends: func() {
			for range size {
				r.must(r.admin.RPush(r.Context(), "work", "done").Err())
				r.must(<-held)
			}
		},
	})
}

// tooManyClients: the server closes what is connected, and takes no more.
func tooManyClients(t *testing.T) {
	r := newRig(t, plan{})
	conn := r.admin.Conn()
	defer conn.Close()
	r.goThrough(outage{
		breaks: func() {
			r.must(conn.ConfigSet(r.Context(), "maxclients", "1").Err())
			r.must(conn.Do(r.Context(), "client", "kill", "type", "normal", "skipme", "yes").Err())
		},
		mends:   func() { r.must(conn.ConfigSet(r.Context(), "maxclients", "10000").Err()) },
		inDoubt: true, atOnce: true,
	})
}
