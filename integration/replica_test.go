package integration

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet"
	redisstore "github.com/holdfast-go/holdfast/store/redis"
)

// replicaEnv tells a process of this test binary that it is a replica, and how.
const replicaEnv = "HOLDFAST_TEST_REPLICA"

// readyLine is what such a process says when it begins.
const readyLine = "ready\n"

// A replicaOrder is what a replica process has to do.
type replicaOrder struct {
	Addr    string // of its relay
	Limit   domain.RateLimit
	Callers int
	Fleet   int    // replicas to be seen before it begins
	Result  string // the file for its replicaReport

	// ClockHours, when not 0, gives the process a clock of its own: that many
	// hours into the year 2000, and running unlike any clock on earth. It stands
	// still while the process waits for the network and leaps ahead while all of
	// its callers sleep.
	ClockHours int
}

// A replicaReport is what came of it.
type replicaReport struct {
	Calls    int64 // of Allow
	Admitted int64 // by the store
	Errors   int64
	Ports    int64   // calls of the store's ports that may execute a script
	Local    []int64 // when a call was admitted without the store, Unix µs
	DownFor  time.Duration
	Outages  int
	Unknown  []string // errors that are none of the documented ones
	Wall     int64    // the process's own clock at its end, Unix s
}

// A replicaProcess is a running process.
type replicaProcess struct {
	order replicaOrder
	cmd   *exec.Cmd
	stdin io.WriteCloser
	ready chan error // it has begun, or could not
}

// startReplica starts a process that calls from when it is begun until it is
// stopped.
func startReplica(t *testing.T, order replicaOrder) *replicaProcess {
	t.Helper()
	order.Result = filepath.Join(t.TempDir(), "report.json")
	data, err := json.Marshal(order)
	if err != nil {
		t.Fatal(err)
	}
	p := &replicaProcess{order: order, ready: make(chan error, 1)}
	p.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0], "-test.run=^TestReplicaProcess$")
	p.cmd.Env = append(os.Environ(), replicaEnv+"="+string(data), "GOMAXPROCS=2")
	p.cmd.Stderr = os.Stderr
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		said, err := bufio.NewReader(stdout).ReadString('\n')
		if said != readyLine {
			err = fmt.Errorf("a replica said %q: %w", said, err)
		}
		p.ready <- err
		_, _ = io.Copy(io.Discard, stdout)
	}()
	t.Cleanup(p.kill)
	return p
}

