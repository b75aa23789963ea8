package redisstore

import (
	"context"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/internal/redisserver"
)

// anyID draws the ids that callers may make: a name as domain.ValidateName has
// it, and a key of any bytes, often one that looks like another's.
func anyID(t *rapid.T, label string) port.ID {
	name := rapid.OneOf(
		rapid.SampledFrom([]string{"a", "b", "ab", "limit", "m", "c", "b.c", "-", "_"}),
		rapid.StringMatching(`[A-Za-z0-9._-]{1,64}`),
	).Draw(t, label+" name")
	key := rapid.OneOf(
		rapid.SampledFrom([]string{"", "a", "=", "#", "{", "}", "{a}", "}:{", "a=b", "\x00", "\xff", " ", "*", "a\r\nDEL a", strings.Repeat("k", 65)}),
		rapid.StringN(0, 8, -1),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 80), func(b []byte) string { return string(b) }),
	).Draw(t, label+" key")
	return port.ID{Name: name, Key: key}
}

// checkKey is what holds for the key of any entity.
func checkKey(t rapid.TB, s *Store, kind byte, id port.ID) string {
	key := s.key(kind, id)
	if !strings.HasPrefix(key, s.fleet+":{") || !strings.HasSuffix(key, "}") {
		t.Errorf("key of %q is %q: outside of its namespace", id, key)
	}
	if strings.Count(key, "{") != 1 || strings.Count(key, "}") != 1 {
		t.Errorf("key of %q is %q: more than one tag, so its slot depends on who reads it", id, key)
	}
	if len(key) > len(s.fleet)+len(":{b=}")+len(id.Name)+keyMax {
		t.Errorf("key of %q has %d bytes", id, len(key))
	}
	for _, c := range []byte(key) {
		if c <= ' ' || c > '~' {
			t.Errorf("key of %q is %q: byte %#x is not plain", id, key, c)
		}
	}
	return key
}

// Distinct entities have distinct keys, each with one hash tag of its own.
func TestKeysAreDistinct(t *testing.T) {
	t.Parallel()
	s := New(connect(t, "127.0.0.1:1"), "shop", Options{})
	rapid.Check(t, func(t *rapid.T) {
		kinds := rapid.SampledFrom([]byte{kindBucket, kindBreaker})
		a, b := anyID(t, "a"), anyID(t, "b")
		kindA, kindB := kinds.Draw(t, "kind a"), kinds.Draw(t, "kind b")
		keyA, keyB := checkKey(t, s, kindA, a), checkKey(t, s, kindB, b)
		if (kindA == kindB && a == b) != (keyA == keyB) {
			t.Fatalf("%c %q and %c %q have the keys %q and %q", kindA, a, kindB, b, keyA, keyB)
		}
		if members := s.key(kindMembers, port.ID{}); keyA == members {
			t.Fatalf("%c %q has the key of the members", kindA, a)
		}
	})
}

// A key that is spelt as the hash of another is still its own.
func TestHashesAreNoKeys(t *testing.T) {
	t.Parallel()
	s := New(connect(t, "127.0.0.1:1"), "shop", Options{})
	hashed := s.key(kindBucket, port.ID{Name: "limit", Key: "a b"})
	_, hash, found := strings.Cut(strings.TrimSuffix(hashed, "}"), "#")
	if !found || len(hash) != 22 {
		t.Fatalf("the key is %q; want a hash of 128 bits in it", hashed)
	}
	for _, key := range []string{hash, "#" + hash, "=" + hash} {
		if spelt := s.key(kindBucket, port.ID{Name: "limit", Key: key}); spelt == hashed {
			t.Errorf("the key %q is that of another, %q", key, spelt)
		}
	}
}

