package redisstore

import (
	"bufio"
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
	"github.com/holdfast-go/holdfast/domain/bulkhead"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/internal/redisserver"
	"github.com/holdfast-go/holdfast/scripts/lua"
	"github.com/holdfast-go/holdfast/store/storetest"
)

// A heard command is one that a server executed: of a client, or of a script.
type heard struct {
	script bool
	words  []string // the first one, the verb, in upper case
}

// listen has the server tell every command from now on; the function that it
// returns ends that, and gives them in their order.
func listen(t *testing.T, server *redisserver.Server) (end func() []heard) {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", server.Addr())
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = conn.Write([]byte("MONITOR\r\n"))
	must(t, err)
	in := bufio.NewReader(conn)
	_, err = in.ReadString('\n') // +OK
	must(t, err)
	all := make(chan []heard, 1)
	mark := newFleet()
	go func() {
		var commands []heard
		for {
			line, err := in.ReadString('\n')
			if err != nil || strings.Contains(line, mark) {
				all <- commands
				return
			}
			commands = append(commands, parseHeard(line))
		}
	}()
	return func() []heard {
		t.Helper()
		must(t, connect(t, server.Addr()).Echo(t.Context(), mark).Err())
		return <-all
	}
}

// parseHeard reads `+<time> [<db> <who>] "<verb>" "<word>" …`.
func parseHeard(line string) (h heard) {
	_, line, _ = strings.Cut(line, "[")
	who, line, _ := strings.Cut(line, "]")
	h.script = strings.HasSuffix(who, " lua")
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		quoted, err := strconv.QuotedPrefix(line)
		if err != nil {
			return h
		}
		word, _ := strconv.Unquote(quoted)
		h.words, line = append(h.words, word), line[len(quoted):]
	}
	h.words[0] = strings.ToUpper(h.words[0])
	return h
}

// keys are those that a script was given.
func (h heard) keys() []string {
	n, _ := strconv.Atoi(h.words[2])
	return h.words[3 : 3+n]
}

// executions splits what was heard into scripts, each with its commands.
func scriptsOf(all []heard) (runs [][]heard) {
	for _, h := range all {
		if h.words[0] == "EVALSHA" || h.words[0] == "EVAL" {
			runs = append(runs, nil)
		}
		if h.script || h.words[0] == "EVALSHA" || h.words[0] == "EVAL" {
			runs[len(runs)-1] = append(runs[len(runs)-1], h)
		}
	}
	return runs
}

// What a script does when it runs: the clock first and once, then all reads,
// then all writes, each key that has one with a time to live after it, and the
// push last. It touches only the keys that it was given. Of a bucket whose end need not
// move only the credits are written, and it has an end from before.
func TestScriptsDecideBeforeTheyWrite(t *testing.T) {
	t.Parallel()
	server := redisserver.ForTest(t)
	client := connect(t, server.Addr())
	end := listen(t, server)
	storetest.TestAgree(t, 4000, 0, map[string]storetest.Maker{"redis": maker(client)})
	for _, bad := range append(bucketPoisons(), breakerPoisons(t)...) {
		f := newFixture(t, client)
		must(t, bad.put(t.Context(), client, f.bucketKey()))
		must(t, bad.put(t.Context(), client, f.breakerKey()))
		must(t, bad.put(t.Context(), client, f.membersKey()))
		for range 2 {
			callOnce(t.Context(), t, f.Store)
		}
	}
	callOnce(t.Context(), t, New(client, newFleet(), Options{})) // in the server's clock
	runs := scriptsOf(end())
	if len(runs) < 1000 {
		t.Fatalf("only %d scripts ran", len(runs))
	}
	seen, ends := make(map[string]int), make(map[string]bool)
	for _, run := range runs {
		if trouble := disorder(run, ends); trouble != "" {
			t.Fatalf("%s in %v", trouble, run)
		}
		for _, h := range run {
			seen[h.words[0]]++
		}
	}
	for _, verb := range []string{"TIME", "HMGET", "HGETALL", "HGET", "HSET", "HDEL", "DEL", "PEXPIRE", "XADD", "PUBLISH"} {
		if seen[verb] == 0 {
			t.Errorf("no script called %s: this test has seen too little", verb)
		}
	}
}

