package demo

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/orchestrator"
)

// A load is the callers of one replica, and what they counted.
type load struct {
	pause   time.Duration
	lease   time.Duration
	breaker *fleet.Breaker
	network *network
	callers []*caller

	mu      sync.Mutex
	counted tally
}

// newLoad makes the guards through which the callers call. Each has one of its
// own, over the same breaker and limit: the guard's option is where a caller
// learns of the end of an attempt.
func newLoad(orch *orchestrator.Orchestrator, s start, n *network) (*load, error) {
	l := &load{pause: s.Scene.Pause, lease: s.Scene.Recovery, network: n}
	for i := range callers {
		c := &caller{load: l, replica: s.Replica, watch: stopwatch{clock: newClock()}}
		name := "caller-" + strconv.Itoa(i+1)
		var err error
		if c.guard, err = orch.Guard(name, s.Scene.policy(), orchestrator.RetryIf(c.attemptFailed)); err != nil {
			return nil, err
		}
		l.callers = append(l.callers, c)
	}
	l.breaker, _ = orch.CircuitBreaker(part)
	return l, nil
}

// begin starts the callers; wait waits for them.
func (l *load) begin(ctx context.Context, wait *sync.WaitGroup) {
	for _, c := range l.callers {
		wait.Go(func() { c.run(ctx) })
	}
}

// tally is what was counted so far.
func (l *load) tally() tally {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.counted
	t.StoreTime = append(histogram(nil), t.StoreTime...)
	return t
}

func (l *load) count(f func(*tally)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(&l.counted)
}

// A caller calls, one call after another.
type caller struct {
	load    *load
	replica int
	guard   *orchestrator.Guard
	watch   stopwatch
}

// run calls until ctx ends. The pauses are random, so that callers do not march
// in step.
func (c *caller) run(ctx context.Context) {
	for pause(ctx, time.Duration(rand.Float64()*2*float64(c.load.pause))) == nil {
		c.call(ctx)
	}
}

// call makes one call through the guard. Its error was counted on the way.
func (c *caller) call(ctx context.Context) {
	c.watch.begin()
	err := orchestrator.Run(ctx, c.guard, c.send)
	if ctx.Err() != nil {
		return // cut short by the end of the demo
	}
	c.load.count(func(t *tally) {
		t.StoreTime.add(c.watch.atStore)
		if err == nil {
			t.Succeeded++
		}
	})
}

// send is the operation: one request to the downstream.
func (c *caller) send(ctx context.Context) error {
	c.watch.admitted()
	return c.load.network.send(ctx, request{
		replica: c.replica,
		probe:   isProbe(ctx, c.load.lease),
		epoch:   c.load.breaker.Status().Epoch,
	})
}

// attemptFailed is asked, after each attempt that failed or was refused, whether
// to try again. It is the guard's own answer; this is the place to count.
func (c *caller) attemptFailed(err error) bool {
	ran := c.watch.ended(err)
	if !errors.Is(err, context.Canceled) {
		c.load.count(func(t *tally) {
			switch {
			case ran:
				t.Failed++
			case errors.Is(err, domain.ErrCircuitOpen):
				t.Refused++
			case errors.Is(err, domain.ErrRateLimited):
				t.Limited++
			default:
				t.Undecided++
			}
		})
	}
	return domain.IsRetryable(err)
}

// isProbe reports whether the call that runs in ctx is a probe: only those end
// with a lease. Any other call still has more time here than a lease lasts, see
// callTimeout.
func isProbe(ctx context.Context, lease time.Duration) bool { return left(ctx) <= lease }
