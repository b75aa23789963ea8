package redisstore

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"math"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
	"github.com/holdfast-go/holdfast/domain/bucket"
	"github.com/holdfast-go/holdfast/domain/port"
)

// checkTake: nothing that a server says admits more than was asked for, or makes
// a caller wait for less than nothing. An error decides nothing.
func checkTake(t *testing.T, ask bucket.Ask, got port.TakeReply) {
	t.Helper()
	if got.Err != nil {
		_ = storeError(t, got.Err)
		if got != (port.TakeReply{Err: got.Err}) {
			t.Fatalf("an error that decides: %+v", got)
		}
		return
	}
	most := max(ask.Count, 0)
	if ask.Bill != 0 {
		most = 1
	}
	if got.Granted < 0 || got.Granted > most || got.Remaining < 0 || got.RetryAfter < 0 || (got.TooHigh && got.Granted > 0) ||
		(got.Granted < most && got.RetryAfter == 0 && !got.TooHigh) {
		t.Fatalf("%+v is answered %+v", ask, got)
	}
}

// checkView: a view is one that can be, or an error.
func checkView(t *testing.T, v port.View) {
	t.Helper()
	if v.Err != nil {
		_ = storeError(t, v.Err)
		if v != (port.View{Err: v.Err}) {
			t.Fatalf("an error that says more: %+v", v)
		}
		return
	}
	if v.State > domain.StateOpen || v.For < 0 || v.Epoch > exact {
		t.Fatalf("the view %+v", v)
	}
}

func checkProbe(t *testing.T, a breaker.ProbeAsk, got port.ProbeReply) {
	t.Helper()
	checkView(t, got.View)
	if got.For < 0 || (got.Granted && (a.Settle || got.View.Err != nil || got.View.State != domain.StateHalfOpen)) {
		t.Fatalf("%+v is answered %+v", a, got)
	}
}

// replyOf makes integers of a fuzzer's bytes, and a call that was answered so.
func replyOf(s *script, data []byte) call {
	var n []int64
	for len(data) > 0 {
		x, size := binary.Varint(data)
		if size <= 0 {
			break
		}
		n, data = append(n, x), data[size:]
	}
	c := newCall(s, 1, 0)
	c.prepare(context.Background())
	c.cmd.SetVal(n)
	return c
}

func varints(n ...int64) (data []byte) {
	for _, x := range n {
		data = binary.AppendVarint(data, x)
	}
	return data
}

// nonsenseReplies are what scripts answer, and what they do not.
func nonsenseReplies() [][]int64 {
	const now, most = 1795000000000000, math.MaxInt64
	return [][]int64{
		{},
		{1, now, 0},
		{1, now, 1},
		{1, now, 3},
		{1, most, 0, 0, 0, 1, 1, 0},
		{1, now, 0, 0, 0, 1, 9, 0},
		{1, now, 0, 0, 0, 2, 9, 0},
		{1, now, 0, 0, 1, 0, 0, 100000},
		{1, now, 0, 0, 0, 0, 0, -1},
		{1, now, 0, 0, 0, 0, 0, most},
		{1, now, 0, 0, 0, 0, most, 5},
		{1, now, 0, 1, 0, 0, 0, 0},
		{1, now, 0, 2, 0, 0, 0, 0},
		{1, now, 0, 3, 0, 1, 0, 0},
		{1, now, 0, now, 0, 0, 1, 0, 0, 0},
		{1, now, 0, now, 1, 500, 0, 0, 1, 1000000},
		{1, now, 0, now, 2, 500, 0, 1, 0, 0},
		{1, now, 0, now, 2, 500, 0, 1, 1, 1000000},
		{1, now, 0, -1, 2, most, 0, 1, 0, most},
		{2, now, 0, 0, 0, 1, 9, 0},
		{1, now, math.MinInt64},
	}
}

// FuzzReplyIntegers looks for integers that a server may answer and that are
// then taken for more than they can mean.
func FuzzReplyIntegers(f *testing.F) {
	for i, n := range nonsenseReplies() {
		f.Add(varints(n...), int64(1), int64(1), uint64(i%2), i%3 == 0)
		f.Add(varints(n...), int64(math.MinInt64), int64(math.MaxInt64), uint64(0), false)
	}
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	f.Cleanup(func() { _ = client.Close() })
	f.Fuzz(func(t *testing.T, data []byte, cost, count int64, bill uint64, settle bool) {
		s := New(client, "shop", Options{})
		ask := bucket.Ask{Cost: cost, Count: count, Bill: bill}
		in, out := []port.TakeRequest{{Bucket: theBucket, Ask: ask}}, make([]port.TakeReply, 1)
		take := bucketStore{s}
		groups := []group{{s.key(kindBucket, theBucket), 0, 1}}
		c := replyOf(s.take, data)
		if err := take.read(&c, time.Time{}, groups, in, out); err != nil {
			take.fail(t.Context(), groups, in, out, err)
		}
		checkTake(t, ask, out[0])

		st := step{op: "ask", breaker: theBreaker}
		if settle {
			st.op = "settle"
		}
		c = replyOf(s.step, data)
		if err := (breakerStore{s}).readStep(&c, &st, time.Time{}); err != nil {
			st.view = port.View{Err: breakerStore{s}.failed(t.Context(), &st, err)}
		}
		checkProbe(t, breaker.ProbeAsk{Settle: settle}, port.ProbeReply{Granted: st.granted, For: st.lease, View: st.view})
		if s.clock.serverMicro < 0 || s.clock.serverMicro > exact {
			t.Fatalf("the server's clock is at %d", s.clock.serverMicro)
		}
	})
}

