package redisstore

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
	"github.com/holdfast-go/holdfast/domain/bucket"
	"github.com/holdfast-go/holdfast/domain/bulkhead"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/internal/redisserver"
	"github.com/holdfast-go/holdfast/store/memory"
)

// life is how long a key is kept from when f returns; f must write it. It may
// be less by what the test itself takes, which is returned too.
func (f *fixture) life(key string, write func()) (life, late time.Duration) {
	f.t.Helper()
	start := time.Now()
	write()
	life, err := f.client.PTTL(f.t.Context(), key).Result()
	must(f.t, err)
	return life, time.Since(start)
}

// meaning is how long what stands in theBucket differs from a full bucket.
func (f *fixture) meaning() time.Duration {
	f.t.Helper()
	hash, err := f.client.HGetAll(f.t.Context(), f.bucketKey()).Result()
	must(f.t, err)
	parse := func(text string) int64 {
		n, err := strconv.ParseInt(text, 10, 64)
		must(f.t, err)
		return n
	}
	number := func(field string) int64 { return parse(cmp.Or(hash[field], "0")) }
	credits := strings.Split(hash["c"], ",")
	rule := ruleOf(f.t, 10, 10)
	if len(credits) > 1 {
		rule = banded(f.t)
	}
	st := bucket.State{Kept: number("f") * time.Hour.Microseconds(), AtMicro: number("u"), Rule: rule, Turn: number("d"), Challenged: number("x"), Blocked: number("k")}
	for i, c := range credits {
		st.Credits[i] = parse(c)
	}
	if room, until, lends := strings.Cut(hash["l"], ":"); lends {
		st.Leases = &bucket.Leases{Room: parse(room), RoomMilli: parse(until)}
		for field, value := range hash {
			if tokens, end, ok := strings.Cut(value, ":"); ok && strings.Contains(field, ".") {
				st.Leases.Live = append(st.Leases.Live, bucket.Lease{Tokens: parse(tokens), EndTenth: parse(end)})
			}
		}
	}
	return time.Duration(st.AtMicro-f.micro.Load()+st.FullMicro()) * time.Microsecond
}

// leaseOf is an ask for two tokens ahead.
func leaseOf(seq uint64, life time.Duration) bucket.Ask {
	return bucket.Ask{Cost: 1, Count: 2, Lease: &bucket.LeaseAsk{
		ID: bucket.LeaseID{Start: seq, Seq: 1}, Milli: life.Milliseconds(), Spent: 1,
	}}
}

// banded is a rule whose second band is full long after the first.
func banded(t testing.TB) bucket.Rule {
	t.Helper()
	rule, err := bucket.Compile(domain.RateLimit{Limit: domain.PerSecond(10), Also: domain.Bands{domain.PerMinute(20)}})
	must(t, err)
	return rule
}

// kept is how long the key of a bucket is kept whose state means something for so long:
// to the first whole second after that, and a second more.
func (f *fixture) kept(meaning time.Duration) time.Duration {
	now := time.Duration(f.micro.Load()) * time.Microsecond
	return (now + meaning).Truncate(time.Second) + 2*time.Second - now
}

// A take that moves the instant at which a bucket is full within a second need not move
// the end of its key; the key is there for as long as it must all the same.
func TestTheEndOfAKeyIsMovedSeldom(t *testing.T) {
	t.Parallel()
	client := connect(t, redisserver.ForTest(t).Addr())
	s := New(client, newFleet(), Options{})
	rule, key := ruleOf(t, 1000, 10_000), s.key(kindBucket, theBucket)
	moved := func() int {
		info := client.Info(t.Context(), "commandstats").Val()
		_, text, _ := strings.Cut(info, "cmdstat_pexpire:calls=")
		n, _ := strconv.Atoi(text[:max(strings.Index(text, ","), 0)])
		return n
	}
	const takes = 2500
	for range takes {
		got := takeWith(t.Context(), s, rule, takeOne())
		must(t, got.Err)
		if got.Granted != 1 {
			t.Fatalf("%+v", got)
		}
		full := time.Duration(10_000-got.Remaining) * time.Millisecond
		if life := client.PTTL(t.Context(), key).Val(); life < full+time.Second-time.Duration(10_000)*time.Microsecond {
			t.Fatalf("the key lives %v, its bucket is full after %v", life, full)
		}
	}
	if n := moved(); n < 2 || n > 20 {
		t.Errorf("the end of the key was moved %d times in %d takes", n, takes)
	}
	// What somebody made eternal is so for a second at most.
	must(t, client.Persist(t.Context(), key).Err())
	for start := time.Now(); client.PTTL(t.Context(), key).Val() < 0; {
		if time.Since(start) > 10*time.Second {
			t.Fatal("the key is eternal")
		}
		must(t, takeWith(t.Context(), s, rule, takeOne()).Err)
	}
}

