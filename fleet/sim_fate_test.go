package fleet_test

import (
	"fmt"
	"time"
)

// happen does one thing to the fleet.
func (s *simulation) happen() {
	living := s.living()
	r := living[s.rnd.IntN(len(living))]
	s.count.happenings.Add(1)
	s.turmoil.Add(1)
	var what string
	switch n := s.rnd.IntN(28); {
	case n < 6:
		what = s.changeDependency()
	case n < 8:
		what = s.hush(r)
	case n < 13:
		w := s.drawWeather()
		r.wire.set(w)
		what = fmt.Sprintf("replica %d: its wire is %+v", r.name, w)
	case n < 15:
		w := weather{cut: oneIn(s.rnd, 2)}
		w.refusing = !w.cut
		what = s.everywhere(w)
	case n < 18:
		what = s.everywhere(weather{doubles: s.drawPercent()})
	case n < 20:
		what = s.flush()
	case n < 22:
		what = s.stepClock()
	case n < 24:
		what = s.update(r)
	case n < 26 && len(living) > 1:
		leaves := oneIn(s.rnd, 3)
		s.end(r, leaves)
		what = fmt.Sprintf("replica %d ends, by leaving %v", r.name, leaves)
	case len(living) < 8 && len(s.replicas) < 12:
		w := weather{}
		if oneIn(s.rnd, 2) {
			w = s.drawWeather()
		}
		s.join(w)
		what = fmt.Sprintf("one joins, by a wire that is %+v", w)
	default:
		what = "nothing"
	}
	s.tellf("-- %s", what)
}

func (s *simulation) changeDependency() string {
	down, hung := !oneIn(s.rnd, 3), oneIn(s.rnd, 4)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down, s.hung = down, hung
	return fmt.Sprintf("the dependency is down %v, hung %v", down, hung)
}

func (s *simulation) hush(r *simulated) string {
	quiet := oneIn(s.rnd, 2)
	s.mu.Lock()
	defer s.mu.Unlock()
	r.quiet = quiet
	return fmt.Sprintf("replica %d: quiet %v", r.name, quiet)
}

// drawPercent draws a part of all calls, often none.
func (s *simulation) drawPercent() int { return s.rnd.IntN(80) * s.rnd.IntN(2) }

// drawWeather draws trouble for one wire.
func (s *simulation) drawWeather() weather {
	percent := s.drawPercent
	switch s.rnd.IntN(6) {
	case 0:
		return weather{cut: true}
	case 1:
		return weather{refusing: true}
	case 2:
		return weather{deaf: true, doubles: percent()}
	case 3:
		return weather{slow: between(s.rnd, 1, 90*time.Millisecond)}
	default:
		return weather{losesRequests: percent(), losesReplies: percent(), late: percent(), doubles: percent(), deaf: oneIn(s.rnd, 4)}
	}
}

func (s *simulation) everywhere(w weather) string {
	for _, wire := range s.everyWire() {
		wire.set(w)
	}
	return fmt.Sprintf("every wire is %+v", w)
}

// flush loses all that the store knows.
func (s *simulation) flush() string {
	s.count.flushes.Add(1)
	s.world.flush()
	s.bank.flushed()
	s.votes.flushed()
	return "flush"
}

// stepClock moves the store's clock.
func (s *simulation) stepClock() string {
	d := between(s.rnd, time.Millisecond, 8*time.Second)
	if oneIn(s.rnd, 2) {
		d = between(s.rnd, time.Second, time.Hour)
	}
	if oneIn(s.rnd, 2) {
		d = -d
	}
	if s.still {
		return "nothing"
	}
	s.count.steps.Add(1)
	s.clock.move(d)
	s.bank.stepped()
	s.votes.stepped()
	return fmt.Sprintf("the store's clock steps by %v", d)
}

// update announces new numbers for a limit, or brings the newest to a replica.
func (s *simulation) update(r *simulated) string {
	i := 1 + s.rnd.IntN(len(s.limits)-1)
	l := s.limits[i]
	if oneIn(s.rnd, 2) || len(l.versions()) == 1 {
		l.change(s.rnd)
	}
	s.count.updates.Add(1)
	if err := r.limiters[i].Update(l.now()); err != nil {
		s.failf("replica %d: Update(%v): %v", r.name, l.now(), err)
	}
	return fmt.Sprintf("replica %d: %v", r.name, l.now())
}
