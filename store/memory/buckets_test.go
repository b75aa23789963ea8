package memory_test

import (
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
	"github.com/holdfast-go/holdfast/domain/bucket"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/store/memory"
)

// A clock moves when a test says so.
type clock struct{ micro atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.micro.Store(1_795_000_000_000_000)
	return c
}

func (c *clock) now() time.Time       { return time.UnixMicro(c.micro.Load()) }
func (c *clock) move(d time.Duration) { c.micro.Add(d.Microseconds()) }

func ruleOf(tb testing.TB, l domain.Limit) bucket.Rule {
	tb.Helper()
	rule, err := bucket.Compile(domain.RateLimit{Limit: l})
	if err != nil {
		tb.Fatal(err)
	}
	return rule
}

func take(tb testing.TB, stores port.Stores, key string, rule bucket.Rule, ask bucket.Ask) port.TakeReply {
	tb.Helper()
	var out [1]port.TakeReply
	stores.Buckets.Take(tb.Context(), []port.TakeRequest{{Bucket: port.ID{Name: "limit", Key: key}, Rule: rule, Ask: ask}}, out[:])
	return out[0]
}

// A live bucket is never forgotten to make room: that would give its burst out
// again to whoever sends keys enough. Those that are full again make room.
func TestLiveBucketsAreNeverForgotten(t *testing.T) {
	t.Parallel()
	const keys = 10_000
	clock := newClock()
	stores := memory.New(memory.Options{MaxKeys: 1000, Now: clock.now}).Stores()
	rule, one := ruleOf(t, domain.Per(1, time.Minute)), bucket.Ask{Cost: 1, Count: 1}
	admitted, refused := make(map[string]bool), 0
	for i := range keys {
		key := strconv.Itoa(i)
		switch got := take(t, stores, key, rule, one); {
		case got.Err != nil:
			said, ok := errors.AsType[*domain.StoreError](got.Err)
			if !ok || !said.Entity || said.Config {
				t.Fatalf("key %s: %v; want a trouble of its own", key, got.Err)
			}
			refused++
		case got.Granted == 1:
			admitted[key] = true
		default:
			t.Fatalf("key %s: %+v", key, got)
		}
	}
	if len(admitted) < 900 || len(admitted) > 1100 || refused+len(admitted) != keys {
		t.Errorf("%d keys were admitted and %d refused; want about 1,000 of %d", len(admitted), refused, keys)
	}
	for key := range admitted {
		if got := take(t, stores, key, rule, one); got.Granted != 0 || got.Err != nil {
			t.Fatalf("key %s afterwards: %+v; want its bucket empty", key, got)
		}
	}
	clock.move(time.Minute)
	if got := take(t, stores, "new", rule, one); got != (port.TakeReply{Granted: 1}) {
		t.Errorf("when all are full again: %+v", got)
	}
}

// Looking at keys, or asking for more than there ever is, fills nothing up.
func TestLookingTakesNoRoom(t *testing.T) {
	t.Parallel()
	stores := memory.New(memory.Options{MaxKeys: 200}).Stores()
	rule := ruleOf(t, domain.PerMinute(1))
	for i := range 10_000 {
		key := strconv.Itoa(i)
		if got := take(t, stores, key, rule, bucket.Ask{Count: 1}); got.Err != nil || got.Remaining != 1 {
			t.Fatalf("a peek at key %s: %+v", key, got)
		}
		if got := take(t, stores, key, rule, bucket.Ask{Cost: 2, Count: 1}); got.Err != nil || !got.TooHigh {
			t.Fatalf("too much of key %s: %+v", key, got)
		}
	}
}

// A bound bucket is the one that Take decides, also after the store dropped it
// to make room.
func TestBoundBuckets(t *testing.T) {
	t.Parallel()
	clock := newClock()
	stores := memory.New(memory.Options{MaxKeys: 200, Now: clock.now}).Stores()
	rule := ruleOf(t, domain.PerSecond(10))
	bound := stores.Buckets.(port.Binder).Bind(port.ID{Name: "limit", Key: "bound"}, rule, bucket.Manner{})
	for round := range 3 {
		if got, want := bound.Take(bucket.Ask{Cost: 4, Count: 1}), (port.TakeReply{Granted: 1, Remaining: 6}); got != want {
			t.Fatalf("round %d: bound %+v; want %+v", round, got, want)
		}
		if got, want := take(t, stores, "bound", rule, bucket.Ask{Cost: 4, Count: 1}), (port.TakeReply{Granted: 1, Remaining: 2}); got != want {
			t.Fatalf("round %d: by its key %+v; want %+v", round, got, want)
		}
		clock.move(time.Second)
		for i := range 10_000 {
			take(t, stores, strconv.Itoa(i), rule, bucket.Ask{Count: 1}) // sweeps
		}
	}
}

