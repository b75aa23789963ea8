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
type Flight[K, Q, A any] struct {
	Lane    *Lane[K, Q, A]
	Asks    []Q
	Answers []A   // made at take-off
	Err     error // set by Fly when there is no answer

	// Under the lane's lock; seats does not change after take-off.
	behind   *Flight[K, Q, A] // the next one of the queue
	seats    []seat           // as far as anyone left or was served
	gone     []bool           // who left in the air; nil = nobody
	flown    bool
	ended    bool
	deadline time.Time
	timer    *time.Timer

	done   chan struct{} // closed once ended
	result error         // then, whether Answers may be read
}

// A seat is one caller's place in a flight.
type seat uint8

const (
	waiting seat = iota
	left         // its caller left before take-off
	served       // answered before take-off
)

// Wanted reports whether question i needs an answer: its caller had not left
// at take-off, and was not answered before.
func (f *Flight[K, Q, A]) Wanted(i int) bool { return f.seat(i) == waiting }

func (f *Flight[K, Q, A]) seat(i int) seat {
	if i >= len(f.seats) {
		return waiting
	}
	return f.seats[i]
}

// mark changes a seat of a flight that has not taken off.
func (f *Flight[K, Q, A]) mark(i int, s seat) {
	f.seats = extend(f.seats, len(f.Asks))
	f.seats[i] = s
}

// extend adds zero values up to a length of n.
func extend[T any](s []T, n int) []T { return append(s, make([]T, n-len(s))...) }

// Left reports whether the caller of question i left while it was in the air.
// It is for HandOver.
func (f *Flight[K, Q, A]) Left(i int) bool { return f.gone != nil && f.gone[i] }

// Serve answers question i of a flight that has not taken off. It is for
// HandOver.
func (f *Flight[K, Q, A]) Serve(i int, answer A) {
	f.mark(i, served)
	f.Answers = extend(f.Answers, len(f.Asks))
	f.Answers[i] = answer
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
