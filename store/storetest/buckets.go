package storetest

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/bucket"
	"github.com/holdfast-go/holdfast/domain/port"
)

// A takeStep moves the clock and asks one bucket.
type takeStep struct {
	after time.Duration
	limit domain.RateLimit // the story's, unless set
	ask   bucket.Ask
	want  port.TakeReply
}

// A takeStory is a run of steps on one bucket, and the rule that it shows.
type takeStory struct {
	name  string
	why   string
	limit domain.RateLimit
	steps []takeStep
}

const us = time.Microsecond

func one() bucket.Ask             { return bucket.Ask{Cost: 1, Count: 1} }
func cost(n int64) bucket.Ask     { return bucket.Ask{Cost: n, Count: 1} }
func many(count int64) bucket.Ask { return bucket.Ask{Cost: 1, Count: count} }
func turn() bucket.Ask            { return bucket.Ask{Cost: 1, Count: 1, Turn: true} }
func peek() bucket.Ask            { return bucket.Ask{Count: 1} }
func bill(id uint64, n int64) bucket.Ask {
	return bucket.Ask{Cost: n, Count: 1, Bill: id}
}

func yes(remaining int64) port.TakeReply { return port.TakeReply{Granted: 1, Remaining: remaining} }
func no(remaining int64, retryAfter time.Duration) port.TakeReply {
	return port.TakeReply{Remaining: remaining, RetryAfter: retryAfter}
}

func limit(tokens int64, period time.Duration, burst int64) domain.RateLimit {
	return domain.RateLimit{Limit: domain.Limit{Tokens: tokens, Period: period, Burst: burst}}
}

func version(r domain.RateLimit, n int64) domain.RateLimit {
	r.Version = n
	return r
}

// TestBuckets is the conformance suite of a [port.BucketStore].
func TestBuckets(t *testing.T, newStore Maker) {
	t.Helper()
	for _, story := range slices.Concat(takeStories(), bandStories(), carryStories(), firstStories()) {
		t.Run(story.name, func(t *testing.T) { story.run(t, newStore) })
	}
	has := newStore(t, newClock().now).Buckets
	_, lends := has.(port.Leaser)
	_, obeys := has.(port.Obeyer)
	var further []takeStory
	if lends {
		further = append(further, leaseStories()...)
	}
	if obeys {
		further = append(further, orderStories()...)
	}
	if lends && obeys {
		further = append(further, blockedLeaseStories()...)
	}
	if _, queues := has.(port.Queuer); queues {
		further = append(further, slices.Concat(queueStories(), returnStories())...)
		if obeys {
			further = append(further, orderedQueueStories()...)
		}
		if lends {
			further = append(further, lentQueueStories()...)
		}
	}
	for _, story := range further {
		t.Run(story.name, func(t *testing.T) { story.run(t, newStore) })
	}
	t.Run("a batch is decided in order", func(t *testing.T) { testBatch(t, newStore) })
	t.Run("keys are apart", func(t *testing.T) { testKeys(t, newStore) })
	t.Run("nothing is asked", func(t *testing.T) { newStore(t, newClock().now).Buckets.Take(t.Context(), nil, nil) })
	t.Run("many callers at once (case 15)", func(t *testing.T) { testRush(t, newStore) })
	t.Run("a context that is done takes nothing", func(t *testing.T) { testDone(t, newStore) })
}

func (s takeStory) run(t *testing.T, newStore Maker) {
	t.Helper()
	clock := newClock()
	store := newStore(t, clock.now)
	for i, step := range s.steps {
		clock.move(step.after)
		declared := step.limit
		if declared == (domain.RateLimit{}) {
			declared = s.limit
		}
		got := take(t, store, port.ID{Name: "limit"}, declared, step.ask)
		if got != step.want {
			t.Fatalf("step %d: Take(%+v) = %+v; want %+v\n%s", i, step.ask, got, step.want, s.why)
		}
	}
}