// Every way to write a bucket leaves it as long as it means something, to the next whole
// second and a second more, and not longer: a key is full before it is gone.
func TestBucketsLiveAsLongAsTheyMeanSomething(t *testing.T) {
	t.Parallel()
	other := ruleOf(t, 10, 11)
	empty := func(f *fixture) { f.take(bucket.Ask{Cost: 10, Count: 1}) }
	ways := []struct {
		name          string
		before, write func(f *fixture)
	}{
		{"a first grant", nil, func(f *fixture) { f.take(takeOne()) }},
		{"another grant", func(f *fixture) { f.take(takeOne()) }, func(f *fixture) { f.take(bucket.Ask{Cost: 3, Count: 2}) }},
		{"a slow band", nil, func(f *fixture) { takeWith(f.t.Context(), f.Store, banded(f.t), takeOne()) }},
		{"a slow band's debt", nil, func(f *fixture) {
			takeWith(f.t.Context(), f.Store, banded(f.t), bucket.Ask{Cost: 110, Count: 1, Bill: 1})
		}},
		{"a turn", empty, func(f *fixture) { f.take(bucket.Ask{Cost: 1, Count: 1, Turn: true}) }},
		{"a turn of a bucket that will be full before it is over", func(f *fixture) { f.take(takeOne()) }, func(f *fixture) {
			f.take(bucket.Ask{Cost: 10, Count: 1, Turn: true})
			f.take(bucket.Ask{Cost: 10, Count: 1, Turn: true})
			f.take(bucket.Ask{Cost: 10, Count: 1, Turn: true})
		}},
		{"a lease", nil, func(f *fixture) { f.take(leaseOf(1, 5*time.Second)) }},
		{"a lease and nothing beside it", func(f *fixture) { f.take(leaseOf(1, 3*time.Second)) }, func(f *fixture) {
			f.take(leaseOf(2, 2*time.Second))
			f.take(bucket.Ask{Cost: 1, Count: 10})
		}},
		{"room for a large cost", func(f *fixture) { f.take(leaseOf(1, 5*time.Second)) }, func(f *fixture) {
			f.take(bucket.Ask{Cost: 9, Count: 1})
		}},
		{"a bucket that is known", nil, func(f *fixture) {
			in := []port.TakeRequest{{Bucket: theBucket, Rule: ruleOf(f.t, 10, 10), Manner: bucket.Manner{First: domain.FirstEmpty}, Ask: takeOne()}}
			var out [1]port.TakeReply
			f.Stores().Buckets.Take(f.t.Context(), in, out[:])
			must(f.t, out[0].Err)
		}},
		{"a block", nil, func(f *fixture) { f.take(bucket.Ask{Order: &bucket.Order{BlockMilli: 30_000}}) }},
		{"a debt", empty, func(f *fixture) { f.take(bucket.Ask{Cost: 10, Count: 1, Bill: 1}) }},
		{"a claim that lost", empty, func(f *fixture) { takeWith(f.t.Context(), f.Store, other, takeOne()) }},
		{"a claim that lost, and the one that won", empty, func(f *fixture) {
			takeWith(f.t.Context(), f.Store, other, takeOne())
			f.move(10 * time.Second)
			f.take(takeOne())
		}},
		{"a clock that stepped back a little", empty, func(f *fixture) {
			f.move(-4 * time.Second)
			f.take(bucket.Ask{Cost: 1, Count: 1, Bill: 1})
		}},
		{"a clock that stepped back far", empty, func(f *fixture) {
			f.move(-time.Hour)
			f.take(takeOne())
		}},
		{"a key that somebody made eternal", empty, func(f *fixture) {
			must(f.t, f.client.Persist(f.t.Context(), f.bucketKey()).Err())
			f.take(bucket.Ask{Cost: 1, Count: 1, Bill: 1})
		}},
		{"poison that is healed", func(f *fixture) {
			must(f.t, f.client.Set(f.t.Context(), f.bucketKey(), "poison", 0).Err())
			f.take(takeOne())
		}, func(f *fixture) { f.take(takeOne()) }},
	}
	onBoth(t, func(t *testing.T, client *redis.Client) {
		for _, way := range ways {
			t.Run(way.name, func(t *testing.T) {
				var f *fixture
				var life, late, meaning time.Duration
				// Again where this machine was so busy that the key is gone before it is looked at.
				for try := 0; try == 0 || late > 500*time.Millisecond && try < 10; try++ {
					f = newHastyFixture(t, client)
					if way.before != nil {
						way.before(f)
					}
					life, late = f.life(f.bucketKey(), func() { way.write(f); meaning = f.meaning() })
				}
				if want := f.kept(meaning); life+late+2*time.Millisecond < want || life > want+2*time.Millisecond {
					t.Errorf("the key lives %v, its state means something for %v; want %v", life, meaning, want)
				}
			})
		}
	})
}

