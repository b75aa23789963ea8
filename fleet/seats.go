package fleet

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/domain"
)

// seats are the keys of a keyed breaker that have a breaker here. They are found
// without a lock; the lock is taken for a new one, when a key's state changes, and once
// a tick for each key in use, to keep the rows in order. It may be taken under a
// breaker's lock; none of those is taken under it.
type seats struct {
	byKey sync.Map // of *seat

	mu     sync.Mutex
	size   int // of all of them, see laneSize
	closed row // in the order in which they were called
	open   row // or half-open; likewise
	left   row // not closed, and not called lately
}

// How much is done at once, so that nobody waits long for the lock.
const (
	lapseMost = 1024 // seats that are given up since nobody calls
	leftLook  = 2    // open ones that nobody calls, looked at
)

// find returns the seat of a key, if there is one.
func (t *seats) find(key string) *seat {
	found, _ := t.byKey.Load(key)
	s, _ := found.(*seat)
	return s
}

// sit finds or makes the seat of a key and enters it; nil if there is no room.
func (k *KeyedBreaker) sit(key string) *seat {
	now := k.replica.clock.now()
	k.seats.mu.Lock()
	defer k.seats.mu.Unlock()
	if s := k.seats.find(key); s != nil {
		s.enter()
		return s
	}
	set, size := k.settings.Load(), laneSize(key)
	k.lapse(set, now)
	defer k.judge(set)
	if k.replica.closed.Load() || !k.makeRoom(set, now, size) {
		return nil
	}
	key = strings.Clone(key) // it may be part of something larger
	s := &seat{of: k, breaker: k.make(key, now), size: size}
	s.breaker.seat = s
	s.usedAt.Store(int64(now))
	s.out.Store(1)
	k.seats.closed.push(s, now)
	k.seats.size += size
	k.seats.byKey.Store(key, s)
	return s
}

// used moves a seat that was called to the end of its row.
func (k *KeyedBreaker) used(s *seat, now time.Duration) {
	k.seats.mu.Lock()
	defer k.seats.mu.Unlock()
	if s.in == nil {
		return // it is given up: a call took too long
	}
	s.usedAt.Store(int64(now))
	to := s.in
	if to == &k.seats.left {
		to = &k.seats.open
	}
	k.moved(s, to, now)
}

// turned moves a seat whose breaker opened, or closed, to the row where it belongs.
func (k *KeyedBreaker) turned(s *seat, now time.Duration, isOpen bool) {
	k.seats.mu.Lock()
	defer k.seats.mu.Unlock()
	if s.in == nil {
		return
	}
	to := &k.seats.closed
	if isOpen {
		to = &k.seats.open
	}
	k.moved(s, to, now)
}

// moved requires that seats.mu is held.
func (k *KeyedBreaker) moved(s *seat, to *row, now time.Duration) {
	s.moveTo(to, now)
	set := k.settings.Load()
	k.lapse(set, now)
	k.judge(set)
}

// lapse gives up the seats of keys that were not called lately. It requires that
// seats.mu is held.
func (k *KeyedBreaker) lapse(set *keyedSettings, now time.Duration) {
	t := &k.seats
	for range lapseMost {
		if s := t.closed.first; s == nil || now-s.movedAt < set.lately {
			break
		}
		k.vacate(t.closed.first, now)
	}
	for range lapseMost {
		s := t.open.first
		if s == nil || now-s.movedAt < set.lately {
			break
		}
		s.moveTo(&t.left, now)
	}
	for range min(leftLook, t.left.n) {
		if s := t.left.first; int64(now) < s.keptUntil.Load() {
			s.moveTo(&t.left, now)
		} else {
			k.vacate(s, now)
		}
	}
}

// makeRoom reports whether there is room for a seat of that size, and gives up those
// that were called longest ago for it, unless their windows hold anything. It requires
// that seats.mu is held.
func (k *KeyedBreaker) makeRoom(set *keyedSettings, now time.Duration, size int) bool {
	t := &k.seats
	if size > set.policy.MaxKeys {
		return false
	}
	for t.size+size > set.policy.MaxKeys {
		s := t.closed.first
		if s == nil || now-s.movedAt < set.idle() {
			return false
		}
		k.vacate(s, now)
	}
	return true
}

// vacate gives a seat up or, while a call is out, puts it at the end of its row: a key
// is used that long. It requires that seats.mu is held.
func (k *KeyedBreaker) vacate(s *seat, now time.Duration) {
	if !s.giveUp(now) {
		s.moveTo(s.in, now)
		return
	}
	s.leaveRow()
	k.seats.size -= s.size
	k.seats.byKey.Delete(s.breaker.id.Key)
	if p := s.breaker.pulse; p != nil {
		p.parts(s.breaker)
	}
}

// judge says whether too many keys are open, and tells when that changes. It requires
// that seats.mu is held.
func (k *KeyedBreaker) judge(set *keyedSettings) {
	open := k.seats.open.n
	keys := open + k.seats.closed.n
	exceeded := set.most.Exceeded(int64(open), int64(keys))
	if exceeded == k.exceeded.Load() {
		return
	}
	k.exceeded.Store(exceeded)
	e := domain.Event{
		Kind: domain.EventShareRestored, Name: set.policy.Name, Scope: domain.ScopeReplica,
		Reason: fmt.Sprintf("%d of %d keys are open", open, keys),
	}
	if exceeded {
		e.Kind = domain.EventShareExceeded
		e.Reason += ": they let probes through"
	}
	k.replica.emit(e)
}

// breakers are those of all keys.
func (k *KeyedBreaker) breakers() []*Breaker {
	k.seats.mu.Lock()
	defer k.seats.mu.Unlock()
	all := make([]*Breaker, 0, k.seats.closed.n+k.seats.open.n+k.seats.left.n)
	for _, r := range [...]*row{&k.seats.closed, &k.seats.open, &k.seats.left} {
		for s := r.first; s != nil; s = s.next {
			all = append(all, s.breaker)
		}
	}
	return all
}

// drop forgets all seats, for good: the replica is closed.
func (k *KeyedBreaker) drop() {
	k.seats.mu.Lock()
	defer k.seats.mu.Unlock()
	for _, r := range [...]*row{&k.seats.closed, &k.seats.open, &k.seats.left} {
		for r.first != nil {
			r.first.out.Add(givenUp)
			r.first.leaveRow()
		}
	}
	k.seats.size = 0
	k.seats.byKey.Clear()
}
