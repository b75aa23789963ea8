package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/store/memory"
)

// TestSimulatedBreakers plays fleets with one breaker under ShareQuorum, and little else,
// through crashes, lost pushes, lost, late and hanging calls, probes that hang, a store
// that is flushed and whose clock drifts and steps. It sees the fleet from outside, by
// what is known of the dependency:
//
//   - In every second fleet the dependency is well and one replica is sick, now and then:
//     the fleet never opens, and nobody else is refused.
//   - No more calls run by a lease than the store granted leases, and of those at most
//     Probes are out at once; a call by a lease finds it out.
//   - Epochs only grow, in the store and on each replica.
//   - When all is mended it closes, everywhere, and calls pass: nothing is stuck.
//
// The seeds are those of TestSimulatedFleets, where the same breakers, under every
// sharing, are judged by what their replicas reported.
func TestSimulatedBreakers(t *testing.T) {
	usual := uint64(seeds)
	if raceDetector {
		usual /= 5
	}
	first, count, _ := seedsAsked(usual)
	var all breakerTally
	t.Run("fleets", func(t *testing.T) {
		for seed := first; seed < first+count; seed++ {
			t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					s := newBreakerSim(t, seed)
					s.play()
					all.add(&s.count)
					if t.Failed() {
						s.failf("this seed failed") // by a check of the kit: it has no story
					}
				})
			})
		}
	})
	t.Logf("%d fleets: %d calls, %d of a sick replica, %d openings, %d closings, %d probes, %d of them hung, %d crashes, %d flushes, %d clock steps",
		count, all.calls.Load(), all.sick.Load(), all.opened.Load(), all.closed.Load(),
		all.probes.Load(), all.hung.Load(), all.crashes.Load(), all.flushes.Load(), all.steps.Load())
	if n := int64(count); n >= seeds && !all.wild(n) {
		t.Error("the fleets are too tame")
	}
}

// A breakerTally is how often things happened.
type breakerTally struct {
	calls, sick, opened, closed, probes, hung, crashes, flushes, steps atomic.Int64
}

func (c *breakerTally) parts() []*atomic.Int64 {
	return []*atomic.Int64{&c.calls, &c.sick, &c.opened, &c.closed, &c.probes, &c.hung, &c.crashes, &c.flushes, &c.steps}
}

func (c *breakerTally) add(one *breakerTally) {
	for i, part := range one.parts() {
		c.parts()[i].Add(part.Load())
	}
}

func (c *breakerTally) wild(fleets int64) bool {
	for _, part := range c.parts() {
		if part.Load() < fleets/10 {
			return false
		}
	}
	return true
}

// A breakerSim is one such fleet.
type breakerSim struct {
	*story

	world  *world
	clock  *storeClock
	policy domain.CircuitBreaker
	alone  bool // only one replica is ever in trouble
	rnd    *rand.Rand
	stop   chan struct{}
	all    sync.WaitGroup
	count  breakerTally

	mu         sync.Mutex
	down, hung bool // the dependency; of a fleet with one sick replica, what that one sees
	replicas   []*breakerNode
}

// A breakerNode is a replica of a breakerSim.
type breakerNode struct {
	*node

	name  int
	gone  bool   // crashed; under the simulation's lock
	epoch uint64 // as last seen
}

func newBreakerSim(t *testing.T, seed uint64) *breakerSim {
	t.Helper()
	s := &breakerSim{story: newStory(t, seed), rnd: rand.New(rand.NewPCG(seed, 11)), stop: make(chan struct{}), alone: seed%2 == 1}
	s.clock = &storeClock{start: time.Now(), ppm: int64(s.rnd.IntN(3)-1) * 1000}
	s.world = makeWorld(t, func() port.Stores { return memory.New(memory.Options{Now: s.clock.now}).Stores() })
	s.world.now, s.world.failf, s.world.onMove = s.clock.now, s.failf, s.moved
	s.policy = drawBreaker(s.rnd)
	if s.policy.Sharing != domain.ShareQuorum {
		s.policy.Sharing, s.policy.MinReplicas, s.policy.Quorum = domain.ShareQuorum, 2, 0.5
	}
	for range 2 + s.rnd.IntN(6) {
		s.join()
	}
	return s
}