// Case 8: a peek makes no key, changes none, and does not make it live longer;
// nor does a denial without a turn. With a turn it writes what is there.
func TestCase08PeeksWriteNothing(t *testing.T) {
	t.Parallel()
	newer := ruleOf(t, 1000, 1000)
	newer.Version = 2
	onBoth(t, func(t *testing.T, client *redis.Client) {
		f := newHastyFixture(t, client)
		f.take(bucket.Ask{Count: 1})
		f.take(bucket.Ask{Cost: 11, Count: 1}) // above the burst
		if got := f.dump(f.bucketKey()); got != "none" {
			t.Errorf("looking at a bucket that is not there made %s", got)
		}
		f.take(bucket.Ask{Cost: 10, Count: 1})
		must(t, client.PExpire(t.Context(), f.bucketKey(), time.Hour).Err())
		before := f.dump(f.bucketKey())
		f.take(bucket.Ask{Count: 1})
		f.take(takeOne())
		takeWith(t.Context(), f.Store, newer, bucket.Ask{Count: 1})
		if after := f.dump(f.bucketKey()); after != before {
			t.Errorf("looking changed %s to %s", before, after)
		}
		if life := client.PTTL(t.Context(), f.bucketKey()).Val(); life < 59*time.Minute {
			t.Errorf("looking changed the key's life to %v", life)
		}
		if got := f.take(bucket.Ask{Count: 1, Turn: true}); got.Err != nil || got.Remaining != 0 || got.RetryAfter != time.Second/10 {
			t.Errorf("to write it as it is: %+v", got)
		}
		if life := client.PTTL(t.Context(), f.bucketKey()).Val(); life > time.Minute {
			t.Errorf("it was not written: its life is %v", life)
		}
	})
}

