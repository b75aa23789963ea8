package console_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/console"
	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/internal/leaktest"
	redisstore "github.com/holdfast-go/holdfast/store/redis"
)

func TestMain(m *testing.M) { os.Exit(leaktest.Main(m)) }

// A shell runs commands against one Redis, whose fleet "shop" has breakers.
type shell struct {
	t      *testing.T
	addr   string
	server *miniredis.Miniredis
	stores port.Stores
}

func newShell(t *testing.T) *shell {
	t.Helper()
	server := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { _ = client.Close() })
	return &shell{t, server.Addr(), server, redisstore.New(client, "shop", redisstore.Options{}).Stores()}
}

// report says what a replica thinks of a breaker.
func (s *shell) report(id port.ID, replica string, bad bool) {
	s.t.Helper()
	s.tell(id, breaker.Evidence{Replica: replica, Weight: 1000, Bad: bad, ForMicro: 10_000_000, Calls: 9, Failures: 5})
}

// tell is what a replica says of a breaker, and of itself.
func (s *shell) tell(id port.ID, e breaker.Evidence) {
	s.t.Helper()
	rules, err := breaker.Compile(domain.CircuitBreaker{})
	if err != nil {
		s.t.Fatal(err)
	}
	var views [1]port.View
	s.stores.Views.Read(s.t.Context(), []port.ID{id}, views[:])
	e.Seq, e.Known = uint64(time.Now().UnixNano()), views[0].Epoch
	s.stores.Breakers.Report(s.t.Context(), []port.Report{{Breaker: id, Rules: rules, Evidence: e}}, views[:])
	if views[0].Err != nil {
		s.t.Fatal(views[0].Err)
	}
}

// run is a command with the environment of somebody at work.
func (s *shell) run(line ...string) (exit int, out, errs string) {
	s.t.Helper()
	return s.runUntil(s.t.Context(), &bytes.Buffer{}, line...)
}

func (s *shell) runUntil(ctx context.Context, out *bytes.Buffer, line ...string) (exit int, printed, complained string) {
	s.t.Helper()
	env := map[string]string{"HOLDFAST_REDIS": s.addr, "HOLDFAST_FLEET": "shop"}
	var errs bytes.Buffer
	exit, known := console.Run(ctx, line[0], line[1:], console.Surround{
		Out: out, Errs: &errs, Getenv: func(name string) string { return env[name] }, Actor: "ann@desk",
	})
	if !known {
		s.t.Fatalf("%q is not a command", line[0])
	}
	return exit, out.String(), errs.String()
}

// want runs a command that must succeed and print what the pattern says.
func (s *shell) want(pattern string, line ...string) string {
	s.t.Helper()
	exit, out, errs := s.run(line...)
	if exit != 0 || errs != "" || !regexp.MustCompile(`(?s)`+pattern).MatchString(out) {
		s.t.Errorf("holdfast %s: status %d\n%s%s\nwant %s", strings.Join(line, " "), exit, out, errs, pattern)
	}
	return out
}

