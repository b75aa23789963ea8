package redisstore

import (
	"context"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
	"github.com/holdfast-go/holdfast/domain/bucket"
	"github.com/holdfast-go/holdfast/domain/port"
)

// The targets below run on miniredis, which is quick. What it reads as a number
// is not what Redis does (nan, inf, hexadecimal), so the seeds are played on a
// real server as well: what a target finds belongs among them. Keys of miniredis
// do not expire by themselves, so its fixtures need no patience.

// absent is a field that is not there.
const absent = "-"

// plant writes fields, given as name and value in turn, and leaves those that
// are absent.
func plant(t *testing.T, f *fixture, key string, fields ...string) {
	t.Helper()
	must(t, f.client.Del(t.Context(), key).Err())
	for i := 0; i < len(fields); i += 2 {
		if fields[i+1] != absent {
			must(t, f.client.HSet(t.Context(), key, fields[i], fields[i+1]).Err())
		}
	}
}

// A patience counts the errors that poison may give: one that it cannot be read,
// and the next call heals.
type patience struct{ unreadable bool }

// check fails the test at an error that is none of those, or comes again. It
// reports whether err was nil.
func (p *patience) check(t *testing.T, err error) bool {
	t.Helper()
	switch {
	case err == nil:
		p.unreadable = false
		return true
	case errors.Is(err, ErrNewer):
		if said := storeError(t, err); !said.Entity {
			t.Fatalf("%+v; want it to be about this entity", said)
		}
	case !errors.Is(err, ErrUnreadable):
		t.Fatalf("%v; want a decision, ErrUnreadable or ErrNewer", err)
	case p.unreadable:
		t.Fatalf("%v, twice: it is not healed", err)
	default:
		checkUnreadable(t, err)
		p.unreadable = true
	}
	return false
}

func bucketSeeds() [][6]string {
	const now, p = "1795000000000000", "1:0:1:100000:10"
	return [][6]string{
		{"0", now, p, absent, absent, absent},
		{"1000000", now, p, "0", "0", ""},
		{"nan", now, p, absent, absent, absent},
		{"-nan", "nan", p, "nan", "nan", "nan"},
		{"inf", "inf", p, "-inf", "inf", absent},
		{"0x10", "0x10", p, "0x10", "0x10", "0x10"},
		{"1e6", "1.795e15", p, "1e6", "-6e7", "1,2,3,4,5,6,7,8"},
		{" 5 ", "\t7\n", p, " 1", "1 ", ","},
		{"-0", "-0", p, "-0", "-0", ",,,"},
		{"1000000", "9007199254740991", p, "1000000", "60000000", "18446744073709551615"},
		{"-1000000", "0", p, absent, "-60000000", absent},
		{"5", now, "!" + p, absent, absent, absent}, // as a claim that heals is sent
		{"5", now, "1:00:01:0100000:010", absent, absent, absent},
		{"5", now, "1:9007199254740991:1:100000:10", absent, absent, absent},
		{"5", now, "1:5:562949953421312:1:562949953421312", absent, absent, absent},
		{"562949953421312", now, "1:5:1:562949953421312:1", absent, "60000000", absent},
		{"562949953421312", now, "1:0:1:1:562949953421312", absent, "1", absent},
		{"5", now, "1:0:1:99999999999999999999:0", absent, absent, absent},
		{"5", now, "1:0:0:0:0", absent, absent, absent},
		{"5,7", now, p + ":1:3600000:100", absent, absent, absent},
		{"5,", now, p + ":1:3600000:100", "0", absent, absent},
		{",5,,7,", now, p + ":1:3600000:100", absent, "1", absent},
		{"5,inf", now, p + ":1:3600000:100", absent, absent, absent},
		{"5,-nan", now, p + ":1:3600000:100", absent, absent, absent},
		{"1,2,3,4", now, "1:0:1:100:1:1:101:2:1:102:3:1:103:4", absent, absent, absent},
		{"1,2,3,4,5", now, "1:0:1:100:1:1:101:2:1:102:3:1:103:4:1:104:5", absent, absent, absent},
		{"5,7", now, p + ":1:3600000:10", absent, absent, absent},
		{"5,7", now, p + ":0:0:0", absent, absent, absent},
		{"5", now, p + ":", absent, absent, absent},
		{"5", now, p + "::::", absent, absent, absent},
		{"5", now, "2:whatever", absent, absent, absent},
		{"5", now, "99999999999999999999999:1", absent, absent, absent},
		{"5", now, "1", absent, absent, absent},
		{absent, absent, absent, "nan", "x", "x"},
		{absent, now, absent, absent, absent, absent},
		{"\x00", "\xff", "\r\n", "'", "\"", "]]"},
		{"9999999999999999999999", "-1", "1:-1:1:1:1", absent, absent, absent},
	}
}

