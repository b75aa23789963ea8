package flight

import "iter"

// A Run is callers of a flight who ask the same and stand next to each other:
// one question, and one answer for all of them. While it is in the air, Fly alone
// uses what is exported.
type Run[Q comparable, A any] struct {
	Ask    Q
	Answer A // set by Fly, if anybody is wanted

	seats int              // callers, in the order of their arrival
	marks *marks[A]        // nil: none is marked
	gone  map[int]struct{} // seats of those who left in the air; Fly does not see it
}

// Marks tell the seats of a run that are not like the others. They do not change
// in the air.
type marks[A any] struct {
	seats   []mark    // as far as one is marked
	unasked int       // of those
	own     map[int]A // the answers of those who have one of their own
}

// A mark is what became of one caller before take-off.
type mark uint8

const (
	waiting mark = iota
	left
	served
)

// Wanted is how many callers need the answer: who had left at take-off, or was
// answered before, does not.
func (r *Run[Q, A]) Wanted() int {
	if r.marks == nil {
		return r.seats
	}
	return r.seats - r.marks.unasked
}

// Aboard is the seats of those who are wanted, each with its place among them,
// from 0. It is for HandOver.
func (r *Run[Q, A]) Aboard() iter.Seq2[int, int] {
	return func(yield func(seat, place int) bool) {
		place := 0
		for seat := range r.seats {
			if r.at(seat) != waiting {
				continue
			}
			if !yield(seat, place) {
				return
			}
			place++
		}
	}
}

// AnyLeft reports whether anybody left in the air. It is for HandOver.
func (r *Run[Q, A]) AnyLeft() bool { return len(r.gone) > 0 }

// Left reports whether the caller of a seat left in the air. It is for HandOver.
func (r *Run[Q, A]) Left(seat int) bool {
	_, left := r.gone[seat]
	return left
}

// Give answers one caller of a flight that has landed otherwise than the rest of
// the run. It is for HandOver.
func (r *Run[Q, A]) Give(seat int, answer A) { r.marked().own[seat] = answer }

// Serve answers one caller of a flight that has not taken off. It is for
// HandOver.
func (r *Run[Q, A]) Serve(seat int, answer A) {
	r.mark(seat, served)
	r.Give(seat, answer)
}

func (r *Run[Q, A]) at(seat int) mark {
	if r.marks == nil || seat >= len(r.marks.seats) {
		return waiting
	}
	return r.marks.seats[seat]
}

// mark tells what became of a caller before take-off.
func (r *Run[Q, A]) mark(seat int, m mark) {
	marks := r.marked()
	if missing := seat + 1 - len(marks.seats); missing > 0 {
		marks.seats = append(marks.seats, make([]mark, missing)...)
	}
	marks.seats[seat] = m
	marks.unasked++
}

// leave tells that a caller left in the air.
func (r *Run[Q, A]) leave(seat int) {
	if r.gone == nil {
		r.gone = make(map[int]struct{})
	}
	r.gone[seat] = struct{}{}
}

func (r *Run[Q, A]) marked() *marks[A] {
	if r.marks == nil {
		r.marks = &marks[A]{own: make(map[int]A)}
	}
	return r.marks
}

// answer is what the caller of a seat is told, and its place among those who are
// told the same.
func (r *Run[Q, A]) answer(seat int) (answer A, place int) {
	if r.marks == nil {
		return r.Answer, seat
	}
	if own, ok := r.marks.own[seat]; ok {
		return own, 0
	}
	for before := range seat {
		if r.at(before) == waiting {
			place++
		}
	}
	return r.Answer, place
}

// servedEarly reports whether a caller was answered before take-off, so that the
// flight's failure does not concern it.
func (r *Run[Q, A]) servedEarly(seat int) bool { return r.at(seat) == served }
