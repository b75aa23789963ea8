package faults

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
)

// bucketKey is where the server keeps a limit that is not keyed.
func bucketKey(name string) string { return "faults:{b" + name + "}" }

// take takes as much as it can, up to most, and returns how much that was.
func (r *rig) take(l *fleet.Limiter, most int64) (n int64) {
	r.Helper()
	for ; n < most; n++ {
		d, err := l.Allow(r.Context(), "")
		if err != nil || d.Degraded {
			r.Fatalf("call %d: %+v, %v", n, d, err)
		}
		if !d.Allowed {
			return n
		}
	}
	return n
}

// wantCalm asserts that nothing was told of the store.
func (r *rig) wantCalm() {
	r.Helper()
	for _, kind := range []domain.EventKind{domain.EventStoreDown, domain.EventStoreConfig} {
		if n := r.events.count(kind); n > 0 {
			r.Errorf("%d events %v; want none", n, kind)
		}
	}
}

// scriptsAreFlushed: nobody notices, and no call is executed twice.
func scriptsAreFlushed(t *testing.T) {
	r := newRig(t, plan{})
	l := r.limit("api", domain.OutageClosed)
	flushed, over := 0, make(chan struct{})
	var flusher sync.WaitGroup
	flusher.Go(func() {
		for ; ; flushed++ {
			select {
			case <-over:
				return
			default:
				_ = r.admin.ScriptFlush(context.WithoutCancel(t.Context())).Err()
			}
		}
	})
	calls := startLoad(l)
	r.until(patience, "400 calls", func() bool { return calls.admitted() >= 400 })
	close(over)
	flusher.Wait()
	made := calls.stop()
	calls.wantInTime(t, made)
	t.Logf("flushed %d times", flushed)
	if !r.stoodStill(calls.late) {
		wantEach(t, "all", made, isDecided)
		r.wantCalm()
	}
	r.wantSpent(l, made, outage{})
}

// stateIsFlushed: one more burst, and no more; a breaker that was seen open
// stays so.
func stateIsFlushed(t *testing.T) {
	r := newRig(t, plan{})
	l := r.limiter(domain.RateLimit{Name: "api", Limit: domain.PerHour(100)})
	b := r.tripped(domain.CircuitBreaker{Name: "api", Sharing: domain.ShareAny, RecoveryTimeout: time.Minute})
	if n := r.take(l, 1000); n != 100 {
		t.Errorf("%d calls; want the burst of 100", n)
	}
	r.must(r.admin.FlushAll(t.Context()).Err())
	r.until(2*time.Second, "the denial is forgotten", func() bool { return r.remaining(l, "") > 0 && r.take(l, 1) == 1 })
	if n := r.take(l, 1000); n != 99 {
		t.Errorf("%d more calls; want 99, the rest of one burst", n)
	}
	r.until(3*time.Second, "the loss is noticed", func() bool { _, _ = b.Acquire(t.Context()); return r.events.count(domain.EventLost) == 1 })
	if _, err := b.Acquire(t.Context()); !errors.Is(err, domain.ErrCircuitOpen) {
		t.Errorf("the breaker, open for a minute: %v", err)
	}
	r.wantCalm()
}

// breaker makes a breaker that five failures trip.
func (r *rig) breaker(p domain.CircuitBreaker) *fleet.Breaker {
	r.Helper()
	p.MinCalls, p.FailureRatio = 5, 0.5
	b, err := r.Breaker(p)
	r.must(err)
	return b
}

// fail makes as many calls, and lets them fail.
func (r *rig) fail(b *fleet.Breaker) {
	r.Helper()
	for range 5 {
		permit, err := b.Acquire(r.Context())
		r.must(err)
		permit.Report(domain.Failure)
	}
}

// tripped is a breaker that this replica has opened for the fleet.
func (r *rig) tripped(p domain.CircuitBreaker) *fleet.Breaker {
	r.Helper()
	b := r.breaker(p)
	r.fail(b)
	r.until(patience, "the fleet's breaker opens", func() bool {
		_, _ = b.Acquire(r.Context())
		return b.Status().Fleet == domain.StateOpen
	})
	return b
}

