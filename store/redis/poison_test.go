package redisstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
	"github.com/holdfast-go/holdfast/domain/bucket"
	"github.com/holdfast-go/holdfast/domain/port"
)

// A poison is something under a key that this library did not write.
type poison struct {
	name string
	put  func(ctx context.Context, client *redis.Client, key string) error
}

func text(value string) poison {
	return poison{"a string", func(ctx context.Context, client *redis.Client, key string) error {
		return client.Set(ctx, key, value, 0).Err()
	}}
}

func list() poison {
	return poison{"a list", func(ctx context.Context, client *redis.Client, key string) error {
		return client.RPush(ctx, key, "c", "1").Err()
	}}
}

// fields changes a good hash: a value of "-" takes the field away.
func fields(name string, good map[string]string, change ...string) poison {
	return poison{name, func(ctx context.Context, client *redis.Client, key string) error {
		hash := make(map[string]string, len(good)+1)
		maps.Copy(hash, good)
		for i := 0; i < len(change); i += 2 {
			hash[change[i]] = change[i+1]
			if change[i+1] == "-" {
				delete(hash, change[i])
			}
		}
		return client.HSet(ctx, key, hash).Err()
	}}
}

func bucketPoisons() []poison {
	good := map[string]string{"c": "0", "u": "1795000000000000", "p": "1:0:1:100000:10"}
	return []poison{
		text("poison"), text(""), list(),
		fields("NaN", good, "c", "nan"),
		fields("another NaN", good, "c", "-nan"),
		fields("infinite", good, "c", "inf"),
		fields("a fraction", good, "c", "0.5"),
		fields("above a full bucket", good, "c", "1000001"),
		fields("a debt too large", good, "c", "-10000001"),
		fields("words", good, "c", "many"),
		fields("empty", good, "c", ""),
		fields("no credits", good, "c", "-"),
		fields("no time", good, "u", "-"),
		fields("a time before 1970", good, "u", "-1"),
		fields("a time beyond 2^53", good, "u", "99999999999999999999"),
		fields("NaN as a time", good, "u", "nan"),
		fields("no rule", good, "p", "-"),
		fields("a rule of words", good, "p", "1:a:b:c:d"),
		fields("a rule too short", good, "p", "1:0:1"),
		fields("a rule without schema", good, "p", "0:1:100000:10"),
		fields("an older schema", good, "p", "0:0:1:100000:10"),
		fields("a rule that earns nothing", good, "p", "1:0:0:100000:10"),
		fields("half a band", good, "p", "1:0:1:100000:10:1"),
		fields("words for a band", good, "c", "0,0", "p", "1:0:1:100000:10:a:b:c"),
		fields("five bands", good, "c", "0,0,0,0,0", "p", "1:0:1:100:1:1:101:2:1:102:3:1:103:4:1:104:5"),
		fields("a further band that earns nothing", good, "c", "0,0", "p", "1:0:1:100000:10:0:3600000:100"),
		fields("a further band that holds less", good, "c", "0,0", "p", "1:0:1:100000:10:1:3600000:10"),
		fields("a band without end", good, "c", "0,0", "p", "1:0:1:100000:10:1:3600000:"+strings.Repeat("9", 400)),
		fields("credits of a band too many", good, "c", "0,0"),
		fields("credits of a band too few", good, "c", "0", "p", "1:0:1:100000:10:1:3600000:100"),
		fields("credits of a band above full", good, "c", "0,360000001", "p", "1:0:1:100000:10:1:3600000:100"),
		fields("credits of words", good, "c", "0,many", "p", "1:0:1:100000:10:1:3600000:100"),
		fields("a token worth nothing", good, "p", "1:0:1:0:10"),
		fields("a bucket of no tokens", good, "p", "1:0:1:100000:0"),
		fields("a bucket beyond 2^49", good, "p", "1:0:1:1:562949953421313"),
		fields("a rule without end", good, "p", "1:0:1:1:"+strings.Repeat("9", 400)),
		fields("a turn too long", good, "d", "1000001"),
		fields("a turn of the past", good, "d", "-1"),
		fields("NaN as a turn", good, "d", "nan"),
		fields("a challenge too long", good, "x", "60000001"),
		fields("a challenge of words", good, "x", "x"),
		fields("bills of words", good, "b", "1,2,x"),
		fields("bills without end", good, "b", strings.Repeat("1,", 200)),
		fields("a block of words", good, "k", "long"),
		fields("a block of the past", good, "k", "-1"),
		fields("a block of a part of a ms", good, "k", "1795000000000.5"),
		fields("a block without end", good, "k", strings.Repeat("9", 400)),
		fields("remembered for no reason", good, "f", "2"),
		fields("a queue of words", good, "w", "long"),
		fields("a queue into the past", good, "w", "-1"),
		fields("a queue of a part of a µs", good, "w", "0.5"),
		fields("a queue longer than any wait", good, "w", "3600000001"),
		fields("returns that are none", good, "r", "a;b"),
		fields("returns without end", good, "r", strings.Repeat("a1:1:1,", 5000)),
		fields("a block for ever", good, "k", "9007199254740993"),
		fields("room of words", good, "l", "much:later"),
		fields("room without an end", good, "l", "5"),
		fields("room beyond 2^49", good, "l", "562949953421313:0"),
		fields("room for longer than time", good, "l", "5:"+strings.Repeat("9", 400)),
		fields("a lease of words", good, "l", "0:0", "a.1", "five"),
		fields("a lease of nothing", good, "l", "0:0", "a.1", "0:17950000010"),
		fields("a lease of less than nothing", good, "l", "0:0", "a.1", "-5:17950000010"),
		fields("a lease beyond 2^49", good, "l", "0:0", "a.1", "562949953421313:17950000010"),
		fields("leases beyond 2^49 in sum", good, "l", "0:0", "a.1", "562949953421312:17950000010", "a.2", "1:17950000010"),
		fields("a lease for longer than can be", good, "l", "0:0", "a.1", "5:17950000201"),
		fields("a lease without end", good, "l", "0:0", "a.1", "5:"+strings.Repeat("9", 400)),
		fields("a lease numbered beyond 2^53", good, "l", "0:0", "a."+strings.Repeat("9", 30), "5:17950000010"),
		fields("more leases than can be", good, append([]string{"l", "0:0"}, leaseFields(513)...)...),
		fields("more fields than can be", good, append([]string{"l", "0:0"}, leaseFields(5000)...)...),
	}
}

