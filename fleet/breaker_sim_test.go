package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet"
)

// drawBreaker draws the breaker of a simulation.
func drawBreaker(rnd *rand.Rand) domain.CircuitBreaker {
	p := domain.CircuitBreaker{
		RecoveryTimeout:    time.Duration(1+rnd.IntN(6)) * time.Second,
		MaxRecoveryTimeout: 10 * time.Second,
		ProbeLease:         time.Duration(500+rnd.IntN(4000)) * time.Millisecond,
		Window:             time.Duration(2+rnd.IntN(9)) * time.Second,
		Probes:             1 + rnd.IntN(3),
		SuccessThreshold:   1 + rnd.IntN(4),
		MinReplicas:        2 + rnd.IntN(2),
		Quorum:             []float64{0.2, 0.5, 0.8}[rnd.IntN(3)],
	}
	switch rnd.IntN(8) {
	case 0, 1:
		p.Sharing, p.MinReplicas = domain.ShareAny, 0
	case 2:
		p.Sharing, p.MinReplicas, p.Quorum = domain.ShareLocal, 0, 0
	}
	if oneIn(rnd, 3) {
		p.FailureRatio, p.MinCalls = 0.5, 10
	}
	return p
}

// breakerTraffic calls through one replica's breaker until the end. When a call
// is made does not depend on what came of those before.
func (s *simulation) breakerTraffic(r *simulated) {
	rnd := rand.New(rand.NewPCG(s.seed, uint64(r.name)))
	for s.goOn(r, between(rnd, 20*time.Millisecond, 150*time.Millisecond)) {
		if !r.idle() {
			s.all.Go(func() { s.call(r) })
		}
	}
}

// call makes one call. What comes of it depends on who makes it and when, not on
// which of several it is: those that wait for one answer go on in any order.
func (s *simulation) call(r *simulated) {
	start := s.since()
	permit, err := r.Acquire(context.Background())
	if took := s.since() - start; took > storeTimeout {
		s.failf("replica %d: Acquire took %v", r.name, took)
	}
	if r.over() {
		return
	}
	s.count.breakerCalls.Add(1)
	if err != nil {
		if !errors.Is(err, domain.ErrCircuitOpen) {
			s.failf("replica %d: Acquire: %v", r.name, err)
		}
		return
	}
	lease, probes := permit.Lease()
	if !probes {
		s.votes.passed(r)
	}
	outcome, took := s.outcome(r)
	if probes {
		took = min(took, lease) // as the orchestrator cuts it off
	}
	s.tellf("replica %d: a call, by a lease %v, will be %s after %v", r.name, probes, outcome, took)
	time.Sleep(took)
	if !r.over() {
		permit.Report(outcome)
	}
}

// outcome is what comes of a call that begins now.
func (s *simulation) outcome(r *simulated) (domain.Outcome, time.Duration) {
	dice := s.dice(r.name, "outcome")
	took := between(dice, time.Millisecond, 20*time.Millisecond)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case r.sick && oneIn(dice, 2):
		return domain.LocalFailure, took
	case s.hung:
		return domain.Failure, 3*time.Second + took
	case r.sick || s.down || oneIn(dice, 200):
		return domain.Failure, took
	case oneIn(dice, 50):
		return domain.Ignored, took
	}
	return domain.Success, took
}

// notWell says whose breaker does not let its traffic through; and, once they
// do, who does not agree with the store.
func (s *simulation) notWell() string {
	truth := s.world.view()
	if truth.State != domain.StateClosed {
		return fmt.Sprintf("the store: %+v; %+v", truth, s.policy)
	}
	for _, r := range s.living() {
		state := r.Status()
		if !r.idle() && (state.State != domain.StateClosed || state.Fleet != truth.State) {
			return fmt.Sprintf("replica %d: %+v; the store: %+v; %+v", r.name, state, truth, s.policy)
		}
	}
	return ""
}

// votes is what replicas reported to the store, counted a second time, and what
// the store made of it.
type votes struct {
	sim   *simulation
	rules breaker.Rules

	mu    sync.Mutex
	state domain.State
	epoch uint64
	since time.Duration // by which the state is known
	said  map[string]said

	opened bool   // by the report that was just executed
	made   uint64 // the epoch that it began, with nothing before
	unsure bool   // the store's clock stepped: what is too old by it is not known
}

// said is the last that a replica said.
type said struct {
	port.Report

	at int64 // µs
}

func newVotes(s *simulation) *votes {
	p := s.policy
	p.Name = breakerName
	rules, err := breaker.Compile(p)
	if err != nil {
		s.tb.Fatal(err)
	}
	v := &votes{sim: s, rules: rules, said: make(map[string]said)}
	s.world.onReport, s.world.onMove = v.reported, v.moved
	return v
}

// moved follows the store into a new epoch.
func (v *votes) moved(now port.View) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.sim.tellf("store: the breaker is %s", now.State)
	switch {
	case now.State == domain.StateOpen && v.state == domain.StateClosed:
		v.sim.count.opened.Add(1)
	case now.State == domain.StateClosed && !now.Fresh:
		v.sim.count.closed.Add(1)
	}
	v.opened = now.State == domain.StateOpen && v.state == domain.StateClosed
	v.made = 0
	if now.Fresh {
		v.made = now.Epoch
	}
	v.state, v.epoch, v.since = now.State, now.Epoch, v.sim.since()
}

func (v *votes) flushed() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.state, v.epoch, v.since = domain.StateClosed, 0, v.sim.since()
	clear(v.said)
}

// stepped follows a step of the store's clock, which makes votes older or
// younger than they are.
func (v *votes) stepped() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.since, v.unsure = v.sim.since(), true
}

// reported counts a report that the store executed, and checks that one that
// opened the breaker had the votes for it (rule B1).
func (v *votes) reported(r port.Report, now port.View) {
	v.mu.Lock()
	defer v.mu.Unlock()
	micro := v.sim.clock.micro()
	opened := v.opened
	v.opened = false
	if r.Known == 0 && now.Epoch == v.made {
		r.Known = now.Epoch // it made the breaker
	}
	v.made = 0
	if old, ok := v.said[r.Replica]; !ok || old.Seq < r.Seq || old.Known < r.Known {
		v.said[r.Replica] = said{r, micro}
	}
	if !opened || v.unsure {
		v.unsure = v.unsure && !opened
		return
	}
	var bad, weight, all int64
	for _, s := range v.said {
		if s.Known != r.Known || s.Leaving || micro-s.at >= s.ForMicro {
			continue
		}
		all += s.Weight
		if s.Bad {
			bad, weight = bad+1, weight+s.Weight
		}
	}
	if bad < v.rules.MinReplicas || weight*1000 < max(v.rules.MinReplicas*1000*1000, v.rules.QuorumMille*all) {
		v.sim.failf("the breaker opened by %d replicas with a weight of %d of %d; %+v", bad, weight, all, v.rules)
	}
}

// settledAfter is how long a replica's line must have been fine until it is
// held to the bound of a lost push.
const settledAfter = 5 * time.Second

// passed is about a call that a replica let through by itself: not while the
// store has known for long that the breaker is not closed.
func (v *votes) passed(r *simulated) {
	v.mu.Lock()
	state, since := v.state, v.sim.since()-v.since
	v.mu.Unlock()
	if state == domain.StateClosed || r.wire.fineFor() < settledAfter {
		return
	}
	if bound := fleet.DefaultMaxStaleness + 2*storeTimeout; since > bound {
		v.sim.failf("replica %d let a call through, %v after the breaker was %s", r.name, since, state)
	}
}