// keysAreEvicted: memory is short and the server throws keys away, those with
// the shortest life first: ours. A limit gives one burst more for each time.
func keysAreEvicted(t *testing.T) {
	r := newRig(t, plan{server: []string{"--maxmemory", "8mb", "--maxmemory-policy", "volatile-ttl"}})
	l := r.limiter(domain.RateLimit{Name: "api", Limit: domain.PerHour(100)})
	if n := r.take(l, 1000); n != 100 {
		t.Errorf("%d calls; want the burst of 100", n)
	}
	filler := strings.Repeat("x", 100_000)
	for i := 0; r.admin.Exists(t.Context(), bucketKey("api")).Val() == 1; i++ {
		r.must(r.admin.Set(t.Context(), fmt.Sprint("filler", i), filler, 24*time.Hour).Err())
	}
	r.until(2*time.Second, "the denial is forgotten", func() bool { return r.take(l, 1) == 1 })
	if n := r.take(l, 1000); n != 99 {
		t.Errorf("%d more calls; want 99, the rest of one burst", n)
	}
	r.wantCalm()
}

// stateIsPoisoned: what cannot be read is an error, once, and heals.
func stateIsPoisoned(t *testing.T) {
	r := newRig(t, plan{})
	for name, poison := range map[string]func(key string) error{
		"another-type": func(key string) error { return r.admin.Set(t.Context(), key, "garbage", 0).Err() },
		"no-number": func(key string) error {
			return r.admin.HSet(t.Context(), key, "c", "nan", "u", "inf", "p", "1:0:1:1:1").Err()
		},
		"half": func(key string) error { return r.admin.HSet(t.Context(), key, "c", "1").Err() },
	} {
		l := r.limiter(domain.RateLimit{Name: name, Limit: domain.PerHour(10), Outage: domain.OutageClosed})
		r.must(poison(bucketKey(name)))
		_, err := l.Allow(t.Context(), "")
		if said, ok := errors.AsType[*domain.StoreError](err); !ok || !said.Entity {
			t.Errorf("%s: %v; want an error of this one limit", name, err)
		}
		if n := r.take(l, 100); n != 10 {
			t.Errorf("%s: %d calls when it has healed; want 10", name, n)
		}
	}
	r.wantCalm()
}

// stateIsNewer: what a later version of the library wrote is left alone, and the
// limit does what it declared; all others go on.
func stateIsNewer(t *testing.T) {
	r := newRig(t, plan{})
	r.must(r.admin.HSet(t.Context(), bucketKey("newer"), "c", "1", "u", "1", "p", "2:0:1:1:1").Err())
	newer := r.limiter(domain.RateLimit{Name: "newer", Limit: domain.PerHour(10), Outage: domain.OutageClosed})
	other := r.limiter(domain.RateLimit{Name: "other", Limit: domain.PerHour(10), Outage: domain.OutageClosed})
	for range 10 {
		if _, err := newer.Allow(t.Context(), ""); !unavailable(err, false) {
			t.Fatalf("%v; want an error", err)
		}
	}
	if n := r.take(other, 100); n != 10 {
		t.Errorf("the other limit: %d calls; want 10", n)
	}
	if got := r.admin.HGetAll(t.Context(), bucketKey("newer")).Val(); got["p"] != "2:0:1:1:1" || len(got) != 3 {
		t.Errorf("it was changed to %v", got)
	}
	r.wantCalm()
}