// FuzzView looks for fields of a breaker, and for a push, that are read as a
// view that cannot be.
func FuzzView(f *testing.F) {
	const claim = "1:0:2:500:10000000:30000000:300000000:1:10000000:2:30000000"
	const now, most = "1795000000000000", "9223372036854775807"
	f.Add(claim, now, "2", now, "30000000", "0", "", true)
	f.Add(claim, now, "1", now, "30000000", "0", "7:"+now+":10000000:a;", true)
	f.Add(claim, now, "1", now, "30000000", "0", "7:-"+most+":"+most+":a;;::", true)
	f.Add("1:", most, "2", "0", most, "1", "", true)
	f.Add("1:0", now, "2", "-1", most, "1", ";", false)
	f.Add("2:new", "x", "3", "0x10", "1e3", "nan", "inf", true)
	f.Add("1:0:2:500:1:3:3:-7:1:2:3", now, "1", "0", "0", "", "a;b;c", true)
	f.Fuzz(func(t *testing.T, p, e, s, at, lasts, y, q string, there bool) {
		row := redis.NewSliceCmd(t.Context())
		fields := []any{p, e, s, at, lasts, y, q}
		if !there {
			fields[0], fields[6] = nil, nil
		}
		row.SetVal(fields)
		if v, err := readView(1795000000000000, row); err == nil {
			checkView(t, v)
		}
		if v, err := readPush(strings.Join([]string{"1", e, s, lasts, y}, " ")); err == nil {
			checkView(t, v)
		}
	})
}

// A scripted connection answers each script and read with the same bytes, and
// then hangs up.
func scripted(answer string) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			defer ours.Close()
			in := bufio.NewReader(ours)
			for {
				args, err := readCommand(in)
				if err != nil {
					return
				}
				reply := "-ERR unknown command\r\n"
				verb := strings.ToLower(args[0])
				said := verb == "evalsha" || verb == "eval" || verb == "hmget" || verb == "time"
				if said {
					reply = answer
				}
				if _, err := io.WriteString(ours, reply); err != nil || said {
					return
				}
			}
		}()
		return theirs, nil
	}
}

// FuzzReplyBytes lets a server answer with any bytes: of the protocol, of
// another one, cut off or endless. Nothing panics, and nothing but an answer
// that can be meant admits anything.
func FuzzReplyBytes(f *testing.F) {
	for _, n := range nonsenseReplies() {
		f.Add([]byte(integers(n...)))
	}
	for _, text := range []string{
		"", "\r\n", "*", "*-1\r\n", "*-7\r\n", "*9223372036854775807\r\n", "$9223372036854775807\r\n", "$-1\r\n", "$-7\r\n", ":\r\n", ":x\r\n",
		"%1\r\n:1\r\n:2\r\n", "~1\r\n:1\r\n", ">1\r\n:1\r\n", "|1\r\n+a\r\n+b\r\n:1\r\n", "#t\r\n", "_\r\n", ",nan\r\n", "(1\r\n", "!3\r\nERR\r\n", "=7\r\ntxt:abc\r\n",
		"-\r\n", "-NOSCRIPT\r\n", "-MOVED 1 127.0.0.1:1\r\n", "-ASK 1 x\r\n", "-LOADING\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n", "\x15\x03\x01\x00\x02\x02\x46",
		"*2\r\n*1\r\n:1\r\n*7\r\n", "*2\r\n:1795000000\r\n:5\r\n", "*3\r\n:1\r\n$-1\r\n_\r\n", "?\r\n", "$?\r\n;0\r\n", "*?\r\n:1\r\n.\r\n",
	} {
		f.Add([]byte(text))
	}
	// A client makes room for what a reply says that it has. What cannot be had
	// panics; what this machine just has not would end the fuzzing.
	large := regexp.MustCompile(`(?:^|[^0-9])[0-9]{7,14}(?:[^0-9]|$)`)
	f.Fuzz(func(t *testing.T, answer []byte) {
		if large.Match(answer) {
			t.Skip("a size that might just be had")
		}
		client := redis.NewClient(&redis.Options{Dialer: scripted(string(answer)), MaxRetries: -1, PoolSize: 1, DialerRetries: 1})
		defer client.Close()
		s := New(client, "shop", Options{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		checkTake(t, takeOne(), takeWith(ctx, s, ruleOf(t, 10, 10), takeOne()))
		ports, rules := s.Stores(), rulesOf(t, domain.CircuitBreaker{})
		var view [1]port.View
		ports.Breakers.Report(ctx, []port.Report{{Breaker: theBreaker, Rules: rules, Evidence: sick("a", 1, 0)}}, view[:])
		checkView(t, view[0])
		ports.Views.Read(ctx, []port.ID{theBreaker}, view[:])
		checkView(t, view[0])
		var probed [1]port.ProbeReply
		ask := breaker.ProbeAsk{Replica: "a", Token: 1}
		ports.Breakers.Probe(ctx, []port.ProbeRequest{{Breaker: theBreaker, Rules: rules, ProbeAsk: ask}}, probed[:])
		checkProbe(t, ask, probed[0])
		if live, err := ports.Members.Beat(ctx, "a", time.Second); live < 0 || live > math.MaxInt32 || (err != nil && live != 0) {
			t.Fatalf("Beat = %d, %v", live, err)
		}
		if held := holdWith(ctx, s, 1); held.Held < 0 || held.Held > domain.MaxConcurrentCalls || held.Room < 0 || held.Room > held.Held {
			t.Fatalf("Hold = %+v", held)
		}
	})
}