func take(t *testing.T, store port.Stores, id port.ID, declared domain.RateLimit, ask bucket.Ask) port.TakeReply {
	t.Helper()
	in := [1]port.TakeRequest{{Bucket: id, Rule: compile(t, declared), Manner: bucket.Manner{Carry: declared.Carry, First: declared.FirstFill}, Ask: ask}}
	var out [1]port.TakeReply
	store.Buckets.Take(t.Context(), in[:], out[:])
	return out[0]
}

func compile(t *testing.T, declared domain.RateLimit) bucket.Rule {
	t.Helper()
	rule, err := bucket.Compile(declared)
	if err != nil {
		t.Fatal(err)
	}
	return rule
}

// takeStories are what a limit promises, and what others got wrong.
func takeStories() []takeStory {
	second, perSecond := time.Second, limit(1, time.Second, 3)
	strict, loose := version(limit(10, second, 10), 1), version(limit(1000, second, 1000), 2)
	return []takeStory{
		{"a new bucket is full (case 37)", "it gives its burst at once, then its rate", perSecond, []takeStep{
			{0, domain.RateLimit{}, many(5), port.TakeReply{Granted: 3, RetryAfter: second}},
			{second - us, domain.RateLimit{}, one(), no(0, us)},
			{us, domain.RateLimit{}, one(), yes(0)},
		}},
		{"all or nothing (case 6)", "a refused cost charges nothing", limit(1, second, 5), []takeStep{
			{0, domain.RateLimit{}, cost(3), yes(2)},
			{0, domain.RateLimit{}, cost(3), no(2, second)},
			{0, domain.RateLimit{}, cost(2), yes(0)},
		}},
		{"thirds do not drift", "credits are whole numbers, and a wait is rounded up", limit(3, second, 1), []takeStep{
			{0, domain.RateLimit{}, one(), yes(0)},
			{0, domain.RateLimit{}, one(), no(0, 333334*us)},
			{333333 * us, domain.RateLimit{}, one(), no(0, us)},
			{us, domain.RateLimit{}, one(), yes(0)},
		}},
		{"waiting exactly RetryAfter succeeds", "when nobody else took the tokens", limit(7, second, 10), []takeStep{
			{0, domain.RateLimit{}, cost(10), yes(0)},
			{0, domain.RateLimit{}, cost(5), no(0, 714286*us)},
			{714286 * us, domain.RateLimit{}, cost(5), yes(0)},
		}},
		{"a full bucket stays full (case 40)", "no more than the burst is saved up, and no double burst at a boundary", perSecond, []takeStep{
			{0, domain.RateLimit{}, one(), yes(2)},
			{time.Hour, domain.RateLimit{}, many(9), port.TakeReply{Granted: 3, RetryAfter: second}},
			{second, domain.RateLimit{}, many(9), port.TakeReply{Granted: 1, RetryAfter: second}},
		}},
		{"asking often earns nothing and costs nothing (case 11)", "a denial must not move the refill", limit(1, 10*second, 1), []takeStep{
			{0, domain.RateLimit{}, one(), yes(0)},
			{3 * second, domain.RateLimit{}, one(), no(0, 7*second)},
			{3 * second, domain.RateLimit{}, one(), no(0, 4*second)},
			{3 * second, domain.RateLimit{}, one(), no(0, second)},
			{second, domain.RateLimit{}, one(), yes(0)},
		}},
		{"a cost above the burst is never granted (case 7)", "no wait helps; exactly the burst is", perSecond, []takeStep{
			{0, domain.RateLimit{}, cost(4), port.TakeReply{Remaining: 3, TooHigh: true}},
			{0, domain.RateLimit{}, cost(3), yes(0)},
		}},
		{"cost 0 peeks (case 8)", "it takes nothing and says how long the next token takes", perSecond, []takeStep{
			{0, domain.RateLimit{}, peek(), yes(3)},
			{0, domain.RateLimit{}, cost(3), yes(0)},
			{second / 4, domain.RateLimit{}, peek(), port.TakeReply{Granted: 1, RetryAfter: 3 * second / 4}},
			{3 * second / 4, domain.RateLimit{}, peek(), yes(1)},
			{0, domain.RateLimit{}, one(), yes(0)},
		}},
		{"a clock that steps back refills nothing (case 41)", "and freezes for no longer than the step", perSecond, []takeStep{
			{0, domain.RateLimit{}, cost(3), yes(0)},
			{-second, domain.RateLimit{}, one(), no(0, second)},
			{second, domain.RateLimit{}, one(), no(0, second)},
			{second, domain.RateLimit{}, one(), yes(0)},
		}},
		{"nor does it take anything away", "what is there can be had, and is there afterwards", perSecond, []takeStep{
			{0, domain.RateLimit{}, one(), yes(2)},
			{-second, domain.RateLimit{}, one(), yes(1)},
			{second, domain.RateLimit{}, one(), yes(0)},
			{0, domain.RateLimit{}, one(), no(0, second)},
		}},
		{"a clock far behind re-bases the bucket", "it mints nothing, and refills from the new time on", perSecond, []takeStep{
			{0, domain.RateLimit{}, cost(3), yes(0)},
			{-time.Hour, domain.RateLimit{}, turn(), no(0, second)},
			{second, domain.RateLimit{}, one(), yes(0)},
			{time.Hour, domain.RateLimit{}, many(9), port.TakeReply{Granted: 3, RetryAfter: second}},
		}},
		{"a clock that steps back and forth mints nothing (case 2)", "as long as the step is short", perSecond, []takeStep{
			{0, domain.RateLimit{}, cost(3), yes(0)},
			{-5 * second, domain.RateLimit{}, turn(), no(0, second)},
			{5 * second, domain.RateLimit{}, one(), no(0, second)},
			{second, domain.RateLimit{}, one(), yes(0)},
		}},
		{"a longer step forward costs a burst at most (case 2)", "it cannot be told from time that passed", perSecond, []takeStep{
			{0, domain.RateLimit{}, cost(3), yes(0)},
			{-10 * second, domain.RateLimit{}, one(), no(0, second)},
			{10 * second, domain.RateLimit{}, many(9), port.TakeReply{Granted: 3, RetryAfter: second}},
		}},
		{"a clock far behind freezes nobody", "the new time is kept although nothing was granted", perSecond, []takeStep{
			{0, domain.RateLimit{}, cost(3), yes(0)},
			{-time.Hour, domain.RateLimit{}, one(), no(0, second)},
			{second - us, domain.RateLimit{}, one(), no(0, us)},
			{us, domain.RateLimit{}, one(), yes(0)},
		}},
		{"a burst far below the rate (case 4)", "it is earned in a thousandth of the period", limit(1000, second, 1), []takeStep{
			{0, domain.RateLimit{}, one(), yes(0)},
			{0, domain.RateLimit{}, one(), no(0, time.Millisecond)},
			{999 * us, domain.RateLimit{}, one(), no(0, us)},
			{us, domain.RateLimit{}, one(), yes(0)},
		}},
		{"slow rates are exact (case 42)", "one token a day does not vanish in rounding or expiry", limit(1, 24*time.Hour, 1), []takeStep{
			{0, domain.RateLimit{}, one(), yes(0)},
			{24*time.Hour - us, domain.RateLimit{}, one(), no(0, us)},
			{us, domain.RateLimit{}, one(), yes(0)},
		}},
		{"fast rates are exact", "a million a second, a burst of one", limit(1_000_000, second, 1), []takeStep{
			{0, domain.RateLimit{}, one(), yes(0)},
			{0, domain.RateLimit{}, one(), no(0, us)},
			{us, domain.RateLimit{}, one(), yes(0)},
		}},
		{"a period below a millisecond (case 4)", "its state must live at least as long as it means something", limit(1, 100*us, 2), []takeStep{
			{0, domain.RateLimit{}, cost(2), yes(0)},
			{99 * us, domain.RateLimit{}, one(), no(0, us)},
			{us, domain.RateLimit{}, one(), yes(0)},
		}},
		{"turns spread those who were denied", "each that stays silent gets the token after the last one's", limit(10, second, 1), []takeStep{
			{0, domain.RateLimit{}, turn(), yes(0)},
			{0, domain.RateLimit{}, turn(), no(0, 100*time.Millisecond)},
			{0, domain.RateLimit{}, turn(), no(0, 100*time.Millisecond)},
			{0, domain.RateLimit{}, turn(), no(0, 200*time.Millisecond)},
			{0, domain.RateLimit{}, one(), no(0, 100*time.Millisecond)}, // who takes no turn is told the refill
			{300 * time.Millisecond, domain.RateLimit{}, turn(), yes(0)},
			{0, domain.RateLimit{}, turn(), no(0, 100*time.Millisecond)},
		}},
		{"a turn is never longer than a second", "however many were denied", limit(1, second, 1), []takeStep{
			{0, domain.RateLimit{}, one(), yes(0)},
			{0, domain.RateLimit{}, turn(), no(0, second)},
			{0, domain.RateLimit{}, turn(), no(0, second)},
			{0, domain.RateLimit{}, turn(), no(0, second)},
		}},
		{"turns end with the rule that they were of", "a raised limit must not begin up to a second late", limit(10, second, 1), []takeStep{
			{0, domain.RateLimit{}, turn(), yes(0)},
			{0, domain.RateLimit{}, turn(), no(0, second/10)},
			{0, domain.RateLimit{}, turn(), no(0, second/10)},
			{0, domain.RateLimit{}, turn(), no(0, 2*second/10)},
			{0, version(limit(100, second, 1), 1), turn(), no(0, second/100)},
			{second / 100, version(limit(100, second, 1), 1), turn(), yes(0)},
			{0, version(limit(100, second, 1), 1), turn(), no(0, second/100)},
		}},
		{"and with one that falls", "what takes its place begins at once, too", limit(10, second, 10), []takeStep{
			{0, version(limit(1, time.Hour, 10), 3), cost(10), yes(0)},
			{0, domain.RateLimit{}, one(), foreign(no(0, time.Hour))},
			{59900 * time.Millisecond, domain.RateLimit{}, turn(), foreign(no(0, time.Hour-59900*time.Millisecond))},
			{200 * time.Millisecond, domain.RateLimit{}, turn(), no(0, 98331*us)},
		}},
		{"a bill is charged once", "into debt, but never below an empty bucket's worth of it", limit(10, second, 10), []takeStep{
			{0, domain.RateLimit{}, bill(7, 5), yes(5)},
			{0, domain.RateLimit{}, bill(7, 5), yes(5)},
			{0, domain.RateLimit{}, bill(8, 100), yes(0)},
			{0, domain.RateLimit{}, one(), no(0, 600*time.Millisecond)},
			{0, domain.RateLimit{}, bill(9, 10), yes(0)},
			{0, domain.RateLimit{}, one(), no(0, 1100*time.Millisecond)},
			{1100 * time.Millisecond, domain.RateLimit{}, one(), yes(0)},
		}},
		{"a cost below 0 is never granted", "nor are fewer calls than none: they would mint", perSecond, []takeStep{
			{0, domain.RateLimit{}, one(), yes(2)},
			{0, domain.RateLimit{}, cost(-1), port.TakeReply{Remaining: 2, TooHigh: true}},
			{0, domain.RateLimit{}, many(-1), port.TakeReply{Remaining: 2, TooHigh: true}},
			{0, domain.RateLimit{}, many(0), port.TakeReply{Remaining: 2, TooHigh: true}},
			{0, domain.RateLimit{}, bill(1, -1), yes(2)},
			{0, domain.RateLimit{}, cost(2), yes(0)},
		}},
		{"a raised limit is not denied by what came before (case 14)", "a denial is not remembered in the bucket", strict, []takeStep{
			{0, domain.RateLimit{}, cost(10), yes(0)},
			{0, domain.RateLimit{}, one(), no(0, second/10)},
			{0, loose, one(), no(0, time.Millisecond)},
			{time.Millisecond, loose, one(), yes(0)},
		}},
		{"a peek brings no claim (case 8)", "it writes nothing, so it settles nothing", strict, []takeStep{
			{0, domain.RateLimit{}, cost(5), yes(5)},
			{0, loose, peek(), yes(500)}, // what loose would find
			{0, domain.RateLimit{}, peek(), yes(5)},
			{0, domain.RateLimit{}, one(), yes(4)},
		}},
		{"a newer version takes over in proportion", "and the older one is then decided by it", strict, []takeStep{
			{0, domain.RateLimit{}, cost(5), yes(5)},
			{0, loose, peek(), yes(500)},
			{0, loose, cost(100), yes(400)},
			{0, domain.RateLimit{}, cost(10), foreign(yes(390))},
		}},
		{"alternating versions mint nothing", "a rolling deploy asks with both for a while", strict, []takeStep{
			{0, loose, cost(1000), yes(0)},
			{0, domain.RateLimit{}, one(), foreign(no(0, 1000*us))},
			{10 * time.Millisecond, domain.RateLimit{}, cost(10), foreign(yes(0))},
			{0, loose, one(), no(0, 1000*us)},
			{0, domain.RateLimit{}, one(), foreign(no(0, 1000*us))},
		}},
		{"at equal versions the stricter numbers win", "whoever asks first", limit(100, second, 100), []takeStep{
			{0, domain.RateLimit{}, cost(50), yes(50)},
			{0, limit(10, second, 10), one(), yes(4)},
			{0, domain.RateLimit{}, one(), foreign(yes(3))},
		}},
		{"a claim that nobody brings falls", "after a minute: a rollback, or a raised limit", limit(1, time.Hour, 100), []takeStep{
			{0, version(limit(1, time.Hour, 10), 3), cost(10), yes(0)},
			{0, domain.RateLimit{}, one(), foreign(no(0, time.Hour))},
			{59 * second, domain.RateLimit{}, one(), foreign(no(0, time.Hour-59*second))},
			{2 * second, domain.RateLimit{}, turn(), no(0, 49*time.Minute+50*second+228*us)},
		}},
		{"a bucket that is full again is as good as none", "so that expiry decides nothing", version(limit(10, second, 10), 1), []takeStep{
			{0, loose, cost(500), yes(500)},
			{500 * time.Millisecond, domain.RateLimit{}, one(), yes(9)},
		}},
		{"unless two versions are brought", "then the better one decides for a minute after it was last brought", version(limit(10, second, 10), 1), []takeStep{
			{0, loose, cost(500), yes(500)},
			{499999 * us, domain.RateLimit{}, one(), foreign(yes(998))},
			{time.Second, domain.RateLimit{}, one(), foreign(yes(999))},
			{59*second - 2*us, domain.RateLimit{}, one(), foreign(yes(999))},
			{second, domain.RateLimit{}, one(), yes(9)},
		}},
		{"a deploy that shrinks the burst mints nothing", "the small bucket is full soon, and the large one must not be had each time", limit(1, second, 1000), []takeStep{
			{0, domain.RateLimit{}, cost(1000), yes(0)},
			{0, version(limit(10, second, 1), 1), one(), no(0, second/10)},
			{second / 10, domain.RateLimit{}, many(1000), foreign(port.TakeReply{Granted: 1, RetryAfter: second / 10})},
			{second / 10, version(limit(10, second, 1), 1), one(), yes(0)},
			{second, domain.RateLimit{}, many(1000), foreign(port.TakeReply{Granted: 1, RetryAfter: second / 10})},
			{second, version(limit(10, second, 1), 1), peek(), yes(1)},
			{60 * second, domain.RateLimit{}, many(1000), port.TakeReply{Granted: 1000}}, // which nobody has brought for a minute
		}},
	}
}

