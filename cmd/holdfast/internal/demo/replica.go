package demo

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/holdfast-go/holdfast/classify"
	"github.com/holdfast-go/holdfast/orchestrator"
	redisstore "github.com/holdfast-go/holdfast/store/redis"
)

// ReplicaCommand as its first argument makes a program that calls [Replica] one
// replica of the demo.
const ReplicaCommand = "demo-replica"

// How often a replica speaks by itself, and how long leaving may take.
const (
	wordEvery    = 100 * time.Millisecond
	leaveTimeout = time.Second
)

// Replica is one process of the fleet, until in ends or says so. It returns the
// exit status.
func Replica(in io.Reader, out io.Writer) int {
	signal.Ignore(os.Interrupt) // of a terminal, all processes get it; the parent decides
	redis.SetLogger(silent{})
	words := newLineWriter(out)
	if err := serveOrders(json.NewDecoder(bufio.NewReader(in)), words); err != nil {
		_ = words.write(word{Error: err.Error()}) // if nobody listens, nobody is left
		return 1
	}
	return 0
}

// serveOrders makes the replica and does what it is told until it is told to
// stop, or nobody is left to tell.
func serveOrders(orders *json.Decoder, words *lineWriter) error {
	var s start
	if err := orders.Decode(&s); err != nil {
		return fmt.Errorf("the first line: %w", err)
	}
	r, err := newReplica(s)
	if err != nil {
		return err
	}
	defer r.end()
	r.begin(words)
	for {
		var o order
		switch err := orders.Decode(&o); {
		case errors.Is(err, io.EOF):
			return nil // the parent is gone
		case err != nil:
			return err
		}
		switch o.Do {
		case doReroute:
			r.network.reroute(o.Via)
		case doTally:
			if err := words.write(r.word(o.Number)); err != nil {
				return err
			}
		case doStop:
			r.end()
			return words.write(r.word(o.Number))
		default:
			return fmt.Errorf("an unknown order: %q", o.Do)
		}
	}
}

// A replica is a service with callers of its own: what a user of the library
// would write, and a clock and counters around it.
type replica struct {
	client  *redis.Client
	orch    *orchestrator.Orchestrator
	network *network
	load    *load

	cancel context.CancelFunc
	wait   sync.WaitGroup
	once   sync.Once
}

// newReplica joins the fleet. It makes no call yet.
func newReplica(s start) (*replica, error) {
	client := redis.NewClient(&redis.Options{
		Addr: s.Store.Addr, Username: s.Store.Username, Password: s.Store.Password,
		DB: s.Store.DB, Protocol: s.Store.Protocol,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	stores := redisstore.New(client, s.Fleet, redisstore.Options{}).Stores()
	orch, err := orchestrator.New(stores, orchestrator.Config{Classify: classify.Default})
	if err != nil {
		return nil, err
	}
	r := &replica{client: client, orch: orch, network: newNetwork(s.Downstream)}
	if r.load, err = newLoad(orch, s, r.network); err != nil {
		return nil, err
	}
	return r, nil
}

// begin starts the callers, and says now and then how things are.
func (r *replica) begin(words *lineWriter) {
	var ctx context.Context
	ctx, r.cancel = context.WithCancel(context.Background())
	r.load.begin(ctx, &r.wait)
	r.wait.Go(func() {
		for ctx.Err() == nil && words.write(r.word(0)) == nil {
			_ = pause(ctx, wordEvery)
		}
	})
}

// end ends the callers and leaves the fleet.
func (r *replica) end() {
	r.once.Do(func() {
		r.cancel()
		r.wait.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
		defer cancel()
		_ = r.orch.Close(ctx) // what it cannot withdraw expires
		_ = r.client.Close()
		r.network.close()
	})
}

// word says how things are.
func (r *replica) word(number int) word {
	status := r.load.breaker.Status()
	return word{
		Number: number, State: status.State, Scope: status.Scope,
		By: status.Override.By, Reason: status.Override.Reason, Tally: r.load.tally(),
	}
}
