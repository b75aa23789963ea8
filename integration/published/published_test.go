package published

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/internal/redisserver"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/policy"
	"github.com/holdfast-go/holdfast/rollout"
	redisstore "github.com/holdfast-go/holdfast/store/redis"
)

// replicaEnv tells a process that it is a replica, and the address of its Redis.
const replicaEnv = "HOLDFAST_PUBLISHED_REPLICA"

func TestMain(m *testing.M) {
	if address, is := os.LookupEnv(replicaEnv); is {
		if err := beReplica(address, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// stores are those of the fleet, over a client of their own.
func stores(address string) (port.Stores, *redis.Client) {
	client := redis.NewClient(&redis.Options{Addr: address})
	return redisstore.New(client, "published", redisstore.Options{}).Stores(), client
}

// read reads a document that is the policy of the guard "api".
func read(document string) (func(string) (hold.Policy, bool), error) {
	p, err := policy.Parse(document)
	return func(guard string) (hold.Policy, bool) { return p, guard == "api" }, err
}

// beReplica asks for more than the limit allows until in ends, and then says when it was
// admitted, in Unix µs. It says each version as soon as it is in force.
func beReplica(address string, in io.Reader, out io.Writer) error {
	shared, client := stores(address)
	defer client.Close()
	orch, err := orchestrator.New(shared, orchestrator.Config{})
	if err != nil {
		return err
	}
	guard, err := orch.Guard("api", hold.RateLimit{Limit: hold.PerSecond(100)})
	if err != nil {
		return err
	}
	says := json.NewEncoder(out)
	follower, err := rollout.Follow(rollout.Config{
		Orchestrator: orch, Policies: shared.Policies, Read: read,
		OnChange: func(c rollout.Change) { _ = says.Encode(word{Version: c.Version, Refused: c.Err != nil}) },
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { _, _ = io.Copy(io.Discard, in); cancel() }()
	var callers sync.WaitGroup
	var mu sync.Mutex
	var admitted []int64
	for range 4 {
		callers.Go(func() {
			for ctx.Err() == nil {
				if err := orchestrator.Run(ctx, guard, func(context.Context) error { return nil }); err == nil {
					at := time.Now().UnixMicro()
					mu.Lock()
					admitted = append(admitted, at)
					mu.Unlock()
				}
				time.Sleep(time.Millisecond) // the pace of a caller, not a wait for something
			}
		})
	}
	callers.Wait()
	follower.Close()
	return errors.Join(says.Encode(word{Admitted: admitted}), orch.Close(context.Background()))
}

// A word is what a replica says: a version that it looked at, or in the end its admissions.
type word struct {
	Version  uint64
	Refused  bool
	Admitted []int64
}

// A replica is a process.
type replica struct {
	command *exec.Cmd
	in      io.WriteCloser
	said    *bufio.Scanner
}

func start(t *testing.T, address string) *replica {
	t.Helper()
	command := exec.CommandContext(t.Context(), os.Args[0])
	command.Env = append(os.Environ(), replicaEnv+"="+address)
	command.Stderr = os.Stderr
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewScanner(out)
	said.Buffer(nil, 1<<26)
	return &replica{command, in, said}
}

// next is the next thing that a replica says.
func (r *replica) next(t *testing.T) (w word) {
	t.Helper()
	if !r.said.Scan() {
		t.Fatal("a replica says nothing more: ", r.said.Err())
	}
	if err := json.Unmarshal(r.said.Bytes(), &w); err != nil {
		t.Fatal(err)
	}
	return w
}

// phase is how long each limit is under load.
const phase = 2 * time.Second

// A span of time in which a limit was in force, in Unix µs.
type span struct {
	from, to int64
	limit    hold.Limit
}

// TestLimitChangesUnderLoad: from 100 to 50 to 200 a second, on four processes that ask for
// thousands. In no interval is more admitted than the limit in force allows: of the time
// between publishing and the last replica's word, the larger one.
func TestLimitChangesUnderLoad(t *testing.T) {
	address := redisserver.ForTest(t).Addr()
	shared, client := stores(address)
	defer client.Close()
	replicas := make([]*replica, 4)
	for i := range replicas {
		replicas[i] = start(t, address)
	}
	var spans []span
	began, version, limit := time.Now().UnixMicro(), uint64(0), hold.PerSecond(100)
	time.Sleep(phase) // of load
	for _, next := range []hold.Limit{hold.PerSecond(50), hold.PerSecond(200)} {
		publishing := time.Now().UnixMicro()
		spans = append(spans, span{began, publishing, limit})
		document := hold.RateLimit{Limit: next}.String()
		published, ok, err := shared.Policies.Publish(t.Context(), port.Publication{Document: document}, version)
		if !ok || err != nil {
			t.Fatal(published, ok, err)
		}
		for i, r := range replicas {
			if w := r.next(t); w.Version != published || w.Refused {
				t.Fatalf("replica %d says %+v of version %d", i, w, published)
			}
		}
		began, version = time.Now().UnixMicro(), published
		if took := time.Duration(began-publishing) * time.Microsecond; took > time.Second {
			t.Errorf("the last replica had it after %s, above MaxStaleness", took)
		}
		larger := limit
		if next.Tokens > limit.Tokens {
			larger = next
		}
		spans = append(spans, span{publishing, began, larger})
		limit = next
		time.Sleep(phase) // of load
	}
	spans = append(spans, span{began, time.Now().UnixMicro(), limit})
	var admitted []int64
	for _, r := range replicas {
		_ = r.in.Close()
		admitted = append(admitted, r.next(t).Admitted...)
		if err := r.command.Wait(); err != nil {
			t.Error(err)
		}
	}
	slices.Sort(admitted)
	judge(t, admitted, spans)
}

// late is how much later than the store decides a caller may note it.
const late = 50 * time.Millisecond

// judge looks at each interval: a bucket that fills up with what was admitted, and runs out by
// the limit in force.
func judge(t *testing.T, admitted []int64, spans []span) {
	t.Helper()
	for _, s := range spans {
		earned := float64(s.limit.Tokens) / float64(s.limit.Period.Microseconds())
		room := float64(s.limit.Tokens) + earned*float64(late.Microseconds()) + 1
		level, last, n := 0.0, s.from, 0
		for _, at := range admitted {
			if at < s.from || at >= s.to {
				continue
			}
			level = max(level-earned*float64(at-last), 0) + 1
			if last, n = at, n+1; level > room {
				t.Errorf("under %s, %.0f were admitted at once", s.limit, level)
				break
			}
		}
		lasted := time.Duration(s.to-s.from) * time.Microsecond
		t.Logf("under %s for %s: %d admitted, %.0f a second", s.limit, lasted.Round(time.Millisecond), n, float64(n)/lasted.Seconds())
		if full := lasted >= phase-phase/10; full && float64(n) < 0.8*earned*float64(lasted.Microseconds()) {
			t.Errorf("under %s, only %d were admitted in %s", s.limit, n, lasted)
		}
	}
}