// TestTheStoryOfABreaker is what an operator types in an incident, in order.
func TestTheStoryOfABreaker(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	payments, east := port.ID{Name: "payments"}, port.ID{Name: "shards", Key: "east"}
	s.want(`no breaker has been used yet`, "status")
	s.want(`nothing has happened`, "events")
	s.want(`payments is closed: no replica has reported yet`, "explain", "payments")
	if keys := s.server.Keys(); len(keys) > 0 {
		t.Fatalf("looking left %v behind", keys)
	}
	s.report(payments, "r1", true)
	s.report(east, "r1", false)
	s.want(`BREAKER +STATE +FOR +EPOCH +OVERRIDE\npayments +closed +- +\d+ +-\nshards=east +closed`, "status")
	s.want(`payments is closed: 1 replica is bad, with a weight of 1\.000; it opens at 2 with a weight of 2\.000.*r1 +bad +1\.000 +5 +9 `, "explain", "payments")
	s.report(payments, "r2", true)
	s.want(`payments +open +(30s|2\d(\.\d)?s) +\d+ +-`, "status", "payments")
	s.want(`payments is open: enough replicas said it is bad; a call may probe in`, "explain", "payments")
	s.want(`payments is forced closed for 30m0s`, "override", "payments", "closed", "--for", "30m", "--reason", "a false alarm")
	s.want(`payments +open +\S+ +\d+ +closed for 30m0s, by "ann@desk": "a false alarm"`, "status", "payments")
	s.want(`payments decides for itself again`, "override", "--by", "bob", "payments", "none")
	s.want(`begins afresh, closed`, "reset", "payments", "--reason=mended")
	s.want(`payments +closed +- `, "status", "payments")
	out := s.want(`TIME +BREAKER +WHAT +WHO`, "events", "payments")
	for i, want := range []string{`reset: "mended" +"ann@desk"`, `override ended: "" +"bob"`, `forced closed for 30m0s: "a false alarm" +"ann@desk"`, `turned open +r2`, `says bad, with a weight of 1.000 +r2`, `says bad.* +r1`} {
		lines := strings.Split(out, "\n")
		if len(lines) != 8 || !regexp.MustCompile(want).MatchString(lines[i+1]) {
			t.Errorf("event %d of\n%swant %s", i, out, want)
		}
	}
	if out := s.want(``, "events", "--limit", "2"); strings.Count(out, "\n") != 3 {
		t.Errorf("two events are\n%s", out)
	}
}

// TestWhoDisagrees: a replica whose own layer is open is seen, also when it says nothing
// about the dependency, and when it has nothing to say any more.
func TestWhoDisagrees(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	payments := port.ID{Name: "payments"}
	s.report(payments, "r1", false)
	s.tell(payments, breaker.Evidence{Replica: "r2", Weight: 1000, Bad: true, ForMicro: 10_000_000, Calls: 5, Failures: 5, Open: true, Last: breaker.TroubleSlow})
	s.tell(payments, breaker.Evidence{Replica: "r3", ForMicro: 30_000_000, Open: true, Last: breaker.TroubleOwn})
	s.want(`the own layer of 1 replica is open, which counts for nothing here`+
		`.*REPLICA +SAYS +WEIGHT +FAILED +CALLS +LAST TROUBLE +OWN LAYER +AGO +FOR ANOTHER`+
		`.*r1 +well +1\.000 +5 +9 +none +closed +.*r2 +bad +1\.000 +5 +5 +slow +open .*r3 +nothing +0\.000 +0 +0 +local failure +open +\S+ +(30s|2\d)`, "explain", "payments")
	s.want(`"replica": "r2",[^}]*"open": true.*"replica": "r3",[^}]*"open": true,\s*"last_trouble": "local failure"`, "explain", "payments", "--json")
	s.tell(payments, breaker.Evidence{Replica: "r2", ForMicro: 30_000_000, Open: true})
	s.want(`a replica says nothing any more +r2`, "events", "payments")
}

// TestJSON: what machines read is one object, with the same in it.
func TestJSON(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	s.report(port.ID{Name: "payments"}, "r1", true)
	s.report(port.ID{Name: "payments"}, "r2", true)
	s.want(`"force": "open"`, "override", "payments", "open", "--for", "1h", "--reason", "x", "--json")
	for _, tt := range []struct {
		command string
		want    map[string]any
	}{
		{"status", map[string]any{"breakers.0.name": "payments", "breakers.0.state": "open", "breakers.0.override.force": "open", "breakers.0.override.by": "ann@desk"}},
		{"explain payments", map[string]any{"name": "payments", "state": "open", "rules.min_replicas": 2.0, "rules.quorum": 0.5, "override.reason": "x"}},
		{"events", map[string]any{"events.0.kind": "order", "events.0.override.force": "open", "events.1.kind": "transition", "events.1.replica": "r2", "events.2.kind": "vote", "events.2.bad": true}},
		{"reset payments --reason y", map[string]any{"name": "payments", "reset": true}},
	} {
		_, out, errs := s.run(append(strings.Fields(tt.command), "--json")...)
		var got any
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Fatalf("%s: %v\n%s%s", tt.command, err, out, errs)
		}
		for path, value := range tt.want {
			if found := at(got, strings.Split(path, ".")); found != value {
				t.Errorf("%s: %s is %v; want %v", tt.command, path, found, value)
			}
		}
	}
}

