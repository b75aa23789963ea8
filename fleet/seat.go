package fleet

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/domain"
)

// A seat is what one key of a keyed breaker has here.
type seat struct {
	of      *KeyedBreaker
	breaker *Breaker
	size    int // see laneSize

	out       atomic.Int64 // calls under way; far below 0: the seat is given up
	usedAt    atomic.Int64 // by a call, to a tick; changed under seats.mu
	keptUntil atomic.Int64 // not closed: not to be given up before

	isOpen bool   // as last told to the seats; under the breaker's lock
	opened uint64 // the fleet's epoch in which it was last seen open; likewise

	// Under seats.mu.
	in         *row          // nil: it is given up
	movedAt    time.Duration // within its row: used then, or looked at while a call was out
	prev, next *seat
}

const (
	givenUp    = math.MinInt64 / 2
	outLongest = time.Hour // calls that take longer do not keep a seat
)

// enter notes a call. It reports false if the seat is given up.
func (s *seat) enter() bool { return s.out.Add(1) > 0 }

// leave notes the end of a call.
func (s *seat) leave(now time.Duration) {
	s.used(now)
	s.out.Add(-1)
}

// used notes, once a tick, that the key was called.
func (s *seat) used(now time.Duration) {
	if now-time.Duration(s.usedAt.Load()) >= s.of.settings.Load().tick {
		s.of.used(s, now)
	}
}

// turned follows a change of the breaker, whose lock must be held.
func (s *seat) turned(now time.Duration) {
	b := s.breaker
	isOpen := b.local.State() != domain.StateClosed || !b.fleet.closed()
	if isOpen {
		end := max(now+b.local.RetryAfter(now), b.fleet.until)
		s.keptUntil.Store(int64(end + b.policy.MaxRecoveryTimeout))
	}
	if b.fleet.state == domain.StateOpen && b.fleet.epoch != s.opened {
		s.opened = b.fleet.epoch
		b.local.RestEarly(now)
	}
	if isOpen != s.isOpen {
		s.isOpen = isOpen
		s.of.turned(s, now, isOpen)
	}
}

// giveUp gives the seat up if no call is out, or none for as long as calls are waited
// for. Nobody enters it afterwards.
func (s *seat) giveUp(now time.Duration) bool {
	if s.out.CompareAndSwap(0, givenUp) {
		return true
	}
	if now-time.Duration(s.usedAt.Load()) < outLongest {
		return false
	}
	s.out.Add(givenUp)
	return true
}

// A row is seats in the order in which they moved there.
type row struct {
	first, last *seat
	n           int
}

// push puts a seat that is in no row at the end.
func (r *row) push(s *seat, now time.Duration) {
	s.in, s.movedAt, s.prev, s.next = r, now, r.last, nil
	if r.last == nil {
		r.first = s
	} else {
		r.last.next = s
	}
	r.last = s
	r.n++
}

// leaveRow takes a seat out of its row.
func (s *seat) leaveRow() {
	r := s.in
	if s.prev == nil {
		r.first = s.next
	} else {
		s.prev.next = s.next
	}
	if s.next == nil {
		r.last = s.prev
	} else {
		s.next.prev = s.prev
	}
	r.n--
	s.in, s.prev, s.next = nil, nil, nil
}

// moveTo puts a seat at the end of a row.
func (s *seat) moveTo(r *row, now time.Duration) {
	s.leaveRow()
	r.push(s, now)
}