// leaseFields are that many leases, as they are stored.
func leaseFields(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprint("a.", i+1), "1:17950000010")
	}
	return all
}

// What is not a bucket is an error once, and left as it is; the same replica's
// next call starts afresh. Nothing that is read is believed unchecked.
func TestPoisonedBucket(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, client *redis.Client) {
		for _, bad := range bucketPoisons() {
			t.Run(bad.name, func(t *testing.T) {
				f := newFixture(t, client)
				must(t, bad.put(t.Context(), client, f.bucketKey()))
				before := f.dump(f.bucketKey())
				checkUnreadable(t, f.take(takeOne()).Err)
				if after := f.dump(f.bucketKey()); after != before {
					t.Errorf("the first call changed %s to %s", before, after)
				}
				for i := range int64(2) {
					if got, want := f.take(takeOne()), (port.TakeReply{Granted: 1, Remaining: 9 - i}); got != want {
						t.Errorf("call %d afterwards = %+v; want %+v", i, got, want)
					}
				}
			})
		}
	})
}

func checkUnreadable(t *testing.T, err error) {
	t.Helper()
	if said := storeError(t, err); !said.Entity || said.Config || !errors.Is(err, ErrUnreadable) || !errors.Is(err, domain.ErrStoreUnavailable) {
		t.Errorf("the first call: %+v; want ErrUnreadable, about this entity", said)
	}
}

// Whoever finds it may heal it, also one who only looks.
func TestPoisonIsHealedByAPeek(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, client *redis.Client) {
		f := newFixture(t, client)
		must(t, client.Set(t.Context(), f.bucketKey(), "poison", 0).Err())
		checkUnreadable(t, f.take(bucket.Ask{Count: 1}).Err)
		for range 3 {
			if got, want := f.take(bucket.Ask{Count: 1}), (port.TakeReply{Granted: 1, Remaining: 10}); got != want {
				t.Errorf("a peek afterwards = %+v; want %+v", got, want)
			}
		}
	})
}

// One poisoned bucket in a batch fails alone.
func TestPoisonInABatch(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, client *redis.Client) {
		f := newFixture(t, client)
		must(t, client.Set(t.Context(), f.bucketKey(), "poison", 0).Err())
		rule, other := ruleOf(t, 10, 10), port.ID{Name: "other"}
		in := []port.TakeRequest{
			{Bucket: other, Rule: rule, Ask: takeOne()},
			{Bucket: theBucket, Rule: rule, Ask: takeOne()},
			{Bucket: theBucket, Rule: rule, Ask: bucket.Ask{Cost: 2, Count: 1}},
			{Bucket: other, Rule: rule, Ask: takeOne()},
		}
		out := make([]port.TakeReply, len(in))
		f.Stores().Buckets.Take(t.Context(), in, out)
		checkUnreadable(t, out[1].Err)
		checkUnreadable(t, out[2].Err)
		if want := (port.TakeReply{Granted: 1, Remaining: 9}); out[0] != want {
			t.Errorf("the bucket before it = %+v; want %+v", out[0], want)
		}
		if want := (port.TakeReply{Granted: 1, Remaining: 8}); out[3] != want {
			t.Errorf("the bucket after it = %+v; want %+v", out[3], want)
		}
	})
}