// at goes down into what was decoded.
func at(v any, path []string) any {
	for _, step := range path {
		switch x := v.(type) {
		case map[string]any:
			v = x[step]
		case []any:
			i := int(step[0] - '0')
			if i >= len(x) {
				return nil
			}
			v = x[i]
		}
	}
	return v
}

// TestMistakesAreOneLine: each with the status of a mistake, and nothing is ordered.
func TestMistakesAreOneLine(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	for line, want := range map[string]string{
		"status --fleet=":         "which fleet?",
		"status --fleet a:b":      "cannot be a name",
		"status --redis http://x": "no URL",
		"status --nope":           "nope",
		"status a:b":              "cannot be a breaker's name",
		"explain":                 "one NAME",
		"explain a b":             "one NAME",
		"events --limit -1":       "negative",
		"override payments":       "a NAME and what to force",
		"override payments half-open --for 1m --reason x":   "cannot be forced",
		"override payments open --reason x":                 "For is missing",
		"override payments open --for 1m":                   "Reason is missing",
		"override payments open --for 99999999h --reason x": "invalid value",
		"override payments none --for 1m":                   "For must be 0",
		"reset payments":                                    "Reason is missing",
		"reset":                                             "one NAME",
	} {
		exit, out, errs := s.run(strings.Fields(line)...)
		if exit != 2 || out != "" || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, want) {
			t.Errorf("holdfast %s: status %d, %q, %q; want 2 and one line with %q", line, exit, out, errs, want)
		}
	}
	if keys := s.server.Keys(); len(keys) > 0 {
		t.Errorf("mistakes left %v behind", keys)
	}
	if exit, _, errs := s.run("status", "--redis", "127.0.0.1:1"); exit != 1 || !strings.Contains(errs, "cannot reach Redis") {
		t.Errorf("without a Redis: status %d, %q", exit, errs)
	}
	if exit, out, _ := s.run("override", "-h"); exit != 0 || !strings.Contains(out, "usage: holdfast override NAME") || !strings.Contains(out, "-reason") {
		t.Errorf("-h: status %d\n%s", exit, out)
	}
}

// A tellTale ends a watch when it has seen a text.
type tellTale struct {
	until string
	stop  context.CancelFunc
	seen  bytes.Buffer
}

func (w *tellTale) Write(b []byte) (int, error) {
	w.seen.Write(b)
	if strings.Contains(w.seen.String(), w.until) {
		w.stop()
	}
	return len(b), nil
}

// TestWatch: what happened before is not told; what happens then is, in order.
func TestWatch(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	payments := port.ID{Name: "payments"}
	s.report(payments, "r1", true)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	w := &tellTale{until: "turned open", stop: cancel}
	ended := make(chan int, 1)
	scans := s.server.CommandCount()
	go func() {
		exit, _ := console.Run(ctx, "watch", []string{"--redis", s.addr, "--fleet", "shop"}, console.Surround{
			Out: w, Errs: &bytes.Buffer{}, Getenv: func(string) string { return "" }, Actor: "ann",
		})
		ended <- exit
	}()
	for s.server.CommandCount() < scans+8 && ctx.Err() == nil { // it has looked once
		time.Sleep(time.Millisecond)
	}
	s.report(payments, "r2", true)
	if exit := <-ended; exit != 130 || !errors.Is(ctx.Err(), context.Canceled) {
		t.Fatalf("status %d, %v\n%s", exit, ctx.Err(), &w.seen)
	}
	if got := w.seen.String(); strings.Contains(got, "r1") || strings.Index(got, "says bad") > strings.Index(got, "turned open") {
		t.Errorf("it told\n%s", got)
	}
}
