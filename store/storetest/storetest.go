// Package storetest is the conformance suite that every store must pass: the
// ones of this module, and those of others. A store that passes keeps what
// package port promises, and gives the same answers as the rules of
// domain/bucket, domain/breaker and domain/bulkhead, to the last credit.
//
//	func TestConformance(t *testing.T) {
//		storetest.TestAll(t, func(t *testing.T, now func() time.Time) port.Stores {
//			return mystore.New(mystore.Options{Now: now}).Stores()
//		})
//	}
package storetest

import (
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/domain/port"
)

// A Maker returns the ports of an empty store that decides in the clock now.
type Maker func(t *testing.T, now func() time.Time) port.Stores

// TestAll runs every part of the suite for the capabilities that the store has.
func TestAll(t *testing.T, newStore Maker) {
	t.Helper()
	has := newStore(t, newClock().now)
	if has.Buckets != nil {
		t.Run("buckets", func(t *testing.T) { TestBuckets(t, newStore) })
	}
	if has.Breakers != nil && has.Views != nil {
		t.Run("breakers", func(t *testing.T) { TestBreakers(t, newStore) })
	}
	if has.Breakers != nil && has.Views != nil && has.Operator != nil {
		t.Run("operators", func(t *testing.T) { TestOperators(t, newStore) })
	}
	if has.Members != nil {
		t.Run("members", func(t *testing.T) { TestMembers(t, newStore) })
	}
	if has.Permits != nil {
		t.Run("permits", func(t *testing.T) { TestPermits(t, newStore) })
	}
	if has.Policies != nil {
		t.Run("policies", func(t *testing.T) { TestPolicies(t, newStore) })
	}
	if has.Locks != nil {
		t.Run("locks", func(t *testing.T) {
			TestLocks(t, func(t *testing.T) (port.LockStore, func(time.Duration)) {
				clock := newClock()
				return newStore(t, clock.now).Locks, clock.move
			})
		})
	}
}

// A clock is the suite's own: it moves when a test says so.
type clock struct{ micro int64 }

// epoch is where a suite's clock begins: a day in 2026.
const epoch = 1_795_000_000_000_000

func newClock() *clock { return &clock{micro: epoch} }

func (c *clock) now() time.Time { return time.UnixMicro(c.micro) }

func (c *clock) move(d time.Duration) { c.micro += d.Microseconds() }