// State of a newer schema is another version's in a rolling deploy: it is an
// error for as long as it is there, and never overwritten.
func TestNewerSchema(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, client *redis.Client) {
		f := newFixture(t, client)
		for key, hash := range map[string]map[string]string{
			f.bucketKey():  {"p": "2:whatever it is", "c": "1", "z": "new"},
			f.breakerKey(): {"p": "17:whatever it is", "e": "5", "s": "2", "t": "1", "l": "1", "y": "0", "z": "new"},
		} {
			must(t, client.HSet(t.Context(), key, hash).Err())
		}
		before := f.dump(f.bucketKey()) + f.dump(f.breakerKey())
		for range 3 {
			for op, err := range map[string]error{
				"take":   f.take(takeOne()).Err,
				"report": f.report(domain.CircuitBreaker{}, sick("a", 1, 0)).Err,
				"probe":  f.probe(domain.CircuitBreaker{}, breaker.ProbeAsk{Replica: "a", Known: 5, Token: 1}).View.Err,
				"read":   f.read().Err,
				"order":  orderWith(t.Context(), f.Store, time.Second).Err,
			} {
				if said := storeError(t, err); !said.Entity || said.Config || !errors.Is(err, ErrNewer) {
					t.Errorf("%s: %+v; want ErrNewer, about this entity", op, said)
				}
			}
		}
		if after := f.dump(f.bucketKey()) + f.dump(f.breakerKey()); after != before {
			t.Errorf("the state was changed from %s to %s", before, after)
		}
	})
}

func breakerPoisons(t *testing.T) []poison {
	t.Helper()
	claim := "1:0:2:500:10000000:30000000:300000000:1:10000000:2:30000000:0"
	good := map[string]string{
		"p": claim, "e": "1795000000000000", "y": "1", "s": "0", "t": "1795000000000000", "l": "0", "g": "0", "x": "0",
		"w": "1795000000000000", "nb": "0", "wb": "0", "wa": "0", "nr": "0", "na": "0", "ns": "0", "nx": "0", "k": "0", "a": "0", "b": "0",
		// Votes of who knows whom: they must not count for the breaker that replaces it.
		"r:x": "1:1:1000:1795000000000000:10000000:1:1", "r:y": "1:1:1000:1795000000000000:10000000:1:1",
	}
	return []poison{
		text("poison"), list(),
		fields("no claim", good, "p", "-"),
		fields("a claim too short", good, "p", "1:0:2"),
		fields("a claim too long", good, "p", claim+":1"),
		fields("a claim of words", good, "p", "1:words"),
		fields("no epoch", good, "e", "-"),
		fields("NaN as an epoch", good, "e", "nan"),
		fields("an epoch beyond 2^53", good, "e", "99999999999999999999"),
		fields("a negative epoch", good, "e", "-1"),
		fields("a state that there is not", good, "s", "3"),
		fields("a fraction of a state", good, "s", "0.5"),
		fields("no start", good, "t", "-"),
		fields("infinite", good, "l", "inf"),
		fields("a growth of words", good, "g", "much"),
		fields("neither fresh nor not", good, "y", "2"),
		fields("a count below 0", good, "nb", "-1"),
		fields("a lease of words", good, "q", "lease;"),
		fields("a lease of NaN", good, "q", "1:nan:5:a;"),
	}
}

// A poisoned breaker is healed by whatever comes next, a report that opens at
// once included.
func TestPoisonedBreaker(t *testing.T) {
	t.Parallel()
	anyOpens := domain.CircuitBreaker{Sharing: domain.ShareAny}
	known := breaker.ProbeAsk{Replica: "a", Known: 1_795_000_000_000_000, Token: 1}
	unknown := breaker.ProbeAsk{Replica: "a", Token: 1}
	calls := []struct {
		name string
		call func(f *fixture) port.View
		want port.View // of the call that heals
	}{
		{
			"report", func(f *fixture) port.View { return f.report(domain.CircuitBreaker{}, sick("a", 1, 0)) },
			port.View{Epoch: 1_795_000_000_000_000, Fresh: true},
		},
		{
			"report that opens", func(f *fixture) port.View { return f.report(anyOpens, sick("a", 1, 0)) },
			port.View{Epoch: 1_795_000_000_000_001, State: domain.StateOpen, For: 30 * time.Second},
		},
		{
			"ask of one who knew it", func(f *fixture) port.View { return f.probe(domain.CircuitBreaker{}, known).View },
			port.View{Epoch: 1_795_000_000_000_001, Fresh: true},
		},
		{"ask of one who did not", func(f *fixture) port.View { return f.probe(domain.CircuitBreaker{}, unknown).View }, port.View{}},
	}
	onBoth(t, func(t *testing.T, client *redis.Client) {
		for _, bad := range breakerPoisons(t) {
			for _, c := range calls {
				t.Run(bad.name+", "+c.name, func(t *testing.T) {
					f := newFixture(t, client)
					must(t, bad.put(t.Context(), client, f.breakerKey()))
					before := f.dump(f.breakerKey())
					checkUnreadable(t, c.call(f).Err)
					if after := f.dump(f.breakerKey()); after != before {
						t.Errorf("the first call changed %s to %s", before, after)
					}
					if got := c.call(f); got != c.want {
						t.Errorf("the next call = %+v; want %+v", got, c.want)
					}
					if got := f.report(domain.CircuitBreaker{}, sick("z", 1, 0)); got.Err != nil {
						t.Errorf("a report afterwards: %v", got.Err)
					}
				})
			}
		}
	})
}

