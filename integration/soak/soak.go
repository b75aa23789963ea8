package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// A plan says how long and how hard a fleet is tried.
type plan struct {
	duration  time.Duration // no cycle begins after it, unless there are too few to judge
	hold      time.Duration // how long each fault lasts
	residents int           // replicas that stay
	callers   int           // of each of them
	pace      time.Duration // between two calls of a caller
	leak      func()        // is called once a cycle: tests put a leak there
}

// A soaking is one run.
type soaking struct {
	plan
	*stage

	world   world
	clients []*redis.Client
	members []*member // that stay

	// Calls and visits hold it for reading: who holds it for writing finds none
	// under way.
	gate sync.RWMutex
	all  sync.WaitGroup
}

// soak runs cycles and prints a line for each, and what comes of them.
func soak(ctx context.Context, p plan, out io.Writer) (v verdict, err error) {
	stage, err := raise(ctx)
	if err != nil {
		return nil, err
	}
	s := &soaking{plan: p, stage: stage}
	within, stop := context.WithCancel(ctx)
	defer func() {
		stop()
		s.all.Wait()
		err = errors.Join(err, s.leave(ctx), stage.lower())
	}()
	if err := s.begin(within); err != nil {
		return nil, err
	}
	samples, err := s.cycles(within, out)
	if err != nil {
		return nil, err
	}
	v, err = judge(samples)
	if err == nil {
		v.print(out, len(samples), s.world.calls.Load())
	}
	return v, err
}

// begin lets residents join and all callers call.
func (s *soaking) begin(ctx context.Context) error {
	for range s.residents {
		client := s.client()
		s.clients = append(s.clients, client)
		m, err := join(&s.world, client) //nolint:contextcheck // a replica's life is its own
		if err != nil {
			return err
		}
		s.members = append(s.members, m)
		for range s.callers {
			s.all.Go(func() { s.keepCalling(ctx, m) })
		}
	}
	for i := range 2 {
		s.all.Go(func() { s.keepVisiting(ctx, i == 0) })
	}
	return nil
}

// client is one that a user might make. It gives connections back that it does
// not need, so that those which are left at rest are as many in each cycle.
func (s *soaking) client() *redis.Client {
	return redis.NewClient(&redis.Options{Addr: s.way.Listen, MaxIdleConns: 2})
}

// leave ends what begin began.
func (s *soaking) leave(ctx context.Context) error {
	errs := make([]error, 0, len(s.members)+len(s.clients))
	for _, m := range s.members {
		errs = append(errs, m.leave(ctx))
	}
	for _, c := range s.clients {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

func (s *soaking) keepCalling(ctx context.Context, m *member) {
	for tick := time.Tick(s.pace); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick:
		}
		s.gate.RLock()
		m.call(ctx)
		s.gate.RUnlock()
	}
}

// keepVisiting lets replicas join, make some calls and leave, all the time: on
// clients of their own, or on one that stays.
func (s *soaking) keepVisiting(ctx context.Context, ownClient bool) {
	shared := s.client()
	defer shared.Close()
	for sleep(ctx, s.pace) == nil {
		client := shared
		if ownClient {
			client = s.client()
		}
		s.gate.RLock()
		s.visit(ctx, client)
		if ownClient {
			_ = client.Close()
		}
		s.gate.RUnlock()
	}
}

func (s *soaking) visit(ctx context.Context, client *redis.Client) {
	m, err := join(&s.world, client) //nolint:contextcheck // a replica's life is its own
	if err != nil {
		panic(err) // the policies are constants
	}
	for range 20 {
		m.call(ctx)
	}
	_ = m.leave(ctx)
}

// cycles breaks everything in turn, again and again.
func (s *soaking) cycles(ctx context.Context, out io.Writer) (samples []sample, err error) {
	fmt.Fprintln(out, header())
	for begin := now(); len(samples) < cyclesLeast || since(begin) < s.duration; {
		for i, breaks := range faults() {
			s.world.sick.Store(i%2 == 0)
			if err := breaks(ctx, s.stage, s.hold); err != nil {
				return nil, fmt.Errorf("fault %d: %w", i+1, err)
			}
			s.world.sick.Store(false)
			if err := waitFor(ctx, 10*time.Millisecond, "the store is up again", s.isUp); err != nil {
				return nil, err
			}
		}
		if s.leak != nil {
			s.leak()
		}
		one, err := s.sample(ctx)
		if err != nil {
			return nil, err
		}
		samples = append(samples, one)
		fmt.Fprintln(out, one.line(len(samples), since(begin), &s.world))
	}
	return samples, nil
}

func (s *soaking) isUp() bool {
	for _, m := range s.members {
		if m.Health().StoreDown {
			return false
		}
	}
	return true
}