// testBatch takes several buckets at once, one of them twice.
func testBatch(t *testing.T, newStore Maker) {
	t.Helper()
	clock := newClock()
	store := newStore(t, clock.now)
	rule := compile(t, limit(1, time.Second, 3))
	a, b := port.ID{Name: "a"}, port.ID{Name: "b"}
	in := []port.TakeRequest{
		{Bucket: a, Rule: rule, Ask: many(2)},
		{Bucket: a, Rule: rule, Ask: cost(2)},
		{Bucket: a, Rule: rule, Ask: cost(1)},
		{Bucket: b, Rule: rule, Ask: cost(3)},
		{Bucket: a, Rule: rule, Ask: cost(1)},
	}
	want := []port.TakeReply{
		{Granted: 2, Remaining: 1}, no(1, time.Second), yes(0), yes(0), no(0, time.Second),
	}
	out := make([]port.TakeReply, len(in))
	store.Buckets.Take(t.Context(), in, out)
	for i := range want {
		if out[i] != want[i] {
			t.Errorf("request %d: %+v; want %+v", i, out[i], want[i])
		}
	}
}

// testKeys takes the whole burst of many keys that look alike: none may be
// another one's.
func testKeys(t *testing.T, newStore Maker) {
	t.Helper()
	clock := newClock()
	store := newStore(t, clock.now)
	long := make([]byte, 5000)
	keys := []string{
		"", "a", "b", "A", "a ", " a", "{a}", "{", "}", "}{", "a=b", "#a", "=a", "a\x00", "\x00", "\xff\xfe",
		"a\nb", "*", "?", "[a]", "limit", "über", "..", "a:b", string(long), string(long[:64]), string(long[:65]),
	}
	ids := make([]port.ID, 0, 2*len(keys))
	for _, key := range keys {
		ids = append(ids, port.ID{Name: "limit", Key: key}, port.ID{Name: "limi", Key: "t" + key})
	}
	for _, id := range ids {
		if got := take(t, store, id, limit(1, time.Hour, 2), cost(2)); got != yes(0) {
			t.Errorf("key %q of %q: %+v; want its own full bucket", id.Key, id.Name, got)
		}
	}
	for _, id := range ids {
		if got := take(t, store, id, limit(1, time.Hour, 2), one()); got.Granted != 0 || got.Err != nil {
			t.Errorf("key %q of %q: %+v; want an empty bucket", id.Key, id.Name, got)
		}
	}
}