// A plain read makes nothing of what it cannot read. Only a wrong type is an
// error of the server, which the next call heals; the rest is as good as none.
func TestReadingPoison(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, client *redis.Client) {
		for _, bad := range breakerPoisons(t) {
			t.Run(bad.name, func(t *testing.T) {
				f := newFixture(t, client)
				must(t, bad.put(t.Context(), client, f.breakerKey()))
				got := f.read()
				if kind, _ := client.Type(t.Context(), f.breakerKey()).Result(); kind != "hash" {
					checkUnreadable(t, got.Err)
					if next := f.report(domain.CircuitBreaker{}, sick("a", 1, 0)); next.Err != nil {
						t.Errorf("the next call: %v; want it healed", next.Err)
					}
					return
				}
				if got.Err != nil || got.State != domain.StateClosed {
					t.Errorf("a read = %+v; want a closed breaker", got)
				}
			})
		}
	})
}

// Permits that nobody can have held are nobody's, without an error: those who hold some
// say so again.
func TestPoisonedPermits(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, client *redis.Client) {
		for _, bad := range []poison{
			text("poison"), list(),
			fields("words", nil, "b", "words"),
			fields("empty", nil, "b", ""),
			fields("too few", nil, "b", "1:9:9:1"),
			fields("NaN", nil, "b", "nan:nan:nan:nan:nan"),
			fields("for ever", nil, "b", "1:9:9:1:"+strings.Repeat("9", 400)),
			fields("beyond 2^53", nil, "b", "1:9:9:1:99999999999999999999"),
			fields("more than there can be", nil, "b", "1:1000001:9:1:9007199254740991"),
			fields("below none", nil, "b", "1:-9:9:1:9007199254740991"),
			fields("its own field", nil, "a", "words"),
			fields("its own, from the end of time", nil, "a", "9007199254740992:9:9:1:9007199254740991"),
		} {
			t.Run(bad.name, func(t *testing.T) {
				f := newFixture(t, client)
				must(t, bad.put(t.Context(), client, f.permitsKey()))
				for range 2 {
					if got := holdWith(t.Context(), f.Store, 10); got.Err != nil || got.Held != 10 || got.Room != 10 {
						t.Errorf("Hold = %+v; want all of the room", got)
					}
				}
				if life := client.PTTL(t.Context(), f.permitsKey()).Val(); life <= time.Second {
					t.Errorf("the key lives %v", life)
				}
			})
		}
	})
}

// Members that nobody can have written are forgotten, without an error: a
// count that is too low for a beat is harmless.
func TestPoisonedMembers(t *testing.T) {
	t.Parallel()
	endless := "1:" + strings.Repeat("9", 400) // infinite in Lua
	onBoth(t, func(t *testing.T, client *redis.Client) {
		for _, bad := range []poison{
			text("poison"), list(),
			fields("words", nil, "b", "words"),
			fields("empty", nil, "b", ""),
			fields("NaN", nil, "b", "nan:nan"),
			fields("for ever", nil, "b", endless),
			fields("beyond 2^53", nil, "b", "1:99999999999999999999"),
			fields("since for ever", nil, "b", endless[2:]+":1"),
			fields("its own field", nil, "a", "words"),
		} {
			t.Run(bad.name, func(t *testing.T) {
				f := newFixture(t, client)
				must(t, bad.put(t.Context(), client, f.membersKey()))
				for range 2 {
					live, err := f.Stores().Members.Beat(t.Context(), "a", time.Second)
					if live != 1 || err != nil {
						t.Errorf("Beat = %d, %v; want one member", live, err)
					}
				}
			})
		}
	})
}