// deployChangesLimit: old and new replicas run side by side with other numbers
// for one limit. Those of the higher version decide for all; the change mints
// nothing and locks nobody out.
func deployChangesLimit(t *testing.T) {
	const before, after, burst = 400, 100, 20
	policy := func(version, rate int64) domain.RateLimit {
		return domain.RateLimit{Name: "api", Version: version, Limit: domain.PerSecond(rate).WithBurst(burst), Outage: domain.OutageClosed}
	}
	old := newRig(t, plan{})
	fresh := joinRig(t, old.server, plan{})
	limit := old.limiter(policy(1, before))
	loads := []*load{startLoad(limit, limit, limit)} // 600 calls a second
	defer func() { loads[0].stop() }()
	old.until(patience, "the old numbers admit", func() bool { return loads[0].admitted() >= 5*burst })
	limit = fresh.limiter(policy(2, after))
	loads = append(loads, startLoad(limit, limit, limit))
	defer func() { loads[1].stop() }()
	old.until(patience, "the new numbers decide", func() bool { return loads[1].admitted() > 0 })
	decided := time.Now()
	time.Sleep(2 * time.Second) // for so long they run side by side
	ended := time.Now()
	admitted, each := 0, [2]int{}
	for i, l := range loads {
		calls := l.stop()
		l.wantInTime(t, calls)
		for _, c := range between(calls, decided, ended) {
			if isDecided(c) {
				each[i]++
				admitted++
			}
		}
	}
	most := burst + after*ended.Sub(decided).Seconds()
	t.Logf("%d calls admitted in %v, %v by the old and the new replica", admitted, ended.Sub(decided).Round(time.Millisecond), each)
	if float64(admitted) > most {
		t.Errorf("%d calls admitted; want %.0f at most", admitted, most)
	}
	if each[0] == 0 || each[1] == 0 {
		t.Errorf("the old and the new replica admitted %v; want both to", each)
	}
	if n := old.events.count(domain.EventSettings); n != 1 {
		t.Errorf("the old replica was told %d times that other numbers decide; want once", n)
	}
	old.wantCalm()
	fresh.wantCalm()
}

// keysWithoutEnd: an attacker makes up keys. All of them expire, and soon.
func keysWithoutEnd(t *testing.T) {
	r := newRig(t, plan{})
	l := r.limiter(domain.RateLimit{Name: "ip", Limit: domain.PerSecond(5), Keyed: true})
	const attackers, each = 50, 400
	var all sync.WaitGroup
	for i := range attackers {
		all.Go(func() {
			for j := range each {
				_, _ = l.Allow(t.Context(), fmt.Sprintf("10.%d.%d.1", i, j))
			}
		})
	}
	all.Wait()
	scan := r.admin.Scan(t.Context(), 0, "faults:{bip*", 10_000).Iterator()
	found := 0
	for scan.Next(t.Context()) {
		found++
		if life := r.admin.PTTL(t.Context(), scan.Val()).Val(); life < 0 && life != -2 || life > 3*time.Second {
			t.Fatalf("%s lives for %v", scan.Val(), life)
		}
	}
	r.must(scan.Err())
	r.until(5*time.Second, "all are gone", func() bool {
		keys, err := r.admin.Keys(t.Context(), "faults:{bip*").Result()
		return err == nil && len(keys) == 0
	})
	t.Logf("%d keys were made, %d seen, all of them gone", attackers*each, found)
}

// keysAreHostile: whatever a user types is a key of its own, and nothing else.
func keysAreHostile(t *testing.T) {
	r := newRig(t, plan{})
	l := r.limiter(domain.RateLimit{Name: "user", Limit: domain.PerHour(1), Keyed: true})
	keys := []string{
		"a", "A", "a}b", "{a}", "a=b", "a#b", "}", "{", "*", "faults:{buser}", "\r\n", "\x00", "\xff\xfe", " ", "a ", "é", "e\u0301",
		"KEYS[1]", "'); redis.call('FLUSHALL')", strings.Repeat("k", 64), strings.Repeat("k", 65), strings.Repeat("k", 1<<20),
	}
	for _, key := range keys {
		if d, err := l.Allow(t.Context(), key); err != nil || !d.Allowed {
			t.Errorf("%.40q: %+v, %v; want its own token", key, d, err)
		}
	}
	for _, key := range keys {
		if d, err := l.Allow(t.Context(), key); err != nil || d.Allowed {
			t.Errorf("%.40q again: %+v, %v; want it spent", key, d, err)
		}
	}
	all, err := r.admin.Keys(t.Context(), "*").Result()
	r.must(err)
	buckets := 0
	for _, key := range all {
		if !strings.HasPrefix(key, "faults:{") || strings.Count(key, "{") != 1 || !strings.HasSuffix(key, "}") || len(key) > 100 {
			t.Errorf("there is a key %q", key)
		}
		if strings.HasPrefix(key, "faults:{buser") {
			buckets++
		}
	}
	if buckets != len(keys) {
		t.Errorf("%d buckets for %d keys", buckets, len(keys))
	}
	r.wantCalm()
}
