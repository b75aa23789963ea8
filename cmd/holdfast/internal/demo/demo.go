package demo

import (
	"context"
	"errors"
	"os"
	"runtime/debug"
	"time"
)

// readyTimeout is how long all replicas together may take to start.
const readyTimeout = 20 * time.Second

// gcPercent lets the heap grow to some tens of MB.
const gcPercent = 1000

// Run plays the demo on stage and returns the verdict. It waits for all that it
// started before it returns. When ctx ends first, the error is its cause.
//
// The error matches [ErrUnreachable] when the Redis that was named does not
// answer. Anything else is trouble of this machine: the options were valid.
func Run(ctx context.Context, o Options, stage *Stage) (v Verdict, err error) {
	if err := o.Validate(); err != nil {
		return Verdict{}, err
	}
	// The embedded store makes 200 kB of garbage a script, and each collection on
	// a busy machine is a pause for the whole fleet.
	defer debug.SetGCPercent(debug.SetGCPercent(gcPercent))
	c, err := newCast(ctx, o)
	if err != nil {
		return Verdict{}, err
	}
	defer func() { err = errors.Join(err, c.close(ctx)) }()
	s := &story{cast: c, options: o, stage: stage, began: c.clock.now()}
	stage.open(s)
	defer stage.close()
	if err := s.play(ctx); err != nil {
		return Verdict{}, err
	}
	return judge(s.evidence), nil
}

// A cast is everything that takes part in a run.
type cast struct {
	clock      clock
	store      *sharedStore
	watcher    *watcher
	downstream *downstream
	broken     *brokenNetwork
	members    []*member
}

// newCast starts everything. It must be closed.
func newCast(ctx context.Context, o Options) (c *cast, err error) {
	c = &cast{clock: newClock()}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close(ctx))
		}
	}()
	if c.store, err = openStore(ctx, o.Redis); err != nil {
		return c, err
	}
	if c.watcher, err = watch(ctx, c.clock, c.store); err != nil {
		return c, err
	}
	if c.downstream, err = startDownstream(ctx, c.clock, o.Replicas); err != nil {
		return c, err
	}
	if c.broken, err = startBrokenNetwork(ctx); err != nil {
		return c, err
	}
	return c, c.startMembers(ctx, o)
}

// startMembers starts the replicas and waits until all are at work.
func (c *cast) startMembers(ctx context.Context, o Options) error {
	path, err := os.Executable()
	if err != nil {
		return err
	}
	for i := range o.Replicas {
		m, err := startMember(ctx, path, start{
			Replica: i + 1, Scene: o.sceneOf(i + 1), Downstream: c.downstream.addr(),
			Fleet: c.store.fleet, Store: c.store.forReplicas(),
		})
		if err != nil {
			return err
		}
		c.members = append(c.members, m)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, readyTimeout, errors.New("the replicas do not start in time"))
	defer cancel()
	for _, m := range c.members {
		if err := m.ready(ctx); err != nil {
			return err
		}
	}
	return nil
}

// close ends everything that was started, the other way round.
func (c *cast) close(ctx context.Context) error {
	var errs []error
	for _, m := range c.members {
		m.kill()
	}
	if c.broken != nil {
		errs = append(errs, c.broken.close())
	}
	if c.downstream != nil {
		errs = append(errs, c.downstream.close())
	}
	if c.watcher != nil {
		c.watcher.close()
	}
	if c.store != nil {
		errs = append(errs, c.store.close(ctx))
	}
	return errors.Join(errs...)
}
