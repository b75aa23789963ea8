package flight

import (
	"context"
	"sync"
	"time"
)

// maxAsks bounds the questions in one flight; more wait for the next one.
const maxAsks = 1024

// A Lane is where the questions to one entity queue. It is safe for concurrent
// use once Init has been called.
type Lane[K, Q, A any] struct {
	Key K // the owner's

	shard  *Shard[K, Q, A]
	mu     sync.Mutex
	queue  []*Flight[K, Q, A] // not taken off yet; only the last one may have room
	flying *Flight[K, Q, A]
	listed bool // stands in shard.ready
	usual  int  // questions in the last flight
}

// Init makes l a lane of s.
func (l *Lane[K, Q, A]) Init(s *Shard[K, Q, A], key K) { l.shard, l.Key = s, key }

// Do asks, and waits for the answer: until the shard's Timeout from now, or for
// atMost if that is shorter, or until ctx ends.
func (l *Lane[K, Q, A]) Do(ctx context.Context, ask Q, atMost time.Duration) (answer A, err error) {
	if answer, ok, err := l.alone(ctx, ask, atMost); ok {
		return answer, err
	}
	f, i, err := l.board(ask)
	if err != nil {
		return answer, err
	}
	if err := l.wait(ctx, f, atMost); err != nil {
		return l.leave(f, i, err)
	}
	if f.result != nil && !l.servedEarly(f, i) {
		return answer, f.result
	}
	return f.Answers[i], nil
}

// Kick lets the lane fly although nobody asks, for what its owner has to say.
func (l *Lane[K, Q, A]) Kick() {
	l.mu.Lock()
	if len(l.queue) == 0 {
		l.open()
	}
	list := l.list()
	l.mu.Unlock()
	if list {
		l.shard.push(l)
	}
}

// Idle reports whether nobody waits and nothing flies.
func (l *Lane[K, Q, A]) Idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.flying == nil && len(l.queue) == 0
}

// board takes a seat in the next flight.
func (l *Lane[K, Q, A]) board(ask Q) (f *Flight[K, Q, A], i int, err error) {
	l.mu.Lock()
	if n := len(l.queue); n > 0 && len(l.queue[n-1].Asks) < maxAsks {
		f = l.queue[n-1]
	} else {
		f = l.open()
	}
	i = len(f.Asks)
	var none A
	f.Asks = append(f.Asks, ask)
	f.Answers = append(f.Answers, none)
	f.seats = append(f.seats, waiting)
	l.shard.waiting.Add(1)
	list := l.list()
	l.mu.Unlock()
	if list && !l.shard.push(l) {
		return nil, 0, ErrClosed
	}
	return f, i, nil
}

// open begins a flight. It requires that l.mu is held.
func (l *Lane[K, Q, A]) open() *Flight[K, Q, A] {
	c := l.shard.config
	f := &Flight[K, Q, A]{
		Lane:     l,
		Asks:     make([]Q, 0, l.usual),
		Answers:  make([]A, 0, l.usual),
		seats:    make([]seat, 0, l.usual),
		deadline: c.Now().Add(c.Timeout),
		done:     make(chan struct{}),
	}
	f.timer = time.AfterFunc(c.Timeout, func() { l.expire(f) })
	l.queue = append(l.queue, f)
	return f
}

// list reports whether the lane has to be pushed onto the shard's ready list,
// and takes that for done. It requires that l.mu is held.
func (l *Lane[K, Q, A]) list() bool {
	if l.flying != nil || l.listed || len(l.queue) == 0 {
		return false
	}
	l.listed = true
	return true
}

// wait waits for f to end. Many callers can wait for nothing else, and a plain
// receive costs half of a select.
func (l *Lane[K, Q, A]) wait(ctx context.Context, f *Flight[K, Q, A], atMost time.Duration) error {
	if atMost >= l.shard.config.Timeout && ctx.Done() == nil {
		<-f.done
		return nil
	}
	var own <-chan time.Time
	if atMost < l.shard.config.Timeout {
		timer := time.NewTimer(atMost)
		defer timer.Stop()
		own = timer.C
	}
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-own:
		return ErrTimeout
	}
}

// leave gives a seat up, unless its answer came meanwhile.
func (l *Lane[K, Q, A]) leave(f *Flight[K, Q, A], i int, why error) (answer A, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case f.seats[i] == served, f.ended && f.result == nil:
		return f.Answers[i], nil
	case f.ended:
		return answer, f.result
	case !f.flown:
		f.seats[i] = left
	default:
		if f.gone == nil {
			f.gone = make([]bool, len(f.Asks))
		}
		f.gone[i] = true
	}
	return answer, why
}

// servedEarly reports whether a seat was answered before take-off, so that the
// flight's failure does not concern it.
func (l *Lane[K, Q, A]) servedEarly(f *Flight[K, Q, A], i int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return f.seats[i] == served
}

// expire ends a flight whose first caller has waited long enough, and everyone
// behind it: waiting for the next one would take twice the time.
func (l *Lane[K, Q, A]) expire(f *Flight[K, Q, A]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f.ended {
		return
	}
	f.end(ErrTimeout)
	l.endQueue(ErrTimeout)
}

// endQueue ends all that has not taken off. It requires that l.mu is held.
func (l *Lane[K, Q, A]) endQueue(err error) {
	for _, f := range l.queue {
		l.shard.waiting.Add(-int64(len(f.Asks)))
		f.end(err)
	}
	l.queue = nil
}

// takeOff takes the next flight into the air, if there is one.
func (l *Lane[K, Q, A]) takeOff() (*Flight[K, Q, A], bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.listed = false
	if len(l.queue) == 0 {
		return nil, false
	}
	l.flying = l.queue[0]
	l.queue = l.queue[1:]
	l.flying.flown = true
	l.usual = len(l.flying.Asks)
	l.shard.waiting.Add(-int64(l.usual))
	return l.flying, true
}

// land ends the flight in the air, and reports whether another is to follow.
func (l *Lane[K, Q, A]) land() (again bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.flying
	l.flying = nil
	if !f.ended {
		var next *Flight[K, Q, A]
		if len(l.queue) > 0 {
			next = l.queue[0]
		}
		if f.Err == nil {
			l.shard.config.HandOver(f, next)
		} else {
			l.endQueue(f.Err)
		}
		f.end(f.Err)
	}
	return l.list()
}
