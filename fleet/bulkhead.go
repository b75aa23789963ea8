package fleet

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
)

// A Bulkhead bounds how many calls run at the same time: those of this replica, or of
// the whole fleet (see [domain.Bulkhead]). It is safe for concurrent use.
//
// Of a fleet's bulkhead this replica holds permits for the calls that it runs, so that
// a call for which it has one begins without asking. It asks for more when calls wait,
// at most once at a time, and every 50 ms while there are none; what it does not use it
// gives back within a quarter of a second, and as soon as calls end where others have
// less than an even share. A replica that dies loses its permits after three seconds.
type Bulkhead struct {
	replica *Replica
	id      port.ID
	permits *permits // nil: it is of this replica alone

	mu      sync.Mutex
	policy  domain.Bulkhead
	running int64
	queue   []*entrant // who waits, those who came first before the others
}

// A Slot is room for one call, from Enter to Leave. The zero Slot is none.
type Slot struct{ bulkhead *Bulkhead }

// Leave makes room for another call. It must be called once.
func (s Slot) Leave() {
	if s.bulkhead != nil {
		s.bulkhead.leave()
	}
}

// Bulkhead makes the bulkhead of p's name, or finds it. A name that stands for other
// settings already is [domain.ErrConflict]; a policy that is invalid, has no name, or is
// for the fleet on a store without permits, a [*domain.PolicyError].
func (r *Replica) Bulkhead(p domain.Bulkhead) (*Bulkhead, error) {
	return part(r, r.bulkheads, p.Name, func() (*Bulkhead, error) { return newBulkhead(r, p) }, func(b *Bulkhead) bool {
		return b.Policy() == p
	})
}

// newBulkhead requires that r.mu is held.
func newBulkhead(r *Replica, p domain.Bulkhead) (*Bulkhead, error) {
	if err := domain.ValidateName("bulkhead", p.Name); err != nil {
		return nil, err
	}
	if err := p.Validate(); err != nil {
		return nil, err
	}
	b := &Bulkhead{replica: r, id: port.ID{Name: p.Name}, policy: p}
	if p.Fleet {
		if r.stores.Permits == nil {
			return nil, &domain.PolicyError{Policy: "bulkhead", Field: "Fleet", Reason: "needs a store with permits"}
		}
		b.permits = newPermits(b, r.shardLocked(shardNumber(r.bare.Permits, b.id)))
	}
	return b, nil
}

// FindBulkhead finds a bulkhead that was made.
func (r *Replica) FindBulkhead(name string) (*Bulkhead, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b, ok := r.bulkheads[name]
	return b, ok
}

// Policy returns the policy in force here.
func (b *Bulkhead) Policy() domain.Bulkhead {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.policy
}

// Update changes how many calls may run and how long others wait; those that run go on.
// An invalid policy, or one of another name or Fleet, is refused and changes nothing.
func (b *Bulkhead) Update(p domain.Bulkhead) error {
	if err := p.Validate(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.Name != b.policy.Name || p.Fleet != b.policy.Fleet {
		return &domain.PolicyError{
			Policy: "bulkhead", Field: "Name", Reason: "and Fleet cannot change: they say whose calls are counted together",
		}
	}
	b.policy = p
	b.serve()
	if b.permits != nil {
		b.permits.wake()
	}
	return nil
}

// A BulkheadStatus is what a replica knows of a bulkhead.
type BulkheadStatus struct {
	Name    string
	Running int // calls of this replica
	Waiting int // calls of this replica that wait for room
	Room    int // how many calls may run here now
}

// Status reads what is known. It makes no store call and changes nothing.
func (b *Bulkhead) Status() BulkheadStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	return BulkheadStatus{Name: b.id.Name, Running: int(b.running), Waiting: len(b.queue), Room: int(b.room())}
}

// room is how many calls may run here. It requires that b.mu is held.
func (b *Bulkhead) room() int64 {
	if b.permits == nil {
		return int64(b.policy.MaxConcurrent)
	}
	return b.permits.room()
}

// Enter waits for room for one call, for the policy's MaxWait at most and until ctx
// ends, and takes it. The call is to end with [Slot.Leave].
//
// # Errors
//
//   - the cause of ctx, if it ends before;
//   - a [*domain.BulkheadFullError] when there is no room;
//   - a [*domain.StoreError] when the store does not answer, and it is not known how
//     many replicas there are to share what there is;
//   - [domain.ErrClosed] after the replica was closed.
func (b *Bulkhead) Enter(ctx context.Context) (Slot, error) { return b.EnterWithin(ctx, nil) }