// Case 3: a bucket that expires a moment before or after it is full answers as
// one that never expires. Here miniredis expires it, and memory does not.
func TestCase03ExpiryDecidesNothing(t *testing.T) {
	t.Parallel()
	for contested, end := range map[bool]time.Duration{
		false: time.Second,                    // then it is full again
		true:  time.Minute - time.Microsecond, // then the other claim is forgotten
	} {
		for _, wait := range []time.Duration{
			end - time.Millisecond, end - time.Microsecond, end, end + time.Microsecond, end + time.Millisecond,
			end + time.Second - time.Millisecond, end + time.Second, end + time.Second + 2*time.Millisecond, time.Hour,
		} {
			t.Run(fmt.Sprintf("contested %v, after %v", contested, wait), func(t *testing.T) {
				t.Parallel()
				server := miniredis.RunT(t)
				f := newHastyFixture(t, connect(t, server.Addr()))
				eternal := memory.New(memory.Options{Now: f.now}).Stores()
				both := func(rule bucket.Rule, ask bucket.Ask) {
					t.Helper()
					var want [1]port.TakeReply
					eternal.Buckets.Take(t.Context(), []port.TakeRequest{{Bucket: theBucket, Rule: rule, Ask: ask}}, want[:])
					if got := takeWith(t.Context(), f.Store, rule, ask); got != want[0] {
						t.Errorf("Take(%+v) = %+v; without expiry %+v", ask, got, want[0])
					}
				}
				rule, other := ruleOf(t, 10, 10), ruleOf(t, 10, 20)
				both(rule, bucket.Ask{Cost: 4, Count: 1})
				both(rule, bucket.Ask{Cost: 6, Count: 1})
				if contested {
					both(other, takeOne())
				}
				f.move(wait)
				server.FastForward(wait)
				both(rule, bucket.Ask{Count: 1})
				both(other, bucket.Ask{Cost: 1, Count: 100})
				both(rule, bucket.Ask{Cost: 1, Count: 100, Turn: true})
			})
		}
	}
}

// Case 5, of a store with one key for each limit: one that was evicted is a
// full bucket, and nothing is left of it to contradict that.
func TestCase05EvictedBucketsAreFull(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, client *redis.Client) {
		f := newHastyFixture(t, client)
		f.take(bucket.Ask{Cost: 10, Count: 1})
		must(t, client.Del(t.Context(), f.bucketKey()).Err())
		if got, want := f.take(takeOne()), (port.TakeReply{Granted: 1, Remaining: 9}); got != want {
			t.Errorf("Take = %+v; want %+v", got, want)
		}
	})
}

// order gives an order.
func (f *fixture) order(lasting time.Duration) {
	f.t.Helper()
	must(f.t, orderWith(f.t.Context(), f.Store, lasting).Err)
}

// A breaker that is not closed must not read as closed after a quiet week, nor
// any before its end.
func TestBreakersLiveAWeekLonger(t *testing.T) {
	t.Parallel()
	const week = 7 * 24 * time.Hour
	policy := domain.CircuitBreaker{RecoveryTimeout: time.Hour, MaxHalfOpen: 2 * time.Hour}
	onBoth(t, func(t *testing.T, client *redis.Client) {
		f := newHastyFixture(t, client)
		epoch := uint64(f.micro.Load())
		ask := breaker.ProbeAsk{Replica: "a", Known: epoch + 1, Token: 1}
		settled := ask
		settled.Settle = true
		for _, way := range []struct {
			name  string
			lasts time.Duration
			write func()
		}{
			{"a first report", 0, func() { f.report(policy, sick("a", 1, 0)) }},
			{"a second report", 0, func() { f.report(policy, sick("a", 2, epoch)) }},
			{"a late report", 0, func() { f.report(policy, sick("a", 2, epoch)) }},
			{"a trip", time.Hour, func() { f.report(policy, sick("b", 3, epoch)) }},
			{"an order shorter than that", time.Hour, func() { f.order(time.Millisecond) }},
			{"a refused probe", time.Hour, func() { f.probe(policy, ask) }},
			{"a probe", 2 * time.Hour, func() { f.move(time.Hour); f.probe(policy, ask) }},
			{"a probe's result", 2 * time.Hour, func() { f.probe(policy, settled) }},
			{"a key that somebody made eternal", 2 * time.Hour, func() {
				must(t, client.Persist(t.Context(), f.breakerKey()).Err())
				f.probe(policy, ask)
			}},
			{"a loss", 0, func() { f.report(policy, sick("a", 9, epoch+uint64(2*time.Hour.Microseconds()))) }},
			{"an order", 3 * time.Hour, func() { f.order(3 * time.Hour) }},
			{"a report beside an order", 2 * time.Hour, func() { f.move(time.Hour); f.report(policy, sick("a", 10, 1)) }},
			{"a loss beside an order", 2 * time.Hour, func() { f.report(policy, sick("a", 11, epoch+uint64(4*time.Hour.Microseconds()))) }},
			{"poison beside an order", 2 * time.Hour, func() {
				must(t, client.HSet(t.Context(), f.breakerKey(), "e", "poison").Err())
				f.report(policy, sick("a", 12, 1))
				f.probe(policy, breaker.ProbeAsk{Replica: "a", Token: 1})
			}},
		} {
			life, late := f.life(f.breakerKey(), way.write)
			if life+late < week+way.lasts+time.Second-time.Millisecond {
				t.Errorf("after %s the key lives %v; want a week, a second and %v", way.name, life, way.lasts)
			}
		}
	})
}