// join starts a replica, and its calls.
func (s *breakerSim) join() {
	r := &breakerNode{name: len(s.replicas)}
	l := &line{world: s.world, delay: between(s.rnd, time.Millisecond, 5*time.Millisecond)}
	config := fleet.Config{ID: fmt.Sprint("replica ", r.name)}
	r.node = s.world.nodeOn(port.Stores{Breakers: l, Views: l}, s.policy, config.WithRandom(replicasDice{s.story, r.name}))
	r.line = l
	s.mu.Lock()
	s.replicas = append(s.replicas, r)
	s.mu.Unlock()
	rnd := rand.New(rand.NewPCG(s.seed, uint64(r.name)))
	s.all.Go(func() {
		for s.goOn(r, between(rnd, 20*time.Millisecond, 150*time.Millisecond)) {
			s.all.Go(func() { s.call(r) })
		}
	})
}

func (s *breakerSim) goOn(r *breakerNode, pause time.Duration) bool {
	select {
	case <-s.stop:
		return false
	case <-time.After(pause):
		return !s.over(r)
	}
}

func (s *breakerSim) over(r *breakerNode) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return r.gone
}

func (s *breakerSim) living() (all []*breakerNode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.replicas {
		if !r.gone {
			all = append(all, r)
		}
	}
	return all
}

// moved follows the store into a new epoch. It is told under the world's lock.
func (s *breakerSim) moved(v port.View) {
	s.tellf("store: the breaker is %s", v.State)
	switch {
	case v.State == domain.StateOpen:
		s.count.opened.Add(1)
	case v.State == domain.StateClosed && !v.Fresh:
		s.count.closed.Add(1)
	}
	if s.alone && v.State != domain.StateClosed {
		s.failf("the fleet's breaker is %s, and only replica 0 was ever sick; %+v", v.State, s.policy)
	}
}

// call makes one call of r.
func (s *breakerSim) call(r *breakerNode) {
	s.count.calls.Add(1)
	permit, err := r.Acquire(context.Background())
	if s.over(r) {
		return
	}
	if err != nil {
		if !errors.Is(err, domain.ErrCircuitOpen) || (s.alone && r.name != 0) {
			s.failf("replica %d is refused: %v", r.name, err)
		}
		return
	}
	outcome, took := s.outcome(r)
	if lease, probes := permit.Lease(); probes {
		s.probing(r)
		if took >= lease {
			s.count.hung.Add(1)
		}
		took = min(took, lease) // as the orchestrator cuts it off
	}
	time.Sleep(took)
	if !s.over(r) {
		permit.Report(outcome)
	}
}

// probing is about a call that a lease let through just now.
func (s *breakerSim) probing(r *breakerNode) {
	began := s.count.probes.Add(1)
	given, most := s.world.leases()
	if int(began) > given {
		s.failf("replica %d runs the %dth probe; %d leases were given", r.name, began, given)
	}
	if most > s.policy.Probes {
		s.failf("%d leases are out at once; want %d at most", most, s.policy.Probes)
	}
}

// outcome is what comes of a call of r that begins now.
func (s *breakerSim) outcome(r *breakerNode) (domain.Outcome, time.Duration) {
	dice := s.dice(r.name, "outcome")
	took := between(dice, time.Millisecond, 20*time.Millisecond)
	s.mu.Lock()
	defer s.mu.Unlock()
	sick := (s.down || s.hung) && (!s.alone || r.name == 0)
	if sick && s.alone {
		s.count.sick.Add(1)
	}
	switch {
	case sick && s.hung:
		return domain.Failure, 5*time.Second + took
	case sick:
		return domain.Failure, took
	}
	return domain.Success, took
}
