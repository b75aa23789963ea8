package fleet_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
)

// TestSimulatedOverrides plays fleets whose operator gives orders while replicas are cut
// off, miss pushes, and the store forgets everything. Replica 0 is never cut off, and the
// store forgets only what it had the time to hear. Then:
//
//   - A replica that was not cut off for MaxStaleness and a refresh does what the last
//     order says.
//   - The store's last order is never an earlier one for longer than that.
//   - When all is mended, everybody does what the last order says, and its time is not
//     longer than it was given.
func TestSimulatedOverrides(t *testing.T) {
	t.Parallel()
	first, count, _ := seedsAsked(seeds)
	for seed := first; seed < first+count; seed++ {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { newOverrideSim(t, seed).play() })
		})
	}
}

// heardWithin is how long an order takes at most to who is not cut off: a refresh may have
// just been, and the next one waits behind a read that hangs.
const heardWithin = 2 * time.Second

type overrideSim struct {
	*story

	world  *world
	nodes  []*node
	since  []time.Duration // when each replica was last cut off, or mended
	cut    []bool
	last   breaker.Order // and until when
	until  time.Duration
	at     time.Duration // when it was given
	serial uint64
	forgot time.Duration // when the store last forgot
}

func newOverrideSim(t *testing.T, seed uint64) *overrideSim {
	t.Helper()
	s := &overrideSim{story: newStory(t, seed), world: newWorld(t), at: -heardWithin, forgot: -heardWithin}
	s.nodes = s.world.nodes(4, domain.CircuitBreaker{})
	s.since, s.cut = make([]time.Duration, 4), make([]bool, 4)
	meet(s.nodes...)
	return s
}

func (s *overrideSim) now() time.Duration { return time.Since(s.start) }

func (s *overrideSim) play() {
	for range 300 {
		s.happen()
		time.Sleep(between(s.dice(0, "pause"), 10*time.Millisecond, 400*time.Millisecond))
		s.check(false)
	}
	for i, n := range s.nodes {
		n.line.set(healthy)
		s.cut[i] = false
	}
	time.Sleep(2 * heardWithin)
	s.check(true)
}

// happen is what fate, or the operator, does next.
func (s *overrideSim) happen() {
	dice := s.dice(0, "fate")
	switch who := 1 + dice.IntN(3); dice.IntN(12) {
	case 0:
		s.order(breaker.Order{Force: domain.ForceOpen, ForMicro: between(dice, time.Second, time.Minute).Microseconds(), By: "ann"})
	case 1:
		s.order(breaker.Order{By: "ann"})
	case 2:
		if now := s.now(); now-s.at > heardWithin && now-s.forgot > heardWithin {
			s.tellf("the store forgets")
			s.world.flush()
			s.forgot = now
		}
	case 3, 4:
		faults := []fault{refusing, hanging, losing}
		s.tellf("replica %d is cut off", who)
		s.nodes[who].line.set(faults[dice.IntN(len(faults))])
		s.cut[who] = true
	case 5, 6, 7:
		if s.cut[who] {
			s.tellf("replica %d is back", who)
			s.nodes[who].line.set(healthy)
			s.cut[who], s.since[who] = false, s.now()
		}
	case 8:
		deaf := dice.IntN(2) == 0
		s.tellf("replica %d is deaf: %v", who, deaf)
		s.nodes[who].line.setDeaf(deaf)
	}
}

func (s *overrideSim) order(o breaker.Order) {
	s.serial = s.world.order(o)
	s.last, s.at = o, s.now()
	s.until = s.at + micros(o.ForMicro)
	s.tellf("order %d: %v for %v", s.serial, o.Force, micros(o.ForMicro))
}

// check judges those who had the time to hear. An outage that was noticed is over at the
// latest some seconds after the replica is back.
func (s *overrideSim) check(all bool) {
	now := s.now()
	settled := now-s.at > heardWithin
	if got := s.world.view().Order; settled && now-s.forgot > heardWithin && got.Serial != s.serial {
		s.failf("the store's order is %d; want %d", got.Serial, s.serial)
	}
	for i, n := range s.nodes {
		if s.cut[i] || !settled || (!all && i > 0 && now-s.since[i] < 3*heardWithin) {
			_ = n.call(domain.Success)
			continue
		}
		err := n.call(domain.Success)
		open, refused := errors.AsType[*domain.CircuitOpenError](err)
		want := s.last.Force == domain.ForceOpen && now < s.until
		if got := refused && open.Scope == domain.ScopeOperator; got != want {
			s.failf("replica %d: forced open %v; want %v (%v)", i, got, want, err)
		}
		if refused && now+open.RetryAfter > s.until+time.Millisecond {
			s.failf("replica %d: for %v more; want %v", i, open.RetryAfter, s.until-now)
		}
	}
}
