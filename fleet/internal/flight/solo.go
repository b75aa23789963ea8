package flight

import (
	"context"
	"errors"
	"time"
)

// errCutOff is what those behind a flight get that ended by a panic.
var errCutOff = errors.New("the flight was cut off")

// A solo is a flight with one question, in one piece of memory.
type solo[K any, Q comparable, A any] struct {
	Flight[K, Q, A]

	self [1]*Flight[K, Q, A]
}

// alone flies one question on its caller's own goroutine, when nobody else asks
// the lane: handing it to another goroutine and back takes longer than the call
// itself on a fast network. A caller whose ctx ends meanwhile still waits for
// the flight to land, which is bounded by what Fly does with its context: a timer for
// each call would take as long as all that flying alone saves.
func (l *Lane[K, Q, A]) alone(ctx context.Context, f *solo[K, Q, A]) (answer A, place int, err error) {
	l.flyAlone(ctx, f)
	if f.Runs[0].Left(0) {
		return answer, 0, context.Cause(ctx)
	}
	return f.outcome(seat{})
}

// flyAlone flies f and lands it, also when Fly panics: the caller may recover.
func (l *Lane[K, Q, A]) flyAlone(ctx context.Context, f *solo[K, Q, A]) {
	s := l.shard
	returned := false
	defer func() {
		if !returned {
			f.Err = errCutOff
		}
		if ctx.Err() != nil {
			l.mu.Lock()
			f.Runs[0].leave(0)
			l.mu.Unlock()
		}
		if l.land() {
			s.relist(l)
		}
		s.handOn()
	}()
	s.config.Fly(s.within(f.deadline), f.self[:]) //nolint:contextcheck // a flight's time is not its caller's
	returned = true
}

// boardAlone takes a flight with one question into the air, if nothing else of
// the lane waits or flies, the last flight had not more, and the caller has the
// time of a whole flight: a flight cut short by its caller would look like a
// failure of the store. It requires that l.mu is held.
func (l *Lane[K, Q, A]) boardAlone(ask Q, atMost time.Duration) *solo[K, Q, A] {
	c := &l.shard.config
	if l.flying != nil || l.first != nil || l.usual > 1 || atMost < c.Timeout || c.Life.Err() != nil || !l.shard.becomePilot() {
		return nil
	}
	f := &solo[K, Q, A]{Flight: Flight[K, Q, A]{Lane: l, flown: true, deadline: c.Now().Add(c.Timeout)}}
	f.Runs, f.self[0] = f.first[:0], &f.Flight
	f.board(ask)
	l.flying = &f.Flight
	return f
}

// becomePilot counts the caller as a pilot, if there is room and no lane waits.
// It may be called under a lane's lock.
func (s *Shard[K, Q, A]) becomePilot() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pilots >= maxPilots || len(s.ready) > 0 {
		return false
	}
	s.pilots++
	return true
}

// handOn ends a caller's work as a pilot: lanes that came meanwhile go to one
// of the shard's own.
func (s *Shard[K, Q, A]) handOn() {
	s.mu.Lock()
	if len(s.ready) == 0 {
		s.pilots--
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	if !s.config.Go(s.pilot) {
		s.abandon()
	}
}
