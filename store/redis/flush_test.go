package redisstore

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/bucket"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/internal/redisserver"
)

// Case 16: a server that forgets the scripts between every two calls is not
// noticed, and each call is executed exactly once.
func TestCase16FlushedScripts(t *testing.T) {
	t.Parallel()
	client := connect(t, redisserver.ForTest(t).Addr())
	f := newFixture(t, client)
	flush := func() { must(t, client.ScriptFlush(t.Context()).Err()) }
	for i := range int64(10) {
		flush()
		if got, want := f.take(takeOne()), (port.TakeReply{Granted: 1, Remaining: 9 - i}); got != want {
			t.Errorf("take %d = %+v; want %+v", i, got, want)
		}
	}
	flush()
	if live, err := f.Stores().Members.Beat(t.Context(), "a", time.Minute); live != 1 || err != nil {
		t.Errorf("Beat = %d, %v", live, err)
	}
	flush()
	if got := f.report(domain.CircuitBreaker{}, sick("a", 1, 0)); got.Err != nil {
		t.Errorf("Report: %v", got.Err)
	}
	if got := executions(t, client); got != 12 {
		t.Errorf("%d executions of 12 calls", got)
	}
}

// Case 16 in a pipeline, where go-redis does not fall back to the text: more
// buckets than one script carries, and several breakers.
func TestCase16FlushedScriptsInAPipeline(t *testing.T) {
	t.Parallel()
	client := connect(t, redisserver.ForTest(t).Addr())
	f := newFixture(t, client)
	rule, rules := ruleOf(t, 10, 10), rulesOf(t, domain.CircuitBreaker{Sharing: domain.ShareAny})
	takes := make([]port.TakeRequest, 3*bucketsPerScript)
	reports := make([]port.Report, 10)
	for i := range takes {
		takes[i] = port.TakeRequest{Bucket: port.ID{Name: "limit", Key: strconv.Itoa(i)}, Rule: rule, Ask: takeOne()}
	}
	for i := range reports {
		reports[i] = port.Report{Breaker: port.ID{Name: "breaker" + strconv.Itoa(i)}, Rules: rules, Evidence: sick("a", 1, 0)}
	}
	taken, views := make([]port.TakeReply, len(takes)), make([]port.View, len(reports))
	for round := range int64(3) {
		must(t, client.ScriptFlush(t.Context()).Err())
		f.Stores().Buckets.Take(t.Context(), takes, taken)
		for i, got := range taken {
			if want := (port.TakeReply{Granted: 1, Remaining: 9 - round}); got != want {
				t.Fatalf("round %d, bucket %d: %+v; want %+v", round, i, got, want)
			}
		}
		must(t, client.ScriptFlush(t.Context()).Err())
		f.Stores().Breakers.Report(t.Context(), reports, views)
		for i, got := range views {
			if got.Err != nil || got.State != domain.StateOpen {
				t.Fatalf("round %d, breaker %d: %+v; want it open", round, i, got)
			}
		}
	}
	if got, want := executions(t, client), 3*(3+10); got != want {
		t.Errorf("%d executions; want %d", got, want)
	}
}

// Case 16 on one server of two: each knows scripts for itself, so that of one
// pipeline a part was executed, and only the rest may be sent again.
func TestCase16FlushedScriptsOfOneServer(t *testing.T) {
	t.Parallel()
	addrs := map[string]string{"one": redisserver.ForTest(t).Addr(), "two": redisserver.ForTest(t).Addr()}
	ring := redis.NewRing(&redis.RingOptions{Addrs: addrs})
	t.Cleanup(func() { _ = ring.Close() })
	one, two := connect(t, addrs["one"]), connect(t, addrs["two"])
	still := time.UnixMicro(1_795_000_000_000_000)
	s := patient(t, New(ring, newFleet(), Options{now: func() time.Time { return still }}))
	rule := ruleOf(t, 10, 10)
	takes := make([]port.TakeRequest, 40)
	for i := range takes {
		takes[i] = port.TakeRequest{Bucket: port.ID{Name: "limit", Key: strconv.Itoa(i)}, Rule: rule, Ask: takeOne()}
	}
	taken := make([]port.TakeReply, len(takes))
	for round := range int64(3) {
		must(t, two.ScriptFlush(t.Context()).Err())
		s.Stores().Buckets.Take(t.Context(), takes, taken)
		for i, got := range taken {
			if want := (port.TakeReply{Granted: 1, Remaining: 9 - round}); got != want {
				t.Fatalf("round %d, bucket %d: %+v; want %+v", round, i, got, want)
			}
		}
	}
	here, there := executions(t, one), executions(t, two)
	if here == 0 || there == 0 || here+there != 3*len(takes) {
		t.Errorf("%d and %d executions; want some on each, and %d", here, there, 3*len(takes))
	}
}

// Case 16 under load: flushes between a call and its second try, too.
func TestCase16FlushedScriptsInALoop(t *testing.T) {
	t.Parallel()
	client := connect(t, redisserver.ForTest(t).Addr())
	const callers, calls = 8, 250
	f := newFixture(t, client)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var flushes atomic.Int64
	var flusher, all sync.WaitGroup
	flusher.Go(func() {
		for ctx.Err() == nil {
			if client.ScriptFlush(ctx).Err() == nil {
				flushes.Add(1)
			}
		}
	})
	rule := ruleOf(t, 1, callers*calls)
	for range callers {
		all.Go(func() {
			for range calls {
				if got := takeWith(t.Context(), f.Store, rule, takeOne()); got.Err != nil || got.Granted != 1 {
					t.Errorf("Take = %+v", got)
					return
				}
			}
		})
	}
	all.Wait()
	stop()
	flusher.Wait()
	if got := takeWith(t.Context(), f.Store, rule, bucket.Ask{Count: 1}); got.Remaining != 0 || got.Err != nil {
		t.Errorf("after %d flushes and as many calls as tokens, %+v; want none left", flushes.Load(), got)
	}
	t.Logf("%d flushes", flushes.Load())
}

// A server that never knows a script is asked twice, and no more. The second
// time it gets the text, so that this is another program's fault.
func TestCase16ServerThatKnowsNoScript(t *testing.T) {
	t.Parallel()
	server := newFake(t, func([]string) string { return "-NOSCRIPT No matching script. Please use EVAL.\r\n" })
	s := New(connect(t, server.addr), newFleet(), Options{})
	got := takeWith(t.Context(), s, ruleOf(t, 10, 10), takeOne())
	if said := storeError(t, got.Err); said.Config || !redis.HasErrorPrefix(said.Err, "NOSCRIPT") {
		t.Errorf("Take = %+v; want what the server said", got)
	}
	if n := server.scripts.Load(); n != 2 {
		t.Errorf("the server was asked %d times; want 2", n)
	}
}