// Sharing a bucket, bound or not, while others are swept, loses no token and
// gives none out twice.
func TestBoundBucketsInARush(t *testing.T) {
	t.Parallel()
	const callers, calls = 8, 2000
	clock := newClock()
	stores := memory.New(memory.Options{MaxKeys: 200, Now: clock.now}).Stores()
	rule := ruleOf(t, domain.PerHour(callers*calls/2))
	var granted atomic.Int64
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			bound := stores.Buckets.(port.Binder).Bind(port.ID{Name: "limit", Key: "shared"}, rule, bucket.Manner{})
			for j := range calls {
				if i%2 == 0 {
					granted.Add(bound.Take(bucket.Ask{Cost: 1, Count: 1}).Granted)
				} else {
					granted.Add(take(t, stores, "shared", rule, bucket.Ask{Cost: 1, Count: 1}).Granted)
				}
				take(t, stores, strconv.Itoa(j), rule, bucket.Ask{Count: 1})
			}
		})
	}
	all.Wait()
	if granted.Load() != callers*calls/2 {
		t.Errorf("%d granted; want %d", granted.Load(), callers*calls/2)
	}
}

// The clock that a store has by default does not step.
func TestDefaultClock(t *testing.T) {
	t.Parallel()
	stores := memory.New(memory.Options{}).Stores()
	rules, err := breaker.Compile(domain.CircuitBreaker{})
	if err != nil {
		t.Fatal(err)
	}
	var out [1]port.View
	before := time.Now().UnixMicro()
	stores.Breakers.Report(t.Context(), []port.Report{{Breaker: port.ID{Name: "b"}, Rules: rules, Evidence: breaker.Evidence{Replica: "a"}}}, out[:])
	if got := int64(out[0].Epoch); got < before-1e6 || got > time.Now().UnixMicro()+1e6 {
		t.Errorf("the epoch is %d; want the time, %d", got, before)
	}
}

func BenchmarkTake(b *testing.B) {
	stores := memory.New(memory.Options{}).Stores()
	rule := ruleOf(b, domain.PerSecond(1_000_000_000).WithBurst(1_000_000))
	id := port.ID{Name: "limit"}
	b.Run("bound", func(b *testing.B) {
		b.ReportAllocs()
		bound := stores.Buckets.(port.Binder).Bind(id, rule, bucket.Manner{})
		for b.Loop() {
			bound.Take(bucket.Ask{Cost: 1, Count: 1})
		}
	})
	b.Run("by its key", func(b *testing.B) {
		b.ReportAllocs()
		in, out := [1]port.TakeRequest{{Bucket: id, Rule: rule, Ask: bucket.Ask{Cost: 1, Count: 1}}}, [1]port.TakeReply{}
		for b.Loop() {
			stores.Buckets.Take(b.Context(), in[:], out[:])
		}
	})
}

// A bucket that is to be known for an hour is not dropped for being full.
func TestKnownBucketsAreKept(t *testing.T) {
	now := time.Unix(1_795_000_000, 0)
	store := memory.New(memory.Options{Now: func() time.Time { return now }, MaxKeys: 64 * 64}).Stores().Buckets.(port.Binder)
	policy := domain.RateLimit{Limit: domain.PerSecond(10)}
	rule, err := bucket.Compile(policy)
	if err != nil {
		t.Fatal(err)
	}
	take := func(key string, how bucket.Manner) port.TakeReply {
		return store.Bind(port.ID{Name: "limit", Key: key}, rule, how).Take(bucket.Ask{Cost: 1, Count: 1})
	}
	empty := bucket.Manner{First: domain.FirstEmpty}
	if got := take("known", empty); got.Granted != 0 {
		t.Fatalf("%+v; want a new bucket empty", got)
	}
	now = now.Add(time.Minute)
	for i := range 100_000 { // each of them is forgotten to make room for others
		if got := take(strconv.Itoa(i), bucket.Manner{}); got.Err != nil {
			t.Fatal(got.Err)
		}
		now = now.Add(time.Millisecond)
	}
	if got := take("known", empty); got.Granted != 1 {
		t.Errorf("%+v; want it known still", got)
	}
}