// The permits' key outlives the last who holds any by a second.
func TestPermitsLiveAsLongAsTheLast(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, client *redis.Client) {
		f := newHastyFixture(t, client)
		for i, hold := range []struct {
			holder        string
			wanted        int64
			lasting, want time.Duration
		}{
			{"a", 3, 10 * time.Second, 10 * time.Second},
			{"b", 3, 5 * time.Second, 10 * time.Second},
			{"a", 0, time.Second, 5 * time.Second},
			{"c", 99, 3 * time.Second, 5 * time.Second},
		} {
			var life, late time.Duration
			for try := int64(0); try == 0 || late > 500*time.Millisecond && try < 10; try++ {
				life, late = f.life(f.permitsKey(), func() {
					in := []port.HoldRequest{{Bulkhead: theBulkhead, Ask: bulkhead.Ask{
						Holder: hold.holder, Seq: int64(i)*10 + try + 1, Room: 5, Want: hold.wanted, Lasting: hold.lasting.Microseconds(),
					}}}
					var out [1]port.HoldReply
					f.Stores().Permits.Hold(t.Context(), in, out[:])
					must(t, out[0].Err)
				})
			}
			if life+late+2*time.Millisecond < hold.want+time.Second || life > hold.want+time.Second+2*time.Millisecond {
				t.Errorf("after %+v the key lives %v; want a second more than the last holder", hold, life)
			}
		}
		for i, holder := range []string{"b", "c"} {
			in := []port.HoldRequest{{Bulkhead: theBulkhead, Ask: bulkhead.Ask{Holder: holder, Seq: 1000 + int64(i), Room: 5, Lasting: 1_000_000}}}
			var out [1]port.HoldReply
			f.Stores().Permits.Hold(t.Context(), in, out[:])
			must(t, out[0].Err)
		}
		if got := f.dump(f.permitsKey()); got != "none" {
			t.Errorf("without holders there is %s", got)
		}
	})
}

// The members' key outlives the last of them by a second.
func TestMembersLiveAsLongAsTheLast(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, client *redis.Client) {
		f := newHastyFixture(t, client)
		for _, beat := range []struct {
			replica       string
			lasting, want time.Duration
		}{
			{"a", 10 * time.Second, 10 * time.Second},
			{"b", 5 * time.Second, 10 * time.Second},
			{"a", 0, 5 * time.Second},
			{"b", time.Microsecond, 0},
		} {
			var life, late time.Duration
			for try := 0; try == 0 || late > 500*time.Millisecond && try < 10; try++ {
				life, late = f.life(f.membersKey(), func() {
					if _, err := f.Stores().Members.Beat(t.Context(), beat.replica, beat.lasting); err != nil {
						t.Error(err)
					}
				})
			}
			if life+late+2*time.Millisecond < beat.want+time.Second || life > beat.want+time.Second+2*time.Millisecond {
				t.Errorf("after %+v the key lives %v; want a second more than the last member", beat, life)
			}
		}
		if _, err := f.Stores().Members.Beat(t.Context(), "b", 0); err != nil {
			t.Error(err)
		}
		if got := f.dump(f.membersKey()); got != "none" {
			t.Errorf("without members there is %s", got)
		}
	})
}
