package redisstore

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/internal/redisserver"
	"github.com/holdfast-go/holdfast/scripts/lua"
)

// handshake is what clients say first. No right is needed for it.
var handshake = []string{"HELLO", "AUTH", "CLIENT", "SELECT"}

// rights is the rule for a user of the fleet <fleet>, made of the commands that
// scripts call and of those that the store was heard to send.
func rights(sent []heard) string {
	commands := make(map[string]bool)
	for _, text := range []string{lua.BucketTake, lua.BreakerStep, lua.BreakerOrder, lua.MemberBeat, lua.PermitHold} {
		for _, found := range regexp.MustCompile(`redis\.p?call\('([A-Z]+)'`).FindAllStringSubmatch(text, -1) {
			commands[found[1]] = true
		}
	}
	for _, h := range sent {
		if !slices.Contains(handshake, h.words[0]) {
			commands[h.words[0]] = true
		}
	}
	given := slices.Sorted(maps.Keys(commands))
	return "ACL SETUSER holdfast on >password resetkeys ~<fleet>:* resetchannels &<fleet>:* -@all +" + strings.ToLower(strings.Join(given, " +"))
}

// setUser gives the user of the tests these rights, and no others.
func setUser(t *testing.T, admin *redis.Client, words ...string) {
	t.Helper()
	args := []any{"acl", "setuser", "holdfast", "reset"}
	for _, word := range words {
		args = append(args, word)
	}
	must(t, admin.Do(t.Context(), args...).Err())
}

// The rights in docs/protocol.md are those that scripts and store use, no more and
// no fewer; they are enough for everything, pushes included, and each of them is
// needed for something.
func TestRightsInTheDocs(t *testing.T) {
	server := redisserver.ForTest(t)
	admin := connect(t, server.Addr())
	setUser(t, admin, "on", ">password", "~*", "&*", "+@all")
	end := listen(t, server)
	if got := useEverything(t, server.Addr()); len(got) > 0 {
		t.Fatalf("with all rights that there are: %v", got)
	}
	rule := rights(end())
	docs, err := os.ReadFile("../../docs/protocol.md")
	must(t, err)
	written := regexp.MustCompile(`    (ACL SETUSER (?:[^\n]*\\\n)*[^\n]*)`).FindSubmatch(docs)
	if written == nil || strings.Join(strings.Fields(strings.ReplaceAll(string(written[1]), "\\", "")), " ") != rule {
		t.Errorf("the rights in docs/protocol.md are not those in use, which are\n\n    %s", strings.Replace(rule, "-@all", "\\\n      -@all", 1))
	}
	words := strings.Fields(strings.ReplaceAll(rule, "<fleet>", "shop"))[3:]
	setUser(t, admin, words...)
	if got := useEverything(t, server.Addr()); len(got) > 0 {
		t.Errorf("with all of %v: %v", words, got)
	}
	for i, word := range words {
		if !strings.HasPrefix(word, "+") {
			continue
		}
		t.Run("without "+word, func(t *testing.T) {
			must(t, admin.ScriptFlush(t.Context()).Err()) // so that the text is sent
			setUser(t, admin, slices.Delete(slices.Clone(words), i, i+1)...)
			if got := useEverything(t, server.Addr()); len(got) == 0 {
				t.Errorf("the right is not needed")
			}
		})
	}
}

// A ponging connection tells when an answer to a ping has come.
type ponging struct {
	net.Conn

	pong chan<- struct{}
}

func (c ponging) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if bytes.Contains(bytes.ToLower(b[:n]), []byte("pong")) {
		select {
		case c.pong <- struct{}{}:
		default:
		}
	}
	return n, err
}

// brief is a breaker that one replica opens, for a millisecond. It wins over the
// one of callOnce.
func brief() domain.CircuitBreaker {
	return domain.CircuitBreaker{Version: 1, RecoveryTimeout: time.Millisecond, ProbeLease: time.Millisecond, Sharing: domain.ShareAny}
}