// beginAll waits until all processes are ready, and lets all of its callers go.
func beginAll(t *testing.T, processes []*replicaProcess) {
	t.Helper()
	for _, p := range processes {
		if err := <-p.ready; err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range processes {
		if _, err := io.WriteString(p.stdin, "go\n"); err != nil {
			t.Fatal(err)
		}
	}
}

// kill ends the process as a crash does.
func (p *replicaProcess) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// stopAll lets all processes end.
func stopAll(processes []*replicaProcess) {
	for _, p := range processes {
		_ = p.stdin.Close()
	}
}

// report waits for the process to end, and returns its report.
func (p *replicaProcess) report(t *testing.T) (r replicaReport) {
	t.Helper()
	if err := p.cmd.Wait(); err != nil {
		t.Fatalf("a replica: %v", err)
	}
	data, err := os.ReadFile(p.order.Result)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestReplicaProcess is the body of the processes that other tests start.
func TestReplicaProcess(t *testing.T) {
	text := os.Getenv(replicaEnv)
	if text == "" {
		t.Skip("it is what the processes run that other tests start")
	}
	var order replicaOrder
	if err := json.Unmarshal([]byte(text), &order); err != nil {
		t.Fatal(err)
	}
	var stop atomic.Bool
	begin := make(chan struct{})
	go func() { // outside of the bubble, whose clock would wait for it
		_, _ = os.Stdin.Read(make([]byte, 1))
		close(begin)
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop.Store(true)
	}()
	var report replicaReport
	if order.ClockHours == 0 {
		report = call(t, order, begin, &stop)
	} else {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Duration(order.ClockHours) * time.Hour)
			report = call(t, order, begin, &stop)
			time.Sleep(time.Minute) // the client's own goroutines end by their timers
		})
	}
	data, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(order.Result, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// call is a replica's life: as many calls as it may make, until it is stopped.
func call(t *testing.T, order replicaOrder, begin <-chan struct{}, stop *atomic.Bool) replicaReport {
	t.Helper()
	client := redis.NewClient(&redis.Options{
		Addr:                     order.Addr,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	defer client.Close()
	stores := redisstore.New(client, "exact", redisstore.Options{}).Stores()
	var ports atomic.Int64
	stores.Buckets = countedBuckets{stores.Buckets, &ports}
	stores.Members = countedMembers{stores.Members, &ports}
	var outages outageClock
	replica, err := fleet.Join(stores, fleet.Config{OnEvent: outages.hear})
	if err != nil {
		t.Fatal(err)
	}
	limiter, err := replica.Limiter(order.Limit)
	if err != nil {
		t.Fatal(err)
	}
	for replica.Health().Replicas < order.Fleet && !stop.Load() {
		_, _ = limiter.Peek(t.Context(), "")
		time.Sleep(time.Millisecond)
	}
	_, _ = os.Stdout.WriteString(readyLine)
	<-begin
	var mu sync.Mutex
	var report replicaReport
	var all sync.WaitGroup
	for range order.Callers {
		all.Go(func() {
			var own replicaReport
			for !stop.Load() {
				own.one(limiter)
			}
			mu.Lock()
			defer mu.Unlock()
			report.add(own)
		})
	}
	all.Wait()
	if err := replica.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
	report.Ports, report.Wall = ports.Load(), time.Now().Unix()
	report.DownFor, report.Outages = outages.sum()
	return report
}

// one makes one call, and rests for as long as a refusal says, 5 ms at most.
func (r *replicaReport) one(l *fleet.Limiter) {
	const longest = 5 * time.Millisecond
	r.Calls++
	d, err := l.Allow(context.Background(), "")
	switch {
	case err == nil && d.Allowed && d.Degraded:
		r.Local = append(r.Local, time.Now().UnixMicro())
	case err == nil && d.Allowed:
		r.Admitted++
		return
	case err != nil:
		r.Errors++
		d.RetryAfter = longest
		if !errors.Is(err, domain.ErrStoreUnavailable) {
			r.Unknown = append(r.Unknown, err.Error())
		}
	}
	time.Sleep(min(d.RetryAfter, longest))
}

func (r *replicaReport) add(o replicaReport) {
	r.Calls += o.Calls
	r.Admitted += o.Admitted
	r.Errors += o.Errors
	r.Local = append(r.Local, o.Local...)
	r.Unknown = append(r.Unknown, o.Unknown...)
}

// An outageClock adds up for how long the store was down.
type outageClock struct {
	mu      sync.Mutex
	since   time.Time
	total   time.Duration
	outages int
}

func (c *outageClock) hear(e domain.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch e.Kind {
	case domain.EventStoreDown:
		c.since = time.Now()
		c.outages++
	case domain.EventStoreUp:
		c.total += time.Since(c.since)
		c.since = time.Time{}
	default:
	}
}

func (c *outageClock) sum() (time.Duration, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.since.IsZero() {
		c.total += time.Since(c.since)
		c.since = time.Time{}
	}
	return c.total, c.outages
}

type countedBuckets struct {
	port.BucketStore

	n *atomic.Int64
}

func (c countedBuckets) Take(ctx context.Context, in []port.TakeRequest, out []port.TakeReply) {
	c.n.Add(1)
	c.BucketStore.Take(ctx, in, out)
}

type countedMembers struct {
	port.MemberStore

	n *atomic.Int64
}

func (c countedMembers) Beat(ctx context.Context, replica string, lasting time.Duration) (int, error) {
	c.n.Add(1)
	return c.MemberStore.Beat(ctx, replica, lasting)
}