// FuzzKey looks for two entities with one key, and for a key that leaves its
// namespace or its hash tag.
func FuzzKey(f *testing.F) {
	for _, seed := range [][4]string{
		{"limit", "", "limit", "a"},
		{"limit", "a=b", "limit", "a"},
		{"limit", "}{", "limit", "}"},
		{"a", "=b", "a", "b"},
		{"a", "#b", "a", "b"},
		{"a", "k\x00", "a", "k"},
		{"a", strings.Repeat("k", 64), "a", strings.Repeat("k", 65)},
		{"ab", "c", "a", "bc"},
	} {
		f.Add("shop", seed[0], seed[1], seed[2], seed[3])
		f.Add(strings.Repeat("m", 64), seed[0], seed[1], seed[2], seed[3])
	}
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	f.Cleanup(func() { _ = client.Close() })
	f.Fuzz(func(t *testing.T, fleet, nameA, keyA, nameB, keyB string) {
		for _, name := range []string{fleet, nameA, nameB} {
			if domain.ValidateName("limit", name) != nil {
				t.Skip("refused before it gets here")
			}
		}
		s := New(client, fleet, Options{})
		a, b := port.ID{Name: nameA, Key: keyA}, port.ID{Name: nameB, Key: keyB}
		seen := map[string]string{s.key(kindMembers, port.ID{}): "the members"}
		for _, kind := range []byte{kindBucket, kindBreaker} {
			keyOfA, keyOfB := checkKey(t, s, kind, a), checkKey(t, s, kind, b)
			if (keyOfA == keyOfB) != (a == b) {
				t.Errorf("%q and %q have the keys %q and %q", a, b, keyOfA, keyOfB)
			}
			for _, key := range []string{keyOfA, keyOfB} {
				if other := seen[key]; other != "" && other != string(kind) {
					t.Errorf("%q is the key of two kinds", key)
				}
				seen[key] = string(kind)
			}
			if id, ok := s.breakerID(keyOfA); ok && (kind != kindBreaker || id != a) {
				t.Errorf("the key %q of %c %q is read as that of the breaker %q", keyOfA, kind, a, id)
			}
		}
	})
}

// TestCase18SlotsAreThoseOfTheServer compares our hash of a tag with the
// server's of the whole key. Only a server in cluster mode tells it.
func TestCase18SlotsAreThoseOfTheServer(t *testing.T) {
	t.Parallel()
	client := connect(t, redisserver.ForTest(t, "--cluster-enabled", "yes").Addr())
	s := New(client, "shop", Options{})
	rapid.Check(t, func(rt *rapid.T) {
		key := s.key(kindBucket, anyID(rt, "a"))
		_, tag, _ := strings.Cut(strings.TrimSuffix(key, "}"), "{")
		theirs, err := client.ClusterKeySlot(t.Context(), key).Result()
		if ours := int64(crc16(tag) % slotCount); err != nil || theirs != ours {
			rt.Fatalf("slot of %q: %d here, %d on the server (%v)", key, ours, theirs, err)
		}
	})
}

// On a cluster entities are grouped by slots; elsewhere there is one shard.
func TestShards(t *testing.T) {
	t.Parallel()
	cluster := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}})
	t.Cleanup(func() { _ = cluster.Close() })
	many, one := New(cluster, "shop", Options{}), New(connect(t, "127.0.0.1:1"), "shop", Options{})
	seen := make(map[uint32]int)
	for i := range 1000 {
		id := port.ID{Name: "limit", Key: string(rune('a'+i%26)) + string(rune('a'+i/26))}
		shard := many.Stores().Buckets.(port.Sharder).Shard(id)
		if again := many.Stores().Buckets.(port.Sharder).Shard(id); again != shard {
			t.Fatalf("the shard of %v is %d and %d", id, shard, again)
		}
		seen[shard]++
		if got := one.Stores().Buckets.(port.Sharder).Shard(id); got != 0 {
			t.Fatalf("a single server has shard %d", got)
		}
	}
	if len(seen) != shardCount {
		t.Errorf("1,000 keys are on %d shards; want all %d", len(seen), shardCount)
	}
	for shard, n := range seen {
		if shard >= shardCount || n < 20 {
			t.Errorf("shard %d has %d of 1,000 keys", shard, n)
		}
	}
}