// disorder says what is wrong with one run of a script; "" is nothing. The keys that have
// an end are noted.
func disorder(run []heard, ends map[string]bool) string {
	keys, commands := run[0].keys(), run[1:]
	wrote, owed := false, make(map[string]bool)
	for i, h := range commands {
		verb := h.words[0]
		if verb == "TIME" {
			if i > 0 {
				return "a second look at the clock, or a late one"
			}
			continue
		}
		if !slices.Contains(keys, h.words[1]) {
			return verb + " of a key that was not given"
		}
		switch verb {
		case "HMGET", "HGETALL", "HGET":
			if wrote {
				return verb + " after a write"
			}
			continue
		case "XADD":
			owed[h.words[1]] = !ends[h.words[1]]
		case "HSET":
			owed[h.words[1]] = !ends[h.words[1]] || !isCredits(h.words[2:])
		case "PEXPIRE":
			owed[h.words[1]], ends[h.words[1]] = false, true
		case "PUBLISH":
			if i != len(commands)-1 {
				return "a push before the end"
			}
		case "DEL":
			ends[h.words[1]] = false
		case "HDEL":
			if last := commands[i-1].words; last[0] == "HSET" && slices.Equal(last[1:], []string{h.words[1], h.words[2], ""}) {
				owed[h.words[1]] = false // it only showed that the server lets it write
			}
		default:
			return verb + ", which no script should call,"
		}
		wrote = true
	}
	for key, owes := range owed {
		if owes {
			return "no time to live of " + key
		}
	}
	return ""
}

// isCredits reports whether all that is written of a bucket is how much is in it.
func isCredits(words []string) bool { return len(words) == 4 && words[0] == "c" && words[2] == "u" }

// hostile is what somebody may type who wants to leave a name's or key's place.
func hostile() []string {
	return []string{
		"", "}", "{", "}:{", "x}:{cpayments", "{cpayments}", "=", "#", "m", "cpayments", "b=c", "*", "?", "[a-z]", "\x00", "\xff\xfe", " ", "\t",
		"a\r\nFLUSHALL\r\n", "*1\r\n$8\r\nFLUSHALL\r\n", "'] redis.call('FLUSHALL') --", "\") redis.call(\"FLUSHALL\") --", "]]", "%s%n%.0f", "%1", "$(id)", "`id`",
		"KEYS[1]", "ARGV[1]", "other:{climit}", "../../etc", "ключ", "😀", strings.Repeat("}", 65), strings.Repeat("k", 1<<16), "c", "u", "p", "1:0:1:1:1", "a;b:c", "a:1:1:1:1",
	}
}

// Nothing that somebody types is more than a value: scripts and channels are
// those that docs/protocol.md has, and each key lies in its fleet's namespace and
// has one tag. Where a name stands in a key as it is, a hostile one is refused.
func TestHostileNamesAreValues(t *testing.T) {
	t.Parallel()
	server := redisserver.ForTest(t)
	client := connect(t, server.Addr())
	s := New(client, "shop", Options{})
	end := listen(t, server)
	for _, text := range hostile() {
		checkNames(t, client, text)
		typeEverywhere(t, s, text)
	}
	watchOnce(t, s)
	texts := map[string]bool{s.take.sha.(string): true, s.step.sha.(string): true, s.order.sha.(string): true, s.beat.sha.(string): true, s.hold.sha.(string): true}
	for _, text := range []string{lua.BucketTake, lua.BreakerStep, lua.BreakerOrder, lua.MemberBeat, lua.PermitHold} {
		texts[text] = true
	}
	for _, h := range end() {
		checkHeard(t, h, texts)
	}
	for _, key := range client.Keys(t.Context(), "*").Val() {
		checkIsOfShop(t, key)
	}
}

// checkNames: a fleet, a limit, a breaker or a replica cannot be named so, unless
// it is a plain word.
func checkNames(t *testing.T, client *redis.Client, text string) {
	t.Helper()
	if domain.ValidateName("name", text) == nil {
		for _, c := range text {
			if !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-", c) {
				t.Errorf("%q may be a name", text)
			}
		}
		return
	}
	if err := callAll(t.Context(), New(client, text, Options{}))["take"]; !errors.Is(err, domain.ErrStoreConfig) {
		t.Errorf("a fleet may be named %q: %v", text, err)
	}
	if text == "" {
		return // the guard's name, in a policy
	}
	for _, policy := range []domain.Policy{
		domain.RateLimit{Name: text, Limit: domain.PerSecond(1)}, domain.CircuitBreaker{Name: text},
	} {
		if err := policy.Validate(); !errors.Is(err, domain.ErrInvalidPolicy) {
			t.Errorf("%v may have its name: %v", policy, err)
		}
	}
}

