package faults

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	redsynclock "github.com/holdfast-go/holdfast/contrib/redsync"
	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/internal/leaktest"
	"github.com/holdfast-go/holdfast/internal/redisserver"
	redisstore "github.com/holdfast-go/holdfast/store/redis"
)

const (
	// patience is how long anything may take that has no bound of its own.
	patience = 10 * time.Second
	// recovery is how long after Redis a replica may need.
	recovery = 3 * time.Second
)

// A rig is one replica on one Redis, either of which can be broken.
type rig struct {
	*testing.T

	server *redisserver.Server
	admin  *redis.Client // straight to the server
	client *redis.Client // the replica's
	events journal
	*fleet.Replica
}

// A plan says how to build a rig. The zero one is a client as a user makes it.
type plan struct {
	server  []string               // arguments
	addr    string                 // of a way to the server; "" = straight
	options func(o *redis.Options) // nil = the defaults
}

// newRig starts a server, and a replica that uses it.
func newRig(t *testing.T, p plan) *rig {
	t.Helper()
	return joinRig(t, redisserver.ForTest(t, p.server...), p)
}

// joinRig adds a replica on a server. Whatever it began has ended with the test.
func joinRig(t *testing.T, server *redisserver.Server, p plan) *rig {
	t.Helper()
	r := &rig{T: t, server: server}
	options := &redis.Options{Addr: server.Addr()}
	if p.addr != "" {
		options.Addr = p.addr
	}
	if p.options != nil {
		p.options(options)
	}
	if options.Dialer == nil && options.TLSConfig == nil { // as by default, but counted
		options.Dialer = leaktest.Dialer(t)
	}
	r.admin, r.client = redis.NewClient(&redis.Options{Addr: server.Addr()}), redis.NewClient(options)
	r.Replica = join(t, r.client, &r.events)
	t.Cleanup(func() { _ = r.admin.Close() })
	return r
}

// join makes a replica of the test's fleet. It leaves, and its client is closed,
// with the test.
func join(t *testing.T, client redis.UniversalClient, events *journal) *fleet.Replica {
	t.Helper()
	stores := redisstore.New(client, "faults", redisstore.Options{}).Stores()
	stores.Locks = redsynclock.New(client, "faults", redsynclock.Options{})
	replica, err := fleet.Join(stores, fleet.Config{OnEvent: events.note})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
		defer cancel()
		if err := replica.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
		_ = client.Close()
	})
	return replica
}

// limit makes a limit that earns next to nothing, so that what is left of its
// burst tells what was spent.
func (r *rig) limit(name string, outage domain.Outage) *fleet.Limiter {
	r.Helper()
	return r.limiter(domain.RateLimit{Name: name, Limit: domain.PerHour(1).WithBurst(burst), Outage: outage})
}

const burst = 50_000

func (r *rig) limiter(p domain.RateLimit) *fleet.Limiter {
	r.Helper()
	l, err := r.Limiter(p)
	if err != nil {
		r.Fatal(err)
	}
	return l
}

// remaining asks the server what is left of a limit.
func (r *rig) remaining(l *fleet.Limiter, key string) int64 {
	r.Helper()
	d, err := l.Peek(r.Context(), key)
	if err != nil || d.Degraded {
		r.Fatalf("peek: %+v, %v", d, err)
	}
	return d.Remaining
}

// must fails the test for an error of its own.
func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// until waits for something that happens within a time.
func (r *rig) until(within time.Duration, what string, happened func() bool) {
	r.Helper()
	waitFor(r.T, within, what, happened)
}

// calls is how many scripts the server has executed.
func (r *rig) calls() (n int64) {
	r.Helper()
	info, err := r.admin.InfoMap(r.Context(), "commandstats").Result()
	r.must(err)
	for name, value := range info["Commandstats"] {
		if name != "cmdstat_evalsha" && name != "cmdstat_eval" {
			continue
		}
		for part := range strings.SplitSeq(value, ",") {
			if count, ok := strings.CutPrefix(part, "calls="); ok {
				n += number(r.T, count)
			}
			if count, ok := strings.CutPrefix(part, "failed_calls="); ok {
				n -= number(r.T, count)
			}
		}
	}
	return n
}

// unavailable reports whether err is one of a store that cannot be reached, or,
// for config, of one that refuses for good.
func unavailable(err error, config bool) bool {
	if config {
		return errors.Is(err, domain.ErrStoreConfig)
	}
	return errors.Is(err, domain.ErrStoreUnavailable)
}

// A journal is what a replica told. It is safe for concurrent use.
type journal struct {
	mu     sync.Mutex
	events []domain.Event
}

func (j *journal) note(e domain.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, e)
}

func (j *journal) kinds() (kinds []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range j.events {
		kinds = append(kinds, strings.TrimSpace(fmt.Sprint(e.Kind, " ", e.Name, " ", e.From, "-", e.To, " ", e.Scope, " ", e.Reason)))
	}
	return kinds
}

func (j *journal) count(kind domain.EventKind) (n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range j.events {
		if e.Kind == kind {
			n++
		}
	}
	return n
}