// Each port knows the shard of its own entities: a breaker's key is not in the slot of
// the bucket of that name.
func TestEachPortHasItsOwnShards(t *testing.T) {
	t.Parallel()
	cluster := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}})
	t.Cleanup(func() { _ = cluster.Close() })
	s := New(cluster, "shop", Options{})
	stores := s.Stores()
	apart := 0
	for i := range 100 {
		id := port.ID{Name: "part" + strconv.Itoa(i)}
		bucket := stores.Buckets.(port.Sharder).Shard(id)
		for kind, keeper := range map[byte]any{kindBucket: stores.Buckets, kindBreaker: stores.Breakers, kindMembers: stores.Members} {
			_, tag, _ := strings.Cut(strings.TrimSuffix(s.key(kind, id), "}"), "{")
			want := uint32(crc16(tag)) % slotCount / (slotCount / shardCount)
			if got := keeper.(port.Sharder).Shard(id); got != want {
				t.Errorf("shard of %s: %d; want %d", s.key(kind, id), got, want)
			} else if got != bucket {
				apart++
			}
		}
	}
	if apart < 100 {
		t.Errorf("only %d of 200 are elsewhere than the bucket of that name", apart)
	}
}

// An id is read back from the name of a channel, which is a breaker's key.
func TestBreakersAreFoundByTheirChannel(t *testing.T) {
	t.Parallel()
	s := New(connect(t, "127.0.0.1:1"), "shop", Options{})
	for _, id := range []port.ID{{Name: "payments"}, {Name: "a.b-c_d"}, {Name: "payments", Key: "tenant=1"}} {
		if got, ok := s.breakerID(s.key(kindBreaker, id)); !ok || got != id {
			t.Errorf("%v is read back as %v, %v", id, got, ok)
		}
	}
	for _, channel := range []string{
		s.key(kindBucket, port.ID{Name: "payments"}),
		s.key(kindBreaker, port.ID{Name: "payments", Key: "hashed, since it has spaces"}),
		"other:{cpayments}", "shop:{cpayments", "shop:{c}", "",
	} {
		if got, ok := s.breakerID(channel); ok {
			t.Errorf("%q is read as %v", channel, got)
		}
	}
}

// A name that could leave its namespace is refused by every port, before any
// call: this store has no server.
func TestInvalidFleet(t *testing.T) {
	t.Parallel()
	for _, fleet := range []string{"", "a b", "a:b", "{a}", "a*", "über", strings.Repeat("a", 65), "a\n"} {
		s := New(connect(t, "127.0.0.1:1"), fleet, Options{})
		for op, err := range callAll(t.Context(), s) {
			said := storeError(t, err)
			if !said.Config || !strings.Contains(err.Error(), "fleet") {
				t.Errorf("%s of fleet %q: %v; want ErrStoreConfig that names the fleet", op, fleet, err)
			}
		}
	}
}

// callAll makes one call of each port, and returns the errors.
func callAll(ctx context.Context, s *Store) map[string]error {
	ports := s.Stores()
	var taken [1]port.TakeReply
	var view, read [1]port.View
	var probed [1]port.ProbeReply
	ports.Buckets.Take(ctx, []port.TakeRequest{{Bucket: theBucket}}, taken[:])
	ports.Breakers.Report(ctx, []port.Report{{Breaker: theBreaker}}, view[:])
	ports.Breakers.Probe(ctx, []port.ProbeRequest{{Breaker: theBreaker}}, probed[:])
	ports.Views.Read(ctx, []port.ID{theBreaker}, read[:])
	_, beat := ports.Members.Beat(ctx, "a", 0)
	return map[string]error{
		"hold": holdWith(ctx, s, 1).Err,
		"take": taken[0].Err, "report": view[0].Err, "probe": probed[0].View.Err, "read": read[0].Err, "beat": beat,
		"watch": ports.Views.Watch(ctx, func(port.ID, port.View) {}),
	}
}
