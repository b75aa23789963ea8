package redisstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
	"github.com/holdfast-go/holdfast/domain/bucket"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/internal/leaktest"
	"github.com/holdfast-go/holdfast/internal/redisserver"
)

// connect returns a client with its default options, to be closed with t.
func connect(t testing.TB, addr string) *redis.Client {
	t.Helper()
	leaktest.Check(t)
	client := redis.NewClient(&redis.Options{Addr: addr, Dialer: leaktest.Dialer(t)})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// realRedis is a client of the server that tests may use, and must not harm.
func realRedis(t *testing.T) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(redisserver.URLForTest(t))
	if err != nil {
		t.Fatal(err)
	}
	leaktest.Check(t)
	options.Dialer = leaktest.Dialer(t)
	client := redis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// newFleet is a namespace that nobody else uses: a server is never flushed for
// a test, since it may be someone's.
func newFleet() string { return "test" + strconv.FormatUint(rand.Uint64(), 36) }

// onBoth runs f on miniredis and on a real server.
func onBoth(t *testing.T, f func(t *testing.T, client *redis.Client)) {
	t.Helper()
	t.Run("miniredis", func(t *testing.T) {
		t.Parallel()
		f(t, connect(t, miniredis.RunT(t).Addr()))
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		f(t, realRedis(t))
	})
}

// A fixture is a store that decides in the test's own clock, and the client
// beside it, which sees what the store wrote.
type fixture struct {
	t *testing.T
	*Store
	client *redis.Client
	micro  atomic.Int64
}

func newFixture(t *testing.T, client *redis.Client) *fixture {
	t.Helper()
	f := newHastyFixture(t, client)
	f.Store = patient(t, f.Store)
	return f
}

// newHastyFixture is one whose keys live as long as they should.
func newHastyFixture(t *testing.T, client *redis.Client) *fixture {
	t.Helper()
	f := &fixture{t: t, client: client}
	f.micro.Store(1_795_000_000_000_000)
	f.Store = New(client, newFleet(), Options{now: func() time.Time { return time.UnixMicro(f.micro.Load()) }})
	return f
}

// patient keeps what s writes an hour longer. A server counts a key's life in
// its own clock: where the test decides in another one, and this machine is
// busy for a second, a key would be gone that is not yet full.
func patient(t *testing.T, s *Store) *Store {
	t.Helper()
	margin := regexp.MustCompile(`(PEXPIRE.*) \+ 100[012]\)`)
	for _, script := range []*script{s.take, s.step, s.order, s.beat, s.hold} {
		if !margin.MatchString(script.text) {
			t.Fatalf("%s: no margin found", script.op)
		}
		*script = *newScript(script.op, margin.ReplaceAllString(script.text, "$1 + 3600000)"))
	}
	return s
}

func (f *fixture) move(d time.Duration) { f.micro.Add(d.Microseconds()) }

// What most tests ask.
var (
	theBucket   = port.ID{Name: "limit"}
	theBreaker  = port.ID{Name: "breaker"}
	theBulkhead = port.ID{Name: "bulkhead"}
)

func (f *fixture) bucketKey() string  { return f.key(kindBucket, theBucket) }
func (f *fixture) breakerKey() string { return f.key(kindBreaker, theBreaker) }
func (f *fixture) membersKey() string { return f.key(kindMembers, port.ID{}) }
func (f *fixture) permitsKey() string { return f.key(kindPermits, theBulkhead) }

// ruleOf is n tokens a second with that burst.
func ruleOf(t testing.TB, n, burst int64) bucket.Rule {
	t.Helper()
	rule, err := bucket.Compile(domain.RateLimit{Limit: domain.PerSecond(n).WithBurst(burst)})
	if err != nil {
		t.Fatal(err)
	}
	return rule
}

func rulesOf(t testing.TB, policy domain.CircuitBreaker) breaker.Rules {
	t.Helper()
	rules, err := breaker.Compile(policy)
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

// take asks theBucket once, under ten tokens a second with a burst of ten.
func (f *fixture) take(ask bucket.Ask) port.TakeReply {
	f.t.Helper()
	return takeWith(f.t.Context(), f.Store, ruleOf(f.t, 10, 10), ask)
}

func takeWith(ctx context.Context, s *Store, rule bucket.Rule, ask bucket.Ask) port.TakeReply {
	var out [1]port.TakeReply
	s.Stores().Buckets.Take(ctx, []port.TakeRequest{{Bucket: theBucket, Rule: rule, Ask: ask}}, out[:])
	return out[0]
}

func takeOne() bucket.Ask { return bucket.Ask{Cost: 1, Count: 1} }

// sick is the report of a replica whose own layer tripped.
func sick(replica string, seq, known uint64) breaker.Evidence {
	return breaker.Evidence{Replica: replica, Seq: seq, Known: known, Weight: 1000, Bad: true, ForMicro: 10_000_000}
}

func (f *fixture) report(policy domain.CircuitBreaker, e breaker.Evidence) port.View {
	f.t.Helper()
	var out [1]port.View
	in := []port.Report{{Breaker: theBreaker, Rules: rulesOf(f.t, policy), Evidence: e}}
	f.Stores().Breakers.Report(f.t.Context(), in, out[:])
	return out[0]
}

func (f *fixture) probe(policy domain.CircuitBreaker, a breaker.ProbeAsk) port.ProbeReply {
	f.t.Helper()
	var out [1]port.ProbeReply
	in := []port.ProbeRequest{{Breaker: theBreaker, Rules: rulesOf(f.t, policy), ProbeAsk: a}}
	f.Stores().Breakers.Probe(f.t.Context(), in, out[:])
	return out[0]
}

func (f *fixture) read() port.View {
	f.t.Helper()
	var out [1]port.View
	f.Stores().Views.Read(f.t.Context(), []port.ID{theBreaker}, out[:])
	return out[0]
}

// dump is all that stands under a key, for comparing.
func (f *fixture) dump(key string) string {
	f.t.Helper()
	kind, err := f.client.Type(f.t.Context(), key).Result()
	if err != nil {
		f.t.Fatal(err)
	}
	switch kind {
	case "hash":
		fields, err := f.client.HGetAll(f.t.Context(), key).Result()
		return fmt.Sprint(kind, fields, err)
	case "stream":
		entries, err := f.client.XRange(f.t.Context(), key, "-", "+").Result()
		return fmt.Sprint(kind, entries, err)
	case "string":
		text, err := f.client.Get(f.t.Context(), key).Result()
		return fmt.Sprint(kind, text, err)
	default:
		return kind
	}
}

// must fails the test at an error of preparing it.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// storeError checks what every error of a port promises, and returns it.
func storeError(t *testing.T, err error) *domain.StoreError {
	t.Helper()
	said, ok := errors.AsType[*domain.StoreError](err)
	if !ok {
		t.Fatalf("the error is %v; want a *domain.StoreError", err)
	}
	if said.Op == "" || said.Err == nil {
		t.Errorf("the error does not say what was asked and why it failed: %+v", said)
	}
	return said
}

// executions is how many scripts the server has run so far.
func executions(t *testing.T, client *redis.Client) int {
	t.Helper()
	info, err := client.Info(t.Context(), "commandstats").Result()
	must(t, err)
	sum := 0
	for _, verb := range []string{"eval", "evalsha"} {
		_, rest, found := strings.Cut(info, "cmdstat_"+verb+":calls=")
		if !found {
			continue
		}
		count, _, _ := strings.Cut(rest, ",")
		n, err := strconv.Atoi(count)
		must(t, err)
		sum += n
		_, rest, _ = strings.Cut(rest, "failed_calls=") // NOSCRIPT, which ran nothing
		failed, _, _ := strings.Cut(rest, "\r")
		n, err = strconv.Atoi(failed)
		must(t, err)
		sum -= n
	}
	return sum
}