// testRush has 64 callers ask 200 times each, a few in one call, for a bucket
// that has half of it.
func testRush(t *testing.T, newStore Maker) {
	t.Helper()
	const callers, calls, each = 64, 10, 20
	clock := newClock()
	store := newStore(t, clock.now)
	rule := compile(t, limit(1, time.Hour, callers*calls*each/2))
	var granted atomic.Int64
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			in := slices.Repeat([]port.TakeRequest{{Bucket: port.ID{Name: "limit"}, Rule: rule, Ask: one()}}, each)
			out := make([]port.TakeReply, each)
			for range calls {
				store.Buckets.Take(t.Context(), in, out)
				for _, reply := range out {
					granted.Add(reply.Granted)
					if reply.Err != nil {
						t.Errorf("Take: %v", reply.Err)
						return
					}
				}
			}
		})
	}
	all.Wait()
	if want := int64(callers * calls * each / 2); granted.Load() != want {
		t.Errorf("%d tokens were granted; want exactly %d", granted.Load(), want)
	}
}

func testDone(t *testing.T, newStore Maker) {
	t.Helper()
	clock := newClock()
	store := newStore(t, clock.now)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	in := [1]port.TakeRequest{{Bucket: port.ID{Name: "limit"}, Rule: compile(t, limit(1, time.Hour, 1)), Ask: one()}}
	var out [1]port.TakeReply
	store.Buckets.Take(ctx, in[:], out[:])
	if out[0].Err == nil || out[0].Granted != 0 {
		t.Errorf("Take with a done context = %+v; want an error", out[0])
	}
	if got := take(t, store, in[0].Bucket, limit(1, time.Hour, 1), one()); got != yes(0) {
		t.Errorf("afterwards: %+v; want the token still there", got)
	}
}