// useEverything makes every kind of call once, and returns what failed.
func useEverything(t *testing.T, addr string) (failed []error) {
	t.Helper()
	pong := make(chan struct{}, 1)
	client := redis.NewClient(&redis.Options{
		Addr: addr, Username: "holdfast", Password: "password",
		Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			return ponging{conn, pong}, err
		},
	})
	defer client.Close()
	s := New(client, "shop", Options{})
	s.silence = 250 * time.Millisecond // a busy machine takes a while to answer
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	note := func(err error) {
		if err != nil {
			failed = append(failed, err)
		}
	}
	pushed, watched := make(chan port.View, 100), make(chan error, 1)
	go func() {
		watched <- s.Stores().Views.Watch(ctx, func(_ port.ID, v port.View) {
			select {
			case pushed <- v:
			default:
			}
		})
	}()
	for _, err := range callOnce(ctx, t, s) {
		note(err)
	}
	note(lookAtAll(ctx, s))
	note(publishAgain(ctx, s))
	note(takeWith(ctx, s, ruleOf(t, 1, 1), takeOne()).Err)
	_, err := s.Stores().Members.Beat(ctx, "a", 0) // a member that leaves
	note(err)
	view, err := tripAgain(ctx, t, s, pushed)
	note(err)
	if err == nil {
		note(settleAnothers(ctx, t, s, view.Epoch))
	}
	select { // nothing is said any more, so the other end is asked whether it lives
	case err := <-watched:
		note(err)
	case <-pong:
	}
	return failed
}

// lookAtAll makes each call of those that an operator looks by, and reports an error if
// they do not see what was ordered.
func lookAtAll(ctx context.Context, s *Store) error {
	for _, look := range eachLook(s) {
		if err := look(ctx); err != nil {
			return err
		}
	}
	ordered := port.ID{Name: "ordered"}
	var reply [1]port.OrderReply
	s.Stores().Operator.Order(ctx, []port.Order{{Breaker: ordered, Order: breaker.Order{By: "me"}}}, reply[:])
	records, err := s.Stores().Operator.Records(ctx, ordered)
	if err = errors.Join(reply[0].Err, err); err == nil && (len(records) == 0 || records[0].Order.Serial != reply[0].Serial) {
		err = errors.New("nothing was recorded")
	}
	return err
}

// publishAgain puts a document in force in place of the one that is, and reports an error if
// it cannot be read.
func publishAgain(ctx context.Context, s *Store) error {
	policies := s.Stores().Policies
	now, err := policies.Published(ctx, 0)
	if err != nil {
		return err
	}
	version, ok, err := policies.Publish(ctx, port.Publication{Document: "{}"}, now.Version)
	if err != nil || !ok {
		return errors.Join(err, errors.New("nothing was published"))
	}
	if now, err = policies.Published(ctx, 0); err == nil && now.Version != version {
		err = errors.New("another one is in force")
	}
	return err
}

// settleAnothers gets a probe lease as one replica, and settles it as another.
func settleAnothers(ctx context.Context, t *testing.T, s *Store, epoch uint64) error {
	t.Helper()
	in := []port.ProbeRequest{{Breaker: theBreaker, Rules: rulesOf(t, brief()), ProbeAsk: breaker.ProbeAsk{Replica: "a", Known: epoch, Token: 1}}}
	var out [1]port.ProbeReply
	for !out[0].Granted && out[0].View.Err == nil { // it is open for a millisecond
		s.Stores().Breakers.Probe(ctx, in, out[:])
	}
	in[0].Replica, in[0].Known, in[0].Settle, in[0].Outcome = "b", out[0].View.Epoch, true, domain.Failure
	if out[0].View.Err == nil {
		s.Stores().Breakers.Probe(ctx, in, out[:])
	}
	return out[0].View.Err
}

// tripAgain makes transitions until one is pushed, or reports what failed.
func tripAgain(ctx context.Context, t *testing.T, s *Store, pushed <-chan port.View) (view port.View, err error) {
	t.Helper()
	rules := rulesOf(t, brief())
	for seq := uint64(1); ctx.Err() == nil && seq < 200; seq++ {
		var out [1]port.View
		e := sick("a", seq, view.Epoch)
		if view.State != domain.StateClosed {
			e.Known++ // as if the state had been lost
		}
		s.Stores().Breakers.Report(ctx, []port.Report{{Breaker: theBreaker, Rules: rules, Evidence: e}}, out[:])
		if out[0].Err != nil {
			return view, out[0].Err
		}
		view = out[0]
		select {
		case <-pushed:
			if view.State == domain.StateOpen {
				return view, nil
			}
		case <-time.After(time.Millisecond):
		}
	}
	return view, context.DeadlineExceeded
}
