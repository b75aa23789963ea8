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
type Lane[K any, Q comparable, A any] struct {
	// What all callers change in turn stands together, in one line of a cache.
	mu     sync.Mutex
	last   *Flight[K, Q, A] // of the queue; it alone may have room
	first  *Flight[K, Q, A] // of the queue: what has not taken off
	flying *Flight[K, Q, A]
	usual  int  // callers aboard the last flight that took off
	listed bool // stands in shard.ready

	shard *Shard[K, Q, A]
	Key   K // the owner's
}

// Init makes l a lane of s.
func (l *Lane[K, Q, A]) Init(s *Shard[K, Q, A], key K) { l.shard, l.Key = s, key }

// Do asks, and waits for the answer: until the shard's Timeout from now, or for
// atMost if that is shorter, or until ctx ends. The answer is to all callers of a
// run; place is this one's among them, from 0, in the order of their arrival.
func (l *Lane[K, Q, A]) Do(ctx context.Context, ask Q, atMost time.Duration) (answer A, place int, err error) {
	l.mu.Lock()
	if f := l.boardAlone(ask, atMost); f != nil {
		l.mu.Unlock()
		return l.alone(ctx, f)
	}
	f, s, list := l.board(ask)
	l.mu.Unlock()
	if list && !l.shard.push(l) {
		return answer, 0, ErrClosed
	}
	if atMost >= l.shard.config.Timeout && ctx.Done() == nil {
		<-f.done // as many callers do, who can wait for nothing else: it costs half of a select
	} else if err := l.wait(ctx, f, atMost); err != nil {
		return l.leave(f, s, err)
	}
	return f.outcome(s)
}

// kick opens a flight although nobody asks, and reports whether the lane has to
// be pushed onto the shard's ready list.
func (l *Lane[K, Q, A]) kick() (list bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.first == nil {
		l.open()
	}
	return l.list()
}

// Idle reports whether nobody waits and nothing flies.
func (l *Lane[K, Q, A]) Idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.flying == nil && l.first == nil
}

// board takes a seat in the next flight, and reports whether the lane has to be
// pushed onto the shard's ready list. It requires that l.mu is held, by all
// callers in turn: it is short on purpose.
func (l *Lane[K, Q, A]) board(ask Q) (f *Flight[K, Q, A], s seat, list bool) {
	if f = l.last; f == nil || f.aboard == maxAsks {
		f = l.open()
	}
	return f, f.board(ask), l.list()
}

// open begins a flight. It requires that l.mu is held.
func (l *Lane[K, Q, A]) open() *Flight[K, Q, A] {
	c := l.shard.config
	f := &Flight[K, Q, A]{
		Lane:     l,
		deadline: c.Now().Add(c.Timeout),
		done:     make(chan struct{}),
	}
	f.Runs = f.first[:0]
	f.timer = time.AfterFunc(c.Timeout, func() { l.expire(f) })
	if l.last == nil {
		l.first = f
	} else {
		l.last.behind = f
	}
	l.last = f
	return f
}

// list reports whether the lane has to be pushed onto the shard's ready list,
// and takes that for done. It requires that l.mu is held.
func (l *Lane[K, Q, A]) list() bool {
	if l.flying != nil || l.listed || l.first == nil {
		return false
	}
	l.listed = true
	return true
}

// wait waits for f, for ctx and for the caller's own time to end.
func (l *Lane[K, Q, A]) wait(ctx context.Context, f *Flight[K, Q, A], atMost time.Duration) error {
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
func (l *Lane[K, Q, A]) leave(f *Flight[K, Q, A], s seat, why error) (answer A, place int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return f.leave(s, why)
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
	for f := l.first; f != nil; f = f.behind {
		f.end(err)
	}
	l.first, l.last = nil, nil
}

// takeOff takes the next flight into the air, if there is one. What the pilot came for may
// have ended, and somebody flies alone by now: when that has landed, the lane is listed
// again, so that there are never two in the air.
func (l *Lane[K, Q, A]) takeOff() (*Flight[K, Q, A], bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.listed = false
	f := l.first
	if f == nil {
		return nil, false
	}
	if l.flying != nil {
		l.usual = 1 + f.aboard // with who flies: nobody is alone here any more
		return nil, false
	}
	if l.first = f.behind; l.first == nil {
		l.last = nil
	}
	l.flying, f.flown, f.behind = f, true, nil
	l.usual = f.aboard
	return f, true
}

// waiting is how many callers have not taken off.
func (l *Lane[K, Q, A]) waiting() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for f := l.first; f != nil; f = f.behind {
		n += f.aboard
	}
	return n
}

// land ends the flight in the air, and reports whether another is to follow.
func (l *Lane[K, Q, A]) land() (again bool) {
	f, again := l.settle()
	if f != nil {
		f.wake() // not under the lock: it is the first thing they want
	}
	return again
}

// settle takes the flight out of the air. It returns it if those aboard have
// to be woken.
func (l *Lane[K, Q, A]) settle() (landed *Flight[K, Q, A], again bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.flying
	l.flying = nil
	if !f.ended {
		if f.Err == nil {
			l.shard.config.HandOver(f, l.first)
		} else {
			l.endQueue(f.Err)
		}
		f.ended, f.result = true, f.Err
		landed = f
	}
	return landed, l.list()
}