// typeEverywhere makes each call with text as its key, and as its replica.
func typeEverywhere(t *testing.T, s *Store, text string) {
	t.Helper()
	ctx, ports := t.Context(), s.Stores()
	rules := rulesOf(t, domain.CircuitBreaker{Sharing: domain.ShareAny})
	var taken [1]port.TakeReply
	ports.Buckets.Take(ctx, []port.TakeRequest{{Bucket: port.ID{Name: "limit", Key: text}, Rule: ruleOf(t, 10, 10), Ask: takeOne()}}, taken[:])
	must(t, taken[0].Err)
	id := port.ID{Name: "payments", Key: text}
	var views [2]port.View
	ports.Breakers.Report(ctx, []port.Report{
		{Breaker: id, Rules: rules, Evidence: sick("good", 1, 0)},
		{Breaker: port.ID{Name: "payments"}, Rules: rules, Evidence: sick(text, 1, 0)},
	}, views[:])
	must(t, views[0].Err)
	if refused := domain.ValidateName("replica", text) != nil; refused != (views[1].Err != nil) {
		t.Errorf("a report of the replica %q: %v", text, views[1].Err)
	}
	var probed [1]port.ProbeReply
	ports.Breakers.Probe(ctx, []port.ProbeRequest{{Breaker: id, Rules: rules, ProbeAsk: breaker.ProbeAsk{Replica: text, Known: views[0].Epoch, Token: 1}}}, probed[:])
	ports.Views.Read(ctx, []port.ID{id}, views[:1])
	must(t, views[0].Err)
	var ordered [1]port.OrderReply
	ports.Operator.Order(ctx, []port.Order{{Breaker: id, Order: breaker.Order{Force: domain.ForceOpen, ForMicro: 1_000_000, By: text, Reason: text}}}, ordered[:])
	must(t, ordered[0].Err)
	if ports.Views.Read(ctx, []port.ID{id}, views[:1]); views[0].Order.By != text || views[0].Order.Reason != text {
		t.Errorf("%q ordered it because of %q: %+v", text, text, views[0].Order)
	}
	_, err := ports.Members.Beat(ctx, text, time.Second)
	must(t, err)
	var held [1]port.HoldReply
	ports.Permits.Hold(ctx, []port.HoldRequest{{Bulkhead: port.ID{Name: "room", Key: text}, Ask: bulkhead.Ask{
		Holder: text, Seq: 1, Room: 5, Want: 1, Lasting: 1_000_000,
	}}}, held[:])
	must(t, held[0].Err)
}

// watchOnce watches until the first transition is told.
func watchOnce(t *testing.T, s *Store) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- s.Stores().Views.Watch(ctx, func(port.ID, port.View) { cancel() }) }()
	rules := rulesOf(t, domain.CircuitBreaker{Sharing: domain.ShareAny})
	for i := 0; ctx.Err() == nil; i++ {
		id := port.ID{Name: "payments", Key: strconv.Itoa(i)}
		var view [1]port.View
		s.Stores().Breakers.Report(t.Context(), []port.Report{{Breaker: id, Rules: rules, Evidence: sick("a", 1, 0)}}, view[:])
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Watch: %v", err)
	}
}

func checkHeard(t *testing.T, h heard, texts map[string]bool) {
	t.Helper()
	switch verb := h.words[0]; verb {
	case "EVALSHA", "EVAL":
		if !texts[h.words[1]] {
			t.Errorf("a script of another text: %q", h.words[1])
		}
		for _, key := range h.keys() {
			checkIsOfShop(t, key)
		}
	case "PSUBSCRIBE":
		if !slices.Equal(h.words[1:], []string{"shop:*"}) {
			t.Errorf("watched: %q", h.words)
		}
	case "PUBLISH":
		if checkIsOfShop(t, h.words[1]); !strings.HasPrefix(h.words[1], "shop:{cpayments") {
			t.Errorf("published on %q", h.words[1])
		}
	case "HMGET", "HGETALL", "HGET", "HSET", "HDEL", "DEL", "PEXPIRE", "XADD":
		checkIsOfShop(t, h.words[1])
	case "TIME", "HELLO", "CLIENT", "PING":
	default:
		t.Errorf("%q was sent", h.words)
	}
}

// checkIsOfShop: a key of the fleet shop has its place, one tag, and nothing odd.
func checkIsOfShop(t *testing.T, key string) {
	t.Helper()
	tag, ok := strings.CutPrefix(key, "shop:{")
	tag, closed := strings.CutSuffix(strings.TrimSuffix(tag, ":log"), "}")
	kind := strings.HasPrefix(tag, "blimit") || strings.HasPrefix(tag, "cpayments") || strings.HasPrefix(tag, "proom") || strings.HasPrefix(tag, "pbulkhead") || tag == "m"
	if !ok || !closed || !kind || strings.ContainsAny(tag, "{} \r\n\x00") || len(key) > 100 {
		t.Errorf("the key %q is outside of its place", key)
	}
}
