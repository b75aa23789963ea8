package fleet_test

import (
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/domain"
)

// play lets half a minute happen, mends everything and waits for the end.
func (s *breakerSim) play() {
	s.all.Go(s.watch)
	for range 20 + s.rnd.IntN(25) {
		s.tellf("-- %s", s.happen())
		time.Sleep(between(s.rnd, 50*time.Millisecond, 2*time.Second))
	}
	s.mend()
	s.settle()
	close(s.stop)
	s.all.Wait()
	for _, r := range s.living() {
		r.wantEvents()
	}
}

// happen does one thing to the fleet.
func (s *breakerSim) happen() string {
	living := s.living()
	r := living[s.rnd.IntN(len(living))]
	switch n := s.rnd.IntN(20); {
	case n < 6:
		return s.changeDependency()
	case n < 12:
		f := fault(s.rnd.IntN(int(straying) + 1))
		deaf := oneIn(s.rnd, 2)
		r.line.set(f)
		r.line.setDeaf(deaf)
		return fmt.Sprintf("replica %d: its line has fault %d, deaf %v", r.name, f, deaf)
	case n < 13:
		f := fault(s.rnd.IntN(int(straying) + 1))
		for _, r := range living {
			r.line.set(f)
		}
		return fmt.Sprintf("every line has fault %d", f)
	case n < 14:
		for _, r := range living {
			r.line.setDeaf(true)
		}
		return "every line is deaf"
	case n < 15:
		s.count.flushes.Add(1)
		s.world.flush()
		return "flush"
	case n < 16:
		return s.stepClock()
	case n < 18 && len(living) > 2:
		s.crash(r)
		return fmt.Sprintf("replica %d crashes", r.name)
	case len(living) < 8:
		s.join()
		return "one joins"
	default:
		return "nothing"
	}
}

func (s *breakerSim) changeDependency() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down, s.hung = !oneIn(s.rnd, 3), oneIn(s.rnd, 3)
	return fmt.Sprintf("the dependency is down %v, hung %v, for one only %v", s.down, s.hung, s.alone)
}

func (s *breakerSim) stepClock() string {
	d := between(s.rnd, time.Millisecond, 8*time.Second)
	if oneIn(s.rnd, 4) {
		d = between(s.rnd, time.Second, time.Hour)
	}
	if oneIn(s.rnd, 2) {
		d = -d
	}
	s.count.steps.Add(1)
	s.clock.move(d)
	return fmt.Sprintf("the store's clock steps by %v", d)
}

// crash ends a replica: what it is about to say is lost, and what it knows. It never
// comes back as itself: replica 0, the sick one, has no successor that is sick.
func (s *breakerSim) crash(r *breakerNode) {
	s.count.crashes.Add(1)
	s.mu.Lock()
	r.gone = true
	s.mu.Unlock()
	r.line.set(hanging)
}

// mend ends all trouble but the dead.
func (s *breakerSim) mend() {
	for _, r := range s.living() {
		r.line.set(healthy)
		r.line.setDeaf(false)
	}
	s.mu.Lock()
	s.down, s.hung = false, false
	s.mu.Unlock()
	s.tellf("-- mended")
}

// settle waits until the breaker is closed in the store and everywhere, and a call
// passes on each replica.
func (s *breakerSim) settle() {
	bound := 10 * s.policy.MaxRecoveryTimeout
	for start := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		what := s.amiss()
		if what == "" {
			break
		}
		if time.Since(start) > bound {
			s.failf("%v after all is mended: %s", bound, what)
			return
		}
	}
	for _, r := range s.living() {
		if err := r.call(domain.Success); err != nil {
			s.failf("replica %d, when all is well: %v", r.name, err)
		}
	}
}

func (s *breakerSim) amiss() string {
	truth := s.world.view()
	if truth.State != domain.StateClosed {
		return fmt.Sprintf("the store: %+v; %+v", truth, s.policy)
	}
	for _, r := range s.living() {
		if state := r.Status(); state.State != domain.StateClosed || state.Epoch != truth.Epoch {
			return fmt.Sprintf("replica %d: %+v; the store: %+v; %+v", r.name, state, truth, s.policy)
		}
	}
	return ""
}

// watch looks at every replica, often: the epochs that it knows only grow.
func (s *breakerSim) watch() {
	for {
		select {
		case <-s.stop:
			return
		case <-time.After(20 * time.Millisecond):
		}
		for _, r := range s.living() {
			epoch := r.Status().Epoch
			if epoch < r.epoch {
				s.failf("replica %d: epoch %d after %d", r.name, epoch, r.epoch)
			}
			r.epoch = epoch
		}
	}
}
