package flight

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// The bounds of a shard: flights that ride together, rides in the air, and how
// often a pilot yields before take-off. Rides are as small as they may be without
// costing the store more a flight: one that takes all who wait leaves the store idle
// until those are back.
const (
	maxTogether = 64
	maxPilots   = 2
	maxGather   = 32

	closeTogether = 64 // flights that differ by less than this part of Timeout share a context
)

// Config says what a Shard does for its owner. All fields are required.
type Config[K any, Q comparable, A any] struct {
	// Timeout is how long a caller waits at most, from its arrival.
	Timeout time.Duration
	// Now is the clock by which deadlines are set.
	Now func() time.Time
	// Fly sets the Answer of each run in which anybody is Wanted, or the flight's
	// Err. ctx ends when the first caller's time does.
	Fly func(ctx context.Context, flights []*Flight[K, Q, A])
	// HandOver, when a flight has landed, may give the answers of callers who
	// left to others: in that flight, or in the next one, which may be nil and
	// has not taken off. It is called under the lane's lock and must be quick.
	HandOver func(landed, next *Flight[K, Q, A])
	// Life ends with the owner.
	Life context.Context //nolint:containedctx // the owner's
	// Go runs f on a goroutine that the owner waits for, with Life, or reports false when the owner has closed.
	Go func(f func(context.Context)) bool
}

// A Shard is a part of the store that fails as one. It is safe for concurrent
// use, and has no goroutine while nobody asks.
type Shard[K any, Q comparable, A any] struct {
	config Config[K, Q, A]

	mu     sync.Mutex
	ready  []*Lane[K, Q, A] // with a queue, and nothing in the air
	pilots int

	time     context.Context //nolint:containedctx // in which the last flights fly
	deadline time.Time       // of time
}

// NewShard returns an idle shard.
func NewShard[K any, Q comparable, A any](c Config[K, Q, A]) *Shard[K, Q, A] {
	return &Shard[K, Q, A]{config: c}
}

// Kick lets lanes fly although nobody asks, for what their owner has to say.
// They ride together: one by one, the first would take off before the last is
// listed, and what rides with what would be chance.
func (s *Shard[K, Q, A]) Kick(lanes ...*Lane[K, Q, A]) {
	ready := make([]*Lane[K, Q, A], 0, len(lanes))
	for _, l := range lanes {
		if l.kick() {
			ready = append(ready, l)
		}
	}
	if len(ready) > 0 {
		s.push(ready...)
	}
}

// push lists lanes for take-off. It reports false when the owner has closed;
// all that waits in the lanes has then ended.
func (s *Shard[K, Q, A]) push(lanes ...*Lane[K, Q, A]) bool {
	s.mu.Lock()
	s.ready = append(s.ready, lanes...)
	start := s.pilots < maxPilots
	if start {
		s.pilots++
	}
	s.mu.Unlock()
	if start && !s.config.Go(s.pilot) {
		s.abandon()
		return false
	}
	return true
}

// abandon ends all that waits, after the owner has closed.
func (s *Shard[K, Q, A]) abandon() {
	s.mu.Lock()
	lanes := s.ready
	s.ready = nil
	s.pilots--
	s.mu.Unlock()
	for _, l := range lanes {
		l.mu.Lock()
		l.listed = false
		l.endQueue(ErrClosed)
		l.mu.Unlock()
	}
}

// pilot flies until nobody is ready.
func (s *Shard[K, Q, A]) pilot(context.Context) {
	var flights []*Flight[K, Q, A]
	for {
		s.gather()
		lanes := s.next()
		if lanes == nil {
			return
		}
		flights = flights[:0]
		for _, l := range lanes {
			if f, ok := l.takeOff(); ok {
				flights = append(flights, f)
			}
		}
		s.ride(flights)
	}
}

// gather lets those who are about to ask come aboard: the last landing woke
// them, and they only wait for a processor. It goes on while the queues grow,
// since the scheduler comes back to it before all of them had their turn.
func (s *Shard[K, Q, A]) gather() {
	before := -1
	for range maxGather {
		waiting := s.waiting()
		if waiting == before {
			return
		}
		before = waiting
		runtime.Gosched()
	}
}

// waiting is how many questions the next ride would carry.
func (s *Shard[K, Q, A]) waiting() (n int) {
	s.mu.Lock()
	lanes := s.ready[:min(len(s.ready), maxTogether)]
	s.mu.Unlock()
	for _, l := range lanes {
		n += l.waiting()
	}
	return n
}

// next takes the lanes that ride together, or ends the pilot's work.
func (s *Shard[K, Q, A]) next() []*Lane[K, Q, A] {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ready) == 0 {
		s.pilots--
		return nil
	}
	n := min(len(s.ready), maxTogether)
	lanes := s.ready[:n:n]
	s.ready = s.ready[n:]
	if len(s.ready) == 0 {
		s.ready = nil
	}
	return lanes
}

// ride flies flights together and lands them.
func (s *Shard[K, Q, A]) ride(flights []*Flight[K, Q, A]) {
	if len(flights) == 0 {
		return
	}
	first := flights[0].deadline
	for _, f := range flights[1:] {
		if f.deadline.Before(first) {
			first = f.deadline
		}
	}
	s.config.Fly(s.within(first), flights)
	for _, f := range flights {
		if f.Lane.land() {
			s.relist(f.Lane)
		}
	}
}

// within is a context that ends with the deadline, or a little before it:
// flights that take off close together share one. Making one for each, with its
// timer, would cost as much as a tenth of a quick call.
func (s *Shard[K, Q, A]) within(deadline time.Time) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	if early := deadline.Sub(s.deadline); s.time == nil || early < 0 || early > s.config.Timeout/closeTogether {
		ctx, cancel := context.WithDeadline(s.config.Life, deadline) //nolint:gosec // it ends by itself, and soon
		_ = cancel
		s.time, s.deadline = ctx, deadline
	}
	return s.time
}

// relist lists a lane that has callers again; the pilot who landed it goes on.
func (s *Shard[K, Q, A]) relist(l *Lane[K, Q, A]) {
	s.mu.Lock()
	s.ready = append(s.ready, l)
	s.mu.Unlock()
}
