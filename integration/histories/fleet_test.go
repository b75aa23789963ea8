package histories

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/redisserver"
)

// workers is how many processes call at a time.
const workers = 8

// A fleet is the workers, their ways, and the server.
type fleet struct {
	t       *testing.T
	rng     *rand.Rand
	server  *redisserver.Server
	ways    [workers]*way
	workers [workers]*process
	ended   []*process
	orders  [workers]order
	replies atomic.Int64 // that servers gave, lost or not
	round   int64
	history history
}

// A process is a worker that runs, or ran.
type process struct {
	worker int
	log    string
	cmd    *exec.Cmd
	stdin  io.WriteCloser
}

// startFleet starts a server and all workers, which call from now on. All of it
// ends with the test.
func startFleet(t *testing.T, retries bool) *fleet {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	f := &fleet{t: t, rng: rand.New(rand.NewPCG(seed, 0)), server: redisserver.ForTest(t)}
	for i := range workers {
		f.ways[i] = startWay(t, f.server.Addr(), seed+uint64(i), &f.replies)
		f.orders[i] = order{Addr: f.ways[i].addr(), Worker: i, Seed: seed, Retries: retries}
		f.startWorker(i)
	}
	f.await(10 * workers)
	return f
}

// startWorker starts the next process of a worker.
func (f *fleet) startWorker(i int) {
	f.t.Helper()
	f.orders[i].Round = f.round
	o := f.orders[i]
	f.orders[i].Life++
	o.Log = filepath.Join(f.t.TempDir(), fmt.Sprintf("worker-%d-%d.log", i, o.Life))
	data, err := json.Marshal(o)
	if err != nil {
		f.t.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(f.t.Context()), os.Args[0], "-test.run=^TestWorker$")
	cmd.Env = append(os.Environ(), workerEnv+"="+string(data), "GOMAXPROCS=2")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // also one that is stopped
	p := &process{worker: i, log: o.Log, cmd: cmd}
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		f.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(p.kill)
	f.workers[i] = p
}

// nextRound gives all workers new keys: a history is judged key by key, and
// short ones are judged fast. One that was under way asks the old ones still.
func (f *fleet) nextRound() {
	f.t.Helper()
	f.round++
	for _, p := range f.workers {
		if _, err := fmt.Fprintln(p.stdin, f.round); err != nil {
			f.t.Fatal(err)
		}
	}
}

// kill ends the process as a crash does.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// lose lets all ways lose so many of 1,000 replies, and reset so many connections.
func (f *fleet) lose(replies, resets int64) {
	for _, w := range f.ways {
		w.loses.Store(replies)
		w.resets.Store(resets)
	}
}

// await waits until the server has given so many more replies.
func (f *fleet) await(more int64) {
	f.t.Helper()
	const longest = 30 * time.Second
	target := f.replies.Load() + more
	for start := time.Now(); f.replies.Load() < target; time.Sleep(time.Millisecond) {
		if time.Since(start) > longest {
			f.t.Fatalf("%d replies are missing after %v", target-f.replies.Load(), longest)
		}
	}
}

// end ends the workers, waits until the server has said all there is to say, and
// returns what happened.
func (f *fleet) end() *history {
	f.t.Helper()
	for _, p := range f.workers {
		_ = p.stdin.Close()
	}
	for i, p := range f.workers {
		if err := p.cmd.Wait(); err != nil {
			f.t.Errorf("worker %d: %v", i, err)
		}
		f.ended = append(f.ended, p)
	}
	for _, w := range f.ways {
		w.drain(f.t)
	}
	for _, p := range f.ended {
		f.history.add(p.worker, readLog(f.t, p.log), f.ways[p.worker].log())
	}
	return &f.history
}