// FuzzPoisonedBucket: whatever stands in a bucket's fields, a call is a decision
// within the burst or a typed error, and the next call of the same replica heals.
func FuzzPoisonedBucket(f *testing.F) {
	client := miniClient(f)
	for i, s := range bucketSeeds() {
		f.Add(s[0], s[1], s[2], s[3], s[4], s[5], uint8(i))
	}
	f.Fuzz(func(t *testing.T, c, u, p, d, x, b string, how uint8) {
		playPoisonedBucket(t, newHastyFixture(t, client), [6]string{c, u, p, d, x, b}, how)
	})
}

func TestPoisonedBucketSeedsOnRedis(t *testing.T) {
	t.Parallel()
	client := realRedis(t)
	for i, s := range bucketSeeds() {
		for how := range uint8(8) {
			t.Run(strconv.Itoa(i)+"/"+strconv.Itoa(int(how)), func(t *testing.T) {
				t.Parallel()
				playPoisonedBucket(t, newFixture(t, client), s, how)
			})
		}
	}
}

func miniClient(f *testing.F) *redis.Client {
	f.Helper()
	return connect(f, miniredis.RunT(f).Addr())
}

var goodClaim = regexp.MustCompile(`^1:[0-9]+:[0-9]+:[0-9]+:([0-9]+)$`)

func playPoisonedBucket(t *testing.T, f *fixture, fields [6]string, how uint8) {
	t.Helper()
	defer f.client.Del(context.WithoutCancel(t.Context()), f.bucketKey())
	plant(t, f, f.bucketKey(), "c", fields[0], "u", fields[1], "p", fields[2], "d", fields[3], "x", fields[4], "b", fields[5])
	before := f.dump(f.bucketKey())
	most := int64(10) // of the caller's rule, or of a foreign one
	if claim := goodClaim.FindStringSubmatch(fields[2]); claim != nil {
		stored, _ := strconv.ParseInt(claim[1], 10, 64)
		most = max(most, stored)
	}
	asks := []bucket.Ask{
		{Cost: 1, Count: 1000, Turn: how&1 != 0}, {Cost: 10, Count: 1 << 40}, {Count: 5}, {Cost: 3, Count: 1, Bill: 7}, {Cost: 1, Count: 1},
	}
	var poison patience
	var granted int64
	for i := range 8 {
		ask := asks[(i+int(how>>1))%len(asks)]
		got := f.take(ask)
		checkTake(t, ask, got)
		if !poison.check(t, got.Err) {
			if errors.Is(got.Err, ErrNewer) && f.dump(f.bucketKey()) != before {
				t.Fatalf("a newer schema's %s was changed to %s", before, f.dump(f.bucketKey()))
			}
			continue
		}
		if got.Remaining > most || (!got.Foreign && got.Remaining > 10) {
			t.Fatalf("%+v is answered %+v: more than the burst is left", ask, got)
		}
		if ask.Cost > 0 && ask.Bill == 0 {
			granted += got.Granted * ask.Cost
		}
	}
	if granted > most {
		t.Fatalf("%d tokens at one moment of a burst of %d", granted, most)
	}
}

func breakerSeeds() [][6]string {
	const now, most, claim = "1795000000000000", "9007199254740991", "1:0:2:500:10000000:30000000:300000000:1:10000000:2:30000000"
	return [][6]string{ // p, e, the numbers that are not 0, "name=value", what those are that have no value, q, votes and marks
		{claim, now, "s", "0", "", ""},
		{claim, now, "s", "1", "", "x"},
		{claim, now, "s", "2", "1:" + now + ":5:b;", "s"},
		{claim, now, "s", "1", "1:" + now + ":99999999999999:b;2:0:5:a;", "a"},
		{claim, now, "s", "1", "1:nan:5:a;", "x"},
		{claim, now, "s", "1", ":::;;;", "x"},
		{claim, now, "s", "1", "1:" + most + ":" + most + ":]] evil;", "evil"},
		{claim, now, "nb wb wa nr", most, "", "1:1:1000:" + now + ":10000000:1:1"},
		{claim, now, "nb", "0", "", "1:1:1000:" + now + ":10000000:1:1"},
		{claim, now, "nb wb", "5000", "", "99999999999999999999:1:9999:" + most + ":" + most + ":1:1"},
		{claim, now, "na ns nx k s", "1", "", "s"},
		{claim, now, "g l s", "1", "", "x"},
		{claim, most, "s", "2", "", ""},
		{claim, "nan", "s", "0", "", "nan"},
		{claim, "0x10", "s", "1e0", "", "inf"},
		{claim, now, "t w x", most, "", ""},
		{claim, now, "s l", "2", "", ""},
		{"1:0:0:0:0:0:0:0:0:0:0", now, "s", "1", "", ""}, // a recovery of 0 that never grows
		{"1:" + most + ":1:0:1:0:" + most + ":1:1:1:1", now, "s=1 g na=1 nx=1", most, "", "x"},
		{"1:" + most + ":0:0:1:1:" + most + ":1:1:1:1", now, "g", most, "", ""},
		{"1:" + most + ":" + most + ":" + most + ":" + most + ":" + most + ":" + most + ":" + most + ":" + most + ":" + most + ":" + most, now, "s", "1", "", ""},
		{"1:1::2", now, "s", "0", "", ""},
		{"2:newer", now, "s", "2", "", ""},
		{"", "", "s", "", "", ""},
		{absent, absent, "s", "nan", "", ""},
		{claim, absent, "s", "2", "", ""},
	}
}

