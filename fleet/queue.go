package fleet

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
)

// A queue is the places that callers of this replica have in one bucket's queue. It
// is under the lane's lock.
type queue struct {
	spots  []*spot // those that are due first before the others
	closed bool
}

// A spot is one place: tokens that are due at an instant.
type spot struct {
	due                 time.Duration
	dueMicro, stepMicro int64 // by the store's clock
	cost                int64
	owner               *Reservation // nil: it is free
	asked               bool         // the store is asked to take it back; while it has an owner: for good, the replica closes
}

// join takes a new place for r.
func (q *queue) join(r *Reservation, due time.Duration, place *port.TakeReply) {
	q.sweep(r.lane.limiter.replica.clock.now())
	r.spot = &spot{due: due, dueMicro: place.DueMicro, stepMicro: place.StepMicro, cost: r.cost, owner: r}
	q.insert(r.spot)
}

func (q *queue) insert(one *spot) {
	i, _ := slices.BinarySearchFunc(q.spots, one.due, func(s *spot, due time.Duration) int {
		if s.due <= due {
			return -1
		}
		return 1
	})
	q.spots = slices.Insert(q.spots, i, one)
}

// nobodysPlace takes a place whose caller had left when it was given, and gives it back:
// or it is for who comes next.
func (ln *lane) nobodysPlace(cost int64, place *port.TakeReply) {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	if ln.queue.closed {
		return
	}
	free := &spot{due: ln.limiter.dueAt(place), dueMicro: place.DueMicro, stepMicro: place.StepMicro, cost: cost, asked: true}
	ln.queue.insert(free)
	ln.giveBackLocked(giving{tokens: cost, spot: free})
}

// takeFree takes a free place that is due in time for r, if there is one.
func (q *queue) takeFree(r *Reservation, now, atMost time.Duration) bool {
	q.sweep(now)
	for _, s := range q.spots {
		if s.owner == nil && !s.asked && s.cost >= r.cost && s.due <= now+atMost {
			s.owner, r.spot = r, s
			return true
		}
	}
	return false
}

// sweep forgets the places that are due: their tokens are used, or lost.
func (q *queue) sweep(now time.Duration) {
	due := 0
	for due < len(q.spots) && q.spots[due].due <= now {
		due++
	}
	q.spots = slices.Delete(q.spots, 0, due)
}

// arrive ends r's time in the queue, and returns why it does not have its tokens.
func (q *queue) arrive(ln *lane, r *Reservation) error {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	q.sweep(ln.limiter.replica.clock.now())
	switch {
	case r.cancelled:
		return errCancelled
	case r.lostLocked():
		return domain.ErrClosed
	default:
		return nil
	}
}

// errCancelled is what who waits for a reservation is told that somebody cancels.
var errCancelled = fmt.Errorf("the reservation was cancelled: %w", context.Canceled)

// leave gives up r's place, or its tokens.
func (q *queue) leave(ln *lane, r *Reservation) {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	r.cancelled = true
	r.tell()
	switch now := ln.limiter.replica.clock.now(); {
	case r.lostLocked():
	case r.spot == nil || r.spot.due <= now || q.closed:
		ln.giveBackLocked(giving{tokens: r.cost})
	default:
		q.vacate(ln, r)
	}
}

// vacate gives up r's place.
func (q *queue) vacate(ln *lane, r *Reservation) {
	free := q.moveUp(r)
	free.asked = true
	ln.giveBackLocked(giving{tokens: free.cost, spot: free})
}

// serve lets those who wait longest have tokens that came back, and returns what is
// left of them.
func (q *queue) serve(ln *lane, tokens int64) int64 {
	q.sweep(ln.limiter.replica.clock.now())
	for {
		i := slices.IndexFunc(q.spots, func(s *spot) bool { return s.owner != nil && s.owner.cost <= tokens })
		if i < 0 || q.closed {
			return tokens
		}
		r := q.spots[i].owner
		tokens -= r.cost
		q.vacate(ln, r)
		r.tell()
	}
}

// moveUp lets those behind r who want as much come a place forward, and returns the
// one that is left over.
func (q *queue) moveUp(r *Reservation) (free *spot) {
	free = r.spot
	r.spot, free.owner = nil, nil
	for _, s := range q.spots {
		if s.due < free.due || s.owner == nil || s.cost != free.cost || s == free {
			continue
		}
		next := s.owner
		s.owner, free.owner, next.spot = nil, next, free
		next.tell()
		free = s
	}
	return free
}

// stays keeps a place that the store did not take back: others are behind it. It is
// for who comes next.
func (q *queue) stays(s *spot) { s.asked = false }

// gone forgets a place that went back.
func (q *queue) gone(s *spot) {
	q.spots = slices.DeleteFunc(q.spots, func(other *spot) bool { return other == s })
}

// close ends the queue, and returns what is to be given back of it, the last place
// first: then each of them is the last one.
func (q *queue) close(now time.Duration) (back []giving) {
	q.sweep(now)
	q.closed = true
	for _, s := range slices.Backward(q.spots) {
		if !s.asked { // else it is on its way
			s.asked = true
			back = append(back, giving{tokens: s.cost, spot: s})
		}
	}
	return back
}
