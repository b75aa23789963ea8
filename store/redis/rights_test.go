package redisstore

import (
	"context"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/internal/redisserver"
)

// The rights that docs/protocol.md gives are enough for everything, pushes
// included, and each of them is needed for something.
func TestRightsInTheDocs(t *testing.T) {
	text, err := os.ReadFile("../../docs/protocol.md")
	must(t, err)
	rule := regexp.MustCompile(`ACL SETUSER holdfast ([^\n]*\\\n[^\n]*)`).FindSubmatch(text)
	if rule == nil {
		t.Fatal("docs/protocol.md has no rights")
	}
	words := strings.Fields(strings.NewReplacer("\\", "", "<fleet>", "shop").Replace(string(rule[1])))
	server := redisserver.ForTest(t)
	admin := connect(t, server.Addr())
	setUser := func(words ...string) {
		t.Helper()
		args := []any{"acl", "setuser", "holdfast", "reset"}
		for _, word := range words {
			args = append(args, word)
		}
		must(t, admin.Do(t.Context(), args...).Err())
	}
	setUser(words...)
	if got := useEverything(t, server.Addr()); len(got) > 0 {
		t.Errorf("with all rights of the docs: %v", got)
	}
	for i, word := range words {
		// Who does not wait for the other end needs no ping to find that it is gone.
		if !strings.HasPrefix(word, "+") || word == "+ping" {
			continue
		}
		t.Run("without "+word, func(t *testing.T) {
			must(t, admin.ScriptFlush(t.Context()).Err()) // so that the text is sent
			setUser(append(append([]string(nil), words[:i]...), words[i+1:]...)...)
			if got := useEverything(t, server.Addr()); len(got) == 0 {
				t.Errorf("the right is not needed")
			}
		})
	}
}

// brief is a breaker that one replica opens, for a millisecond. It wins over the
// one of callOnce.
func brief() domain.CircuitBreaker {
	return domain.CircuitBreaker{Version: 1, RecoveryTimeout: time.Millisecond, ProbeLease: time.Millisecond, Sharing: domain.ShareAny}
}

// useEverything makes every kind of call once, and returns what failed.
func useEverything(t *testing.T, addr string) (failed []error) {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: addr, Username: "holdfast", Password: "password"})
	defer client.Close()
	s := New(client, "shop", Options{})
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
	note(takeWith(ctx, s, ruleOf(t, 1, 1), takeOne()).Err)
	_, err := s.Stores().Members.Beat(ctx, "a", 0) // a member that leaves
	note(err)
	view, err := tripAgain(ctx, t, s, pushed)
	note(err)
	if err == nil {
		note(settleAnothers(ctx, t, s, view.Epoch))
	}
	select {
	case err := <-watched:
		note(err)
	default:
	}
	return failed
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
