package histories

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/holdfast-go/holdfast/domain/port"
	redisstore "github.com/holdfast-go/holdfast/store/redis"
)

// workerEnv tells a process of this test binary that it is a worker, and how.
const workerEnv = "HOLDFAST_TEST_WORKER"

// timeout is how long a call waits: that of a fleet.
const timeout = 100 * time.Millisecond

// An order is what a worker has to do: to call until its standard input ends,
// each line of which is the number of another round.
type order struct {
	Addr    string // of its way
	Log     string
	Worker  int
	Life    int   // how many processes were this worker before
	Round   int64 // the first
	Seed    uint64
	Retries bool // a bug
}

// A worker makes one call at a time.
type worker struct {
	order  order
	stores port.Stores
	ear    *ear
	log    *os.File
	rng    *rand.Rand
	op     int

	breakers map[string]*breakerCaller
}

// TestWorker is the body of the processes that the other tests start.
func TestWorker(t *testing.T) {
	text := os.Getenv(workerEnv)
	if text == "" {
		t.Skip("it is what the processes run that other tests start")
	}
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		t.Fatal(err)
	}
	var stop atomic.Bool
	var round atomic.Int64
	round.Store(o.Round)
	go func() {
		defer stop.Store(true)
		for {
			var number int64
			if _, err := fmt.Fscanln(os.Stdin, &number); err != nil {
				return
			}
			round.Store(number)
		}
	}()
	log, err := os.OpenFile(o.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	w := &worker{order: o, log: log, rng: rand.New(rand.NewPCG(o.Seed, uint64(o.Worker<<16+o.Life)))}
	client := w.connect()
	defer client.Close()
	w.warm(&stop)
	for !stop.Load() {
		if !w.call(int(round.Load())) {
			time.Sleep(time.Millisecond) // so much slower than a server is while there is none
		}
	}
}

// connect makes the client. It ends calls with their context: else it would be
// cloned for each, and clones have no ears.
func (w *worker) connect() *redis.Client {
	dialer := &dialer{first: uint64(w.order.Worker+1)<<48 + uint64(w.order.Life)<<32, sent: w.sent}
	client := redis.NewClient(&redis.Options{
		Addr:                     w.order.Addr,
		Dialer:                   dialer.dial,
		ContextTimeoutEnabled:    true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	w.ear = &ear{retries: w.order.Retries}
	client.AddHook(w.ear)
	w.stores = redisstore.New(client, "histories", redisstore.Options{}).Stores()
	return client
}

// warmBucket is the one that is asked for no other reason than to hear the
// server's clock.
const warmBucket = "warm"

// warm calls until the server's clock was heard. Calls before that cannot say
// when they would be too late, so they are no part of the history.
func (w *worker) warm(stop *atomic.Bool) {
	in := []port.TakeRequest{{Bucket: port.ID{Name: warmBucket}, Rule: ruleOf(0, 0, 0)}}
	for !stop.Load() && !w.ask(in) {
		time.Sleep(time.Millisecond)
	}
}

// call makes one call in a round, and reports whether it was answered.
func (w *worker) call(round int) bool {
	if w.rng.IntN(2) == 0 {
		return w.take(round)
	}
	return w.step(round)
}

// made writes down what is asked, lets do ask it, and writes down what it says
// came of it.
func (w *worker) made(asked line, do func(ctx context.Context, got *line) error) bool {
	asked.Op, asked.Call = w.op, monotonic()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	asked.Due = monotonic() + int64(timeout) // read after the deadline was made, so not before it
	asked.DueMicro = serverNow() + timeout.Microseconds()
	w.write(asked)
	got := line{Op: w.op}
	w.ear.atMicro = 0
	err := do(ctx, &got)
	if err != nil {
		got = line{Op: w.op, Error: err.Error()}
	}
	got.AtMicro, got.Return = w.ear.atMicro, monotonic()
	w.write(got)
	w.op++
	return err == nil
}

// sent writes down that a request is about to go out.
func (w *worker) sent(conn uint64) {
	w.write(line{Op: w.op, Conn: conn})
}

// write writes a line with one system call: what was written outlives the process.
func (w *worker) write(l line) {
	data, err := json.Marshal(l)
	if err != nil {
		panic(err)
	}
	if _, err := w.log.Write(append(data, '\n')); err != nil {
		panic(err)
	}
}
