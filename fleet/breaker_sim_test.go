package fleet_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
)

// seeds is how many fleets TestSimulatedFleets plays; HOLDFAST_SEEDS plays more.
const seeds = 30

// TestSimulatedFleets plays small fleets through whatever happens to them: a
// dependency that fails, hangs and recovers, a sick replica, killed ones, lines
// to the store that break, lost state, traffic that leaves and comes. Always: no
// more leases out than Probes, epochs only grow, events go from one state to the
// next; and when all is well again, the breaker closes. HOLDFAST_SEED plays one.
func TestSimulatedFleets(t *testing.T) {
	first, count := uint64(1), uint64(seeds)
	if raceDetector {
		count /= 3 // it is ten times slower
	}
	if more, err := strconv.ParseUint(os.Getenv("HOLDFAST_SEEDS"), 10, 32); err == nil {
		count = more
	}
	if seed, err := strconv.ParseUint(os.Getenv("HOLDFAST_SEED"), 10, 64); err == nil {
		first, count = seed, 1
	}
	var opened, closed, leases atomic.Int64
	t.Run("fleets", func(t *testing.T) {
		for seed := first; seed < first+count; seed++ {
			t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					if seed%5 == 0 {
						stores, server := onMiniredis(t)
						w = makeWorld(t, func() port.Stores { server.FlushAll(); return stores })
					}
					s := newSimulation(t, w, seed)
					s.play()
					given, _ := s.world.leases()
					leases.Add(int64(given))
					for _, state := range s.world.history() {
						opened.Add(int64(state / domain.StateOpen))
						closed.Add(int64((domain.StateOpen - state) / domain.StateOpen))
					}
				})
			})
		}
	})
	t.Logf("%d fleets opened %d times, closed %d times, by %d probes", count, opened.Load(), closed.Load(), leases.Load())
	if n := int64(count); n >= seeds && (opened.Load() < n || closed.Load() < n || leases.Load() < 2*n) {
		t.Error("the fleets are too tame")
	}
}

// A simulation is one fleet, its dependency and its fate.
type simulation struct {
	*testing.T
	world  *world
	policy domain.CircuitBreaker
	stop   chan struct{}
	all    sync.WaitGroup

	mu       sync.Mutex
	rnd      *rand.Rand
	down     bool // the dependency fails
	hung     bool // it does not answer
	replicas []*simulated
	story    []string
	epochs   map[*simulated]uint64
}

// A simulated replica. Its fields are under the simulation's lock.
type simulated struct {
	*node
	name   int
	sick   bool // has trouble of its own
	quiet  bool // no traffic comes to it
	killed bool
}

func newSimulation(t *testing.T, w *world, seed uint64) *simulation {
	t.Helper()
	s := &simulation{
		T: t, world: w, rnd: rand.New(rand.NewPCG(seed, 7)), stop: make(chan struct{}), epochs: make(map[*simulated]uint64),
	}
	s.mu.Lock() // traffic begins with the first replica
	defer s.mu.Unlock()
	s.policy = domain.CircuitBreaker{
		RecoveryTimeout:    time.Duration(1+s.rnd.IntN(6)) * time.Second,
		MaxRecoveryTimeout: 10 * time.Second,
		ProbeLease:         time.Duration(500+s.rnd.IntN(4000)) * time.Millisecond,
		Window:             time.Duration(2+s.rnd.IntN(9)) * time.Second,
		Probes:             1 + s.rnd.IntN(3),
		SuccessThreshold:   1 + s.rnd.IntN(4),
		MinReplicas:        2 + s.rnd.IntN(2),
		Quorum:             []float64{0.2, 0.5, 0.8}[s.rnd.IntN(3)],
	}
	if s.rnd.IntN(4) == 0 {
		s.policy.Sharing, s.policy.MinReplicas = domain.ShareAny, 0
	}
	if s.rnd.IntN(3) == 0 {
		s.policy.FailureRatio, s.policy.MinCalls = 0.5, 10
	}
	for range 1 + s.rnd.IntN(8) {
		s.join()
	}
	if s.rnd.IntN(2) == 0 {
		s.replicas[0].sick = true
	}
	return s
}

// join requires that s.mu is held.
func (s *simulation) join() {
	r := &simulated{node: s.world.node(s.policy), name: len(s.replicas)}
	s.replicas = append(s.replicas, r)
	for range 2 {
		s.all.Go(func() { s.traffic(r) })
	}
}

// traffic calls through one replica's breaker until the end.
func (s *simulation) traffic(r *simulated) {
	for {
		select {
		case <-s.stop:
			return
		case <-time.After(s.pause(20, 150)):
		}
		s.mu.Lock()
		idle, over := r.quiet, r.killed
		s.mu.Unlock()
		if over {
			return
		}
		if !idle {
			s.call(r)
		}
	}
}