// FuzzPoisonedBreaker: whatever stands in a breaker's fields, a call is a view
// that can be or a typed error, no more leases are out than there may be, and
// the next call of the same replica heals.
func FuzzPoisonedBreaker(f *testing.F) {
	client := miniClient(f)
	for i, s := range breakerSeeds() {
		f.Add(s[0], s[1], s[2], s[3], s[4], s[5], uint8(i))
	}
	f.Fuzz(func(t *testing.T, p, e, names, value, q, other string, how uint8) {
		playPoisonedBreaker(t, newHastyFixture(t, client), [6]string{p, e, names, value, q, other}, how)
	})
}

func TestPoisonedBreakerSeedsOnRedis(t *testing.T) {
	t.Parallel()
	client := realRedis(t)
	for i, s := range breakerSeeds() {
		for how := range uint8(8) {
			t.Run(strconv.Itoa(i)+"/"+strconv.Itoa(int(how)), func(t *testing.T) {
				t.Parallel()
				playPoisonedBreaker(t, newFixture(t, client), s, how)
			})
		}
	}
}

// plantBreaker writes a breaker whose numbers are 0, but for those named.
func plantBreaker(t *testing.T, f *fixture, s [6]string) {
	t.Helper()
	all := []string{"p", s[0], "e", s[1], "q", s[4], "r:a", s[5], "r:b", s[5], "h:a", s[5], "h:b", s[5]}
	for _, name := range []string{"y", "s", "t", "l", "g", "x", "w", "nb", "wb", "wa", "nr", "na", "ns", "nx", "k"} {
		all = append(all, name, "0")
	}
	plant(t, f, f.breakerKey(), all...)
	for word := range strings.FieldsSeq(s[2]) {
		name, value, own := strings.Cut(word, "=")
		if !own {
			value = s[3]
		}
		must(t, f.client.HSet(t.Context(), f.breakerKey(), name, value).Err())
	}
}

func playPoisonedBreaker(t *testing.T, f *fixture, s [6]string, how uint8) {
	t.Helper()
	defer f.client.Del(context.WithoutCancel(t.Context()), f.breakerKey())
	plantBreaker(t, f, s)
	var poison patience
	var known uint64
	policy := domain.CircuitBreaker{RecoveryTimeout: time.Second, ProbeLease: time.Minute}
	for i := range 12 {
		var view port.View
		switch (i + int(how)) % 4 {
		case 0:
			view = f.report(policy, sick("a", uint64(i+1), known))
		case 1, 2:
			ask := breaker.ProbeAsk{Replica: "a", Known: known, Token: uint64(i), Settle: i%2 == 0, Outcome: domain.Failure}
			got := f.probe(policy, ask)
			checkProbe(t, ask, got)
			view = got.View
		case 3:
			f.move(time.Duration(how) * 10 * time.Millisecond)
			if view = f.read(); view.Err == nil {
				checkView(t, view)
				continue // it heals nothing
			}
		}
		checkView(t, view)
		if errors.Is(view.Err, port.ErrAhead) {
			known = 0 // as a replica does
			continue
		}
		if poison.check(t, view.Err) {
			known = max(known, view.Epoch)
		}
	}
}

func memberSeeds() [][2]string {
	const now = "1795000000000000"
	return [][2]string{
		{"b", now + ":5000000"},
		{"b", "9999999999999999:9999999999999999"},
		{"b", "nan:inf"},
		{"b", "0x10:0x10"},
		{"a", "words"},
		{"", ""},
		{"*", ":"},
		{"\x00", "\xff:1"},
		{"]]", "1:1:1"},
	}
}

// FuzzPoisonedMembers: whatever stands among the members, who beats is counted,
// and at most whoever else stands there.
func FuzzPoisonedMembers(f *testing.F) {
	client := miniClient(f)
	for _, s := range memberSeeds() {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, replica, value string) {
		playPoisonedMembers(t, newHastyFixture(t, client), [2]string{replica, value})
	})
}

func TestPoisonedMemberSeedsOnRedis(t *testing.T) {
	t.Parallel()
	client := realRedis(t)
	for i, s := range memberSeeds() {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			playPoisonedMembers(t, newFixture(t, client), s)
		})
	}
}

func playPoisonedMembers(t *testing.T, f *fixture, member [2]string) {
	t.Helper()
	defer f.client.Del(context.WithoutCancel(t.Context()), f.membersKey())
	must(t, f.client.HSet(t.Context(), f.membersKey(), member[0], member[1]).Err())
	for _, lasting := range []time.Duration{time.Second, time.Second, 0} {
		live, err := f.Stores().Members.Beat(t.Context(), "a", lasting)
		least := 1
		if lasting == 0 {
			least = 0
		}
		if err != nil || live < least || live > least+1 {
			t.Fatalf("Beat for %v beside %q = %d, %v", lasting, member, live, err)
		}
	}
}
