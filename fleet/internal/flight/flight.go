// Package flight merges the questions of many callers into few calls. It knows
// neither buckets nor breakers.
//
// Each lane has at most one flight in the air. Callers that arrive meanwhile
// queue; the next flight carries all their questions, in order. The flights of
// many lanes ride together. A flight runs in its own time, not in that of the
// caller who started it, and each caller waits in its own.
package flight

import (
	"errors"
	"time"
)

// ErrTimeout is what a caller gets whose time ran out, or whose flight's did.
var ErrTimeout = errors.New("no answer in time")

// ErrClosed is what a caller gets after the end.
var ErrClosed = errors.New("closed")

// A Flight is the questions of one lane that leave together. While it is in
// the air, Fly alone uses what is exported.
type Flight[K any, Q comparable, A any] struct {
	Lane *Lane[K, Q, A]
	Runs []Run[Q, A] // in the order in which the callers came
	Err  error       // set by Fly when there is no answer

	// Under the lane's lock.
	aboard   int              // callers
	first    [1]Run[Q, A]     // where Runs begins: mostly there is one
	behind   *Flight[K, Q, A] // the next one of the queue
	flown    bool
	ended    bool
	deadline time.Time
	timer    *time.Timer

	done   chan struct{} // closed once ended; nil: its only caller flies it
	result error         // then, whether there are answers
}

// A seat is one caller's in a flight.
type seat struct{ run, nth int }

// board gives a caller the next seat. It requires that the lane's lock is held.
func (f *Flight[K, Q, A]) board(ask Q) seat {
	last := len(f.Runs) - 1
	if last < 0 || f.Runs[last].Ask != ask {
		f.Runs = append(f.Runs, Run[Q, A]{Ask: ask})
		last++
	}
	r := &f.Runs[last]
	r.seats++
	f.aboard++
	return seat{last, r.seats - 1}
}

// outcome is what a caller is told once the flight has ended.
func (f *Flight[K, Q, A]) outcome(s seat) (answer A, place int, err error) {
	r := &f.Runs[s.run]
	if f.result != nil && !r.servedEarly(s.nth) {
		return answer, 0, f.result
	}
	answer, place = r.answer(s.nth)
	return answer, place, nil
}

// leave gives up a seat, unless its caller has been answered meanwhile. It
// requires that the lane's lock is held.
func (f *Flight[K, Q, A]) leave(s seat, why error) (answer A, place int, err error) {
	r := &f.Runs[s.run]
	switch {
	case f.ended || r.servedEarly(s.nth):
		return f.outcome(s)
	case f.flown:
		r.leave(s.nth)
	default:
		r.mark(s.nth, left)
	}
	return answer, 0, why
}

// end gives everyone aboard the result. It requires that the lane's lock is held.
func (f *Flight[K, Q, A]) end(result error) {
	if f.ended {
		return
	}
	f.ended, f.result = true, result
	f.wake()
}

// wake wakes everyone aboard, once the flight has ended.
func (f *Flight[K, Q, A]) wake() {
	if f.done == nil {
		return // its caller flies it
	}
	f.timer.Stop()
	close(f.done)
}
