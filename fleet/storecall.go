package fleet

import (
	"context"
	"time"

	"github.com/holdfast-go/holdfast/domain/port"
)

// A StoreCall is one call of a store that has ended.
type StoreCall struct {
	// Op is what was asked: "bucket take", "breaker report", "breaker probe", "breaker
	// order", "view read", "member beat", "permit hold", "lock take", "lock extend" or
	// "lock give back".
	Op string
	// Items is how many questions the call carried, of as many callers or more.
	Items int
	// Failed is how many of them got no answer, and Err why the first of those did not.
	Failed int
	Err    error
	// Took is how long it took, until now.
	Took time.Duration
}

// observed are stores that tell each call that is made of them. What a store can do
// beside its ports (lend, queue, bind …) is not to be asked of them, but of the stores
// themselves.
func (r *Replica) observed(s port.Stores) port.Stores {
	if r.config.OnStore == nil {
		return s
	}
	if s.Buckets != nil {
		s.Buckets = observedBuckets{s.Buckets, r}
	}
	if s.Breakers != nil {
		s.Breakers = observedBreakers{s.Breakers, r}
	}
	if s.Views != nil {
		s.Views = observedViews{s.Views, r}
	}
	if s.Members != nil {
		s.Members = observedMembers{s.Members, r}
	}
	if s.Permits != nil {
		s.Permits = observedPermits{s.Permits, r}
	}
	if s.Operator != nil {
		s.Operator = observedOperator{s.Operator, r}
	}
	if s.Locks != nil {
		s.Locks = observedLocks{s.Locks, r}
	}
	return s
}

// call makes one call of a store, and tells how it went. ask returns how many of the
// items failed, and the first one's error.
func (r *Replica) call(ctx context.Context, op string, items int, ask func() (int, error)) {
	began := r.clock.now()
	failed, err := ask()
	r.config.OnStore(ctx, StoreCall{Op: op, Items: items, Failed: failed, Err: err, Took: r.clock.now() - began})
}

// callOne is call with one item.
func (r *Replica) callOne(ctx context.Context, op string, ask func() error) {
	r.call(ctx, op, 1, func() (int, error) {
		err := ask()
		if err != nil {
			return 1, err
		}
		return 0, nil
	})
}

// failures counts the replies that are none.
func failures[R any](replies []R, errOf func(*R) error) (failed int, first error) {
	for i := range replies {
		if err := errOf(&replies[i]); err != nil {
			if failed++; failed == 1 {
				first = err
			}
		}
	}
	return failed, first
}

type observedBuckets struct {
	port.BucketStore

	replica *Replica
}

func (o observedBuckets) Take(ctx context.Context, in []port.TakeRequest, out []port.TakeReply) {
	o.replica.call(ctx, "bucket take", len(in), func() (int, error) {
		o.BucketStore.Take(ctx, in, out)
		return failures(out, func(r *port.TakeReply) error { return r.Err })
	})
}

type observedBreakers struct {
	port.BreakerStore

	replica *Replica
}

func (o observedBreakers) Report(ctx context.Context, in []port.Report, out []port.View) {
	o.replica.call(ctx, "breaker report", len(in), func() (int, error) {
		o.BreakerStore.Report(ctx, in, out)
		return failures(out, viewError)
	})
}

func (o observedBreakers) Probe(ctx context.Context, in []port.ProbeRequest, out []port.ProbeReply) {
	o.replica.call(ctx, "breaker probe", len(in), func() (int, error) {
		o.BreakerStore.Probe(ctx, in, out)
		return failures(out, func(r *port.ProbeReply) error { return r.View.Err })
	})
}

func viewError(v *port.View) error { return v.Err }

type observedViews struct {
	port.ViewSource

	replica *Replica
}

func (o observedViews) Read(ctx context.Context, in []port.ID, out []port.View) {
	o.replica.call(ctx, "view read", len(in), func() (int, error) {
		o.ViewSource.Read(ctx, in, out)
		return failures(out, viewError)
	})
}

type observedMembers struct {
	port.MemberStore

	replica *Replica
}

func (o observedMembers) Beat(ctx context.Context, replica string, lasting time.Duration) (live int, err error) {
	o.replica.callOne(ctx, "member beat", func() error {
		live, err = o.MemberStore.Beat(ctx, replica, lasting)
		return err
	})
	return live, err
}

type observedPermits struct {
	port.PermitStore

	replica *Replica
}

func (o observedPermits) Hold(ctx context.Context, in []port.HoldRequest, out []port.HoldReply) {
	o.replica.call(ctx, "permit hold", len(in), func() (int, error) {
		o.PermitStore.Hold(ctx, in, out)
		return failures(out, func(r *port.HoldReply) error { return r.Err })
	})
}

type observedOperator struct {
	port.OperatorStore

	replica *Replica
}

func (o observedOperator) Order(ctx context.Context, in []port.Order, out []port.OrderReply) {
	o.replica.call(ctx, "breaker order", len(in), func() (int, error) {
		o.OperatorStore.Order(ctx, in, out)
		return failures(out, func(r *port.OrderReply) error { return r.Err })
	})
}

type observedLocks struct {
	port.LockStore

	replica *Replica
}

func (o observedLocks) Lock(ctx context.Context, id port.ID, lasting time.Duration) (lock port.Lock, ok bool, err error) {
	o.replica.callOne(ctx, "lock take", func() error {
		lock, ok, err = o.LockStore.Lock(ctx, id, lasting)
		return err
	})
	if lock != nil {
		lock = observedLock{lock, o.replica}
	}
	return lock, ok, err
}

type observedLock struct {
	port.Lock

	replica *Replica
}

func (o observedLock) Extend(ctx context.Context, lasting time.Duration) (ok bool, err error) {
	o.replica.callOne(ctx, "lock extend", func() error {
		ok, err = o.Lock.Extend(ctx, lasting)
		return err
	})
	return ok, err
}

func (o observedLock) Unlock(ctx context.Context) (ok bool, err error) {
	o.replica.callOne(ctx, "lock give back", func() error {
		ok, err = o.Lock.Unlock(ctx)
		return err
	})
	return ok, err
}