// EnterWithin is Enter within what is left of the time for stores, which may be nil for
// all of StoreTimeout; what is spent on asking one is taken from it. To wait for room is
// not.
func (b *Bulkhead) EnterWithin(ctx context.Context, left *Budget) (Slot, error) {
	if ctx.Err() != nil {
		return Slot{}, context.Cause(ctx)
	}
	if b.replica.closed.Load() {
		return Slot{}, domain.ErrClosed
	}
	b.replica.begin()
	b.mu.Lock()
	if len(b.queue) == 0 && b.running < b.room() {
		b.admit()
		b.mu.Unlock()
		return Slot{b}, nil
	}
	patience, err := b.patience(left)
	if err != nil {
		b.mu.Unlock()
		return Slot{}, err
	}
	e := b.join()
	b.mu.Unlock()
	return b.wait(ctx, e, patience, left)
}

// admit lets a call run. It requires that b.mu is held, and that there is room.
func (b *Bulkhead) admit() {
	b.running++
	if b.permits != nil {
		b.permits.use(b.running)
	}
}

// patience is how long a call for which there is no room is to wait; an error if it is
// not to. It requires that b.mu is held.
func (b *Bulkhead) patience(left *Budget) (time.Duration, error) {
	switch {
	case b.policy.MaxWait > 0:
		return b.policy.MaxWait, nil
	case b.permits == nil:
		return 0, b.full(false)
	default:
		return b.permits.patience(left.left(b.replica.config.StoreTimeout))
	}
}

func (b *Bulkhead) full(degraded bool) error {
	return &domain.BulkheadFullError{Name: b.id.Name, Degraded: degraded}
}

// An entrant is a call that waits for room. It is under the bulkhead's lock.
type entrant struct {
	settled chan error // told once: nil = it has room
	since   int64      // the ask that was last sent when it came: an answer to a later one is for it, too
}

// join takes the last place of the queue. It requires that b.mu is held.
func (b *Bulkhead) join() *entrant {
	e := &entrant{settled: make(chan error, 1)}
	b.queue = append(b.queue, e)
	if b.permits != nil {
		e.since = b.permits.seq
		b.permits.use(b.running + int64(len(b.queue)))
		b.permits.wake()
	}
	return e
}

// wait waits until e is settled, or for so long.
func (b *Bulkhead) wait(ctx context.Context, e *entrant, patience time.Duration, left *Budget) (Slot, error) {
	begun := b.replica.clock.now()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	var err error
	select {
	case err = <-e.settled:
	case <-timer.C:
		err = b.withdraw(e, nil)
	case <-ctx.Done():
		err = b.withdraw(e, context.Cause(ctx))
	case <-b.replica.ctx.Done():
		err = b.withdraw(e, domain.ErrClosed)
	}
	if b.permits != nil && b.Policy().MaxWait == 0 {
		left.spend(b.replica.clock.now() - begun)
	}
	if err != nil {
		return Slot{}, err
	}
	return Slot{b}, nil
}

// withdraw takes e out of the queue, with why as its error; nil = its time is over. One
// that has room by now has it, unless it is of no use to it any more.
func (b *Bulkhead) withdraw(e *entrant, why error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.Index(b.queue, e)
	if i < 0 {
		err := <-e.settled
		if err == nil && why != nil {
			b.release()
			err = why
		}
		return err
	}
	b.queue = slices.Delete(b.queue, i, i+1)
	if b.permits != nil {
		b.permits.fewer()
	}
	switch {
	case why != nil:
		return why
	case b.permits != nil:
		return b.permits.late()
	default:
		return b.full(false)
	}
}

// leave ends a call.
func (b *Bulkhead) leave() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.release()
}

// release requires that b.mu is held.
func (b *Bulkhead) release() {
	if b.running == 0 {
		panic("holdfast: a bulkhead's slot was left twice")
	}
	b.running--
	b.serve()
	if b.permits != nil {
		b.permits.fewer()
	}
}

// serve lets those who wait longest run, as far as there is room. It requires that b.mu
// is held.
func (b *Bulkhead) serve() {
	n := 0
	for n < len(b.queue) && b.running < b.room() {
		b.admit()
		b.queue[n].settled <- nil
		n++
	}
	b.queue = slices.Delete(b.queue, 0, n)
}

// refuse ends the wait of those who came before the ask of that number was sent, and
// do not wait longer than for its answer. It requires that b.mu is held.
func (b *Bulkhead) refuse(asked int64, why error) {
	if b.policy.MaxWait > 0 {
		return
	}
	b.queue = slices.DeleteFunc(b.queue, func(e *entrant) bool {
		if e.since < asked {
			e.settled <- why
			return true
		}
		return false
	})
}
