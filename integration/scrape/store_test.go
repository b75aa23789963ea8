package scrape

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/store/memory"
)

// A frail store fails while it is told to. It has a call for everything, as a store
// outside this process does.
type frail struct {
	port.Stores

	down      atomic.Bool
	losesLock atomic.Bool
}

func newFrail() *frail { return &frail{Stores: memory.New(memory.Options{}).Stores()} }

// stores are its ports.
func (f *frail) stores() port.Stores {
	s := f.Stores
	s.Buckets = frailBuckets{s.Buckets, f}
	s.Members = frailMembers{s.Members, f}
	s.Breakers = frailBreakers{s.Breakers, f}
	s.Views = frailViews{s.Views, f}
	s.Locks = frailLocks{s.Locks, f}
	return s
}

// trouble is nil while the store is well. It names a key, as errors of stores may.
func (f *frail) trouble() error {
	if !f.down.Load() {
		return nil
	}
	return &hold.StoreError{Op: "bucket take", Name: "tenant-7", Err: errors.New("connection refused: tenant-7")}
}

type frailBuckets struct {
	port.BucketStore

	frail *frail
}

func (f frailBuckets) Take(ctx context.Context, in []port.TakeRequest, out []port.TakeReply) {
	if err := f.frail.trouble(); err != nil {
		for i := range out {
			out[i].Err = err
		}
		return
	}
	f.BucketStore.Take(ctx, in, out)
}

type frailMembers struct {
	port.MemberStore

	frail *frail
}

func (f frailMembers) Beat(ctx context.Context, replica string, lasting time.Duration) (int, error) {
	if err := f.frail.trouble(); err != nil {
		return 0, err
	}
	return f.MemberStore.Beat(ctx, replica, lasting)
}

type frailBreakers struct {
	port.BreakerStore

	frail *frail
}

func (f frailBreakers) Report(ctx context.Context, in []port.Report, out []port.View) {
	if err := f.frail.trouble(); err != nil {
		for i := range out {
			out[i].Err = err
		}
		return
	}
	f.BreakerStore.Report(ctx, in, out)
}

type frailViews struct {
	port.ViewSource

	frail *frail
}

func (f frailViews) Read(ctx context.Context, in []port.ID, out []port.View) {
	if err := f.frail.trouble(); err != nil {
		for i := range out {
			out[i].Err = err
		}
		return
	}
	f.ViewSource.Read(ctx, in, out)
}

type frailLocks struct {
	port.LockStore

	frail *frail
}

func (f frailLocks) Lock(ctx context.Context, id port.ID, lasting time.Duration) (port.Lock, bool, error) {
	lock, ok, err := f.LockStore.Lock(ctx, id, lasting)
	if lock != nil {
		lock = frailLock{lock, f.frail}
	}
	return lock, ok, err
}

type frailLock struct {
	port.Lock

	frail *frail
}

func (f frailLock) Extend(ctx context.Context, lasting time.Duration) (bool, error) {
	if f.frail.losesLock.Load() {
		return false, nil
	}
	return f.Lock.Extend(ctx, lasting)
}