func (s *simulation) call(r *simulated) {
	permit, err := r.Acquire(context.Background())
	if err != nil {
		return
	}
	took := s.pause(1, 20)
	s.mu.Lock()
	outcome := domain.Success
	switch {
	case r.sick && s.rnd.IntN(2) == 0:
		outcome = domain.LocalFailure
	case s.hung:
		outcome, took = domain.Failure, 3*time.Second
	case r.sick || s.down || s.rnd.IntN(200) == 0:
		outcome = domain.Failure
	case s.rnd.IntN(50) == 0:
		outcome = domain.Ignored
	}
	s.mu.Unlock()
	if lease, ok := permit.Lease(); ok {
		took = min(took, lease) // as the orchestrator cuts it off
	}
	time.Sleep(took)
	s.mu.Lock()
	killed := r.killed
	s.mu.Unlock()
	if !killed {
		permit.Report(outcome)
	}
}

func (s *simulation) pause(low, high int) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Duration(low*1000+s.rnd.IntN((high-low)*1000)) * time.Microsecond
}

// play lets a minute or two happen, heals everything and waits for the end.
func (s *simulation) play() {
	s.all.Go(s.watch)
	for range s.pause(20, 60).Milliseconds() {
		s.happen()
		time.Sleep(s.pause(100, 4000))
	}
	s.heal()
	bound := 10 * s.policy.MaxRecoveryTimeout
	for start := time.Now(); !s.well(); time.Sleep(100 * time.Millisecond) {
		if time.Since(start) > bound {
			s.Errorf("%s after all is well: %+v\n%v\nthe store: %+v", bound, s.policy, s.story, s.world.view())
			for _, r := range s.replicas {
				s.Logf("replica %d, killed %v: %+v", r.name, r.killed, r.Status())
			}
			break
		}
	}
	close(s.stop)
	s.all.Wait()
	synctest.Wait()
	for _, r := range s.replicas {
		if !r.killed {
			r.wantEvents()
		}
	}
	if given, most := s.world.leases(); most > s.policy.Probes {
		s.Errorf("%d leases were out at once, of %d; want %d at most: %v", most, given, s.policy.Probes, s.story)
	}
}

// watch looks at every replica, often.
func (s *simulation) watch() {
	for {
		select {
		case <-s.stop:
			return
		case <-time.After(20 * time.Millisecond):
		}
		s.mu.Lock()
		for _, r := range s.replicas {
			epoch := r.Status().Epoch
			if epoch < s.epochs[r] {
				s.Errorf("replica %d: epoch %d after %d", r.name, epoch, s.epochs[r])
			}
			s.epochs[r] = epoch
		}
		s.mu.Unlock()
	}
}

// happen does one thing to the fleet.
func (s *simulation) happen() {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.replicas[s.rnd.IntN(len(s.replicas))]
	what := ""
	switch n := s.rnd.IntN(20); {
	case n < 5:
		s.down, s.hung = s.rnd.IntN(3) > 0, false
		what = fmt.Sprintf("down %v", s.down)
	case n < 7:
		s.hung = s.rnd.IntN(2) > 0
		what = fmt.Sprintf("hung %v", s.hung)
	case n < 9:
		r.quiet = s.rnd.IntN(2) > 0
		what = fmt.Sprintf("replica %d quiet %v", r.name, r.quiet)
	case n < 12:
		f := []fault{healthy, refusing, hanging, losing, losingLate}[s.rnd.IntN(5)]
		r.line.set(f)
		what = fmt.Sprintf("replica %d line %d", r.name, f)
	case n < 13:
		deaf := s.rnd.IntN(2) > 0
		r.line.setDeaf(deaf)
		what = fmt.Sprintf("replica %d deaf %v", r.name, deaf)
	case n < 14:
		r.line.setDelay(time.Duration(s.rnd.IntN(90)) * time.Millisecond)
		what = fmt.Sprintf("replica %d slow line", r.name)
	case n < 15:
		f := []fault{refusing, hanging}[s.rnd.IntN(2)]
		for _, r := range s.replicas {
			r.line.set(f)
		}
		what = fmt.Sprintf("all lines %d", f)
	case n < 17:
		for _, r := range s.replicas {
			if !r.killed {
				r.line.set(healthy)
			}
		}
		what = "all lines well"
	case n < 18:
		s.world.flush()
		what = "flush"
	case n < 19 && s.living() > 1 && !r.killed:
		r.killed = true
		r.line.set(hanging)
		what = fmt.Sprintf("replica %d killed", r.name)
	case len(s.replicas) < 10:
		s.join()
		what = "one joins"
	}
	s.story = append(s.story, what)
}

func (s *simulation) living() int {
	dead := len(slices.DeleteFunc(slices.Clone(s.replicas), func(r *simulated) bool { return !r.killed }))
	return len(s.replicas) - dead
}

// heal mends everything but the dead; traffic comes to one replica at least.
func (s *simulation) heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down, s.hung = false, false
	busy := 0
	for _, r := range s.replicas {
		r.sick = false
		if r.killed {
			continue
		}
		r.line.set(healthy)
		r.line.setDelay(0)
		if busy == 0 {
			r.quiet = false
		}
		if !r.quiet {
			busy++
		}
	}
	s.story = append(s.story, fmt.Sprintf("healed, traffic at %d", busy))
}

// well reports whether all that have traffic let it through.
func (s *simulation) well() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.replicas {
		if state := r.Status(); !r.killed && !r.quiet && state.State != domain.StateClosed {
			return false
		}
	}
	return s.world.view().State == domain.StateClosed
}
