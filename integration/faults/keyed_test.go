package faults

import (
	"errors"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
)

// cells are a replica's breaker with keys.
type cells struct {
	*rig
	*fleet.KeyedBreaker

	machine *load // nobody calls: it is asked how late the machine is
}

func (r *rig) cells(machine *load) *cells {
	r.Helper()
	k, err := r.KeyedBreaker(domain.CircuitBreaker{
		Name: "cells", Keyed: true, Sharing: domain.ShareQuorum, Window: 2 * time.Second, RecoveryTimeout: 2 * time.Second,
	})
	r.must(err)
	return &cells{r, k, machine}
}

// call makes a call of a key, and returns who refused it; passed is true if nobody did. No
// call waits for stores for longer than it may.
func (c *cells) call(key string, o domain.Outcome) (by domain.Scope, passed bool) {
	c.Helper()
	begun := time.Now()
	permit, err := c.Acquire(c.Context(), key)
	if took := time.Since(begun); took > fleet.DefaultStoreTimeout+50*time.Millisecond+c.machine.lateness() {
		c.Errorf("a call of the key %q took %v", key, took)
	}
	if err == nil {
		permit.Report(o)
		return 0, true
	}
	open, ok := errors.AsType[*domain.CircuitOpenError](err)
	if !ok || open.Key != key {
		c.Fatalf("a call of the key %q: %v", key, err)
	}
	return open.Scope, false
}

// fails makes calls of a key fail until it is refused, and returns who does so.
func (c *cells) fails(key string) (by domain.Scope) {
	c.Helper()
	c.until(recovery, "failures open the key "+key, func() bool {
		var passed bool
		by, passed = c.call(key, domain.Failure)
		return !passed
	})
	return by
}

// fleetState is that of the fleet's layer of a key.
func (c *cells) fleetState(key string) domain.State {
	s, _ := c.Status(key)
	return s.Fleet
}

// keysThroughAHang: two replicas share a breaker with keys while Redis hangs and goes on.
// What the fleet has opened stays so to its end; what fails meanwhile opens for the replica
// that sees it, and for no other, and no other key; calls wait for Redis no longer than they
// may. Afterwards the fleet decides again.
func keysThroughAHang(t *testing.T) {
	r := newRig(t, plan{})
	machine := startLoad()
	defer machine.stop()
	one, other := r.cells(machine), joinRig(t, r.server, plan{}).cells(machine)
	both := []*cells{one, other}
	for _, c := range both {
		for _, key := range []string{"down", "ill", "well"} {
			r.until(recovery, "each knows each key", func() bool {
				c.call(key, domain.Success)
				s, _ := c.Status(key)
				return s.Epoch != 0
			})
		}
	}
	for _, c := range both {
		c.fails("down")
	}
	for _, c := range both {
		r.until(recovery, "the fleet opens the key", func() bool { return c.fleetState("down") == domain.StateOpen })
	}

	r.must(r.server.Pause())
	opened := time.Now()
	for _, c := range both {
		r.until(recovery, "the hang is noticed", func() bool {
			c.call("well", domain.Success)
			return c.Health().StoreDown
		})
	}
	if by := one.fails("ill"); by != domain.ScopeReplica {
		t.Errorf("without the store the key is shut by the %v", by)
	}
	for range 10 {
		if _, passed := other.call("ill", domain.Success); !passed {
			t.Error("what one replica saw without the store shut the key for the other")
		}
		if _, passed := one.call("well", domain.Success); !passed {
			t.Error("one key shut another")
		}
		if by, passed := other.call("down", domain.Success); time.Since(opened) < time.Second && (passed || by != domain.ScopeFleet) {
			t.Errorf("what the fleet had opened: passed %t, refused by the %v", passed, by)
		}
		if _, passed := other.call("new", domain.Success); !passed {
			t.Error("a key that nobody knew is shut")
		}
	}
	for _, c := range both {
		r.until(recovery, "at its end each replica decides for itself", func() bool {
			_, passed := c.call("down", domain.Success)
			return passed
		})
	}

	r.must(r.server.Resume())
	for _, c := range both {
		r.until(recovery, "it is back", func() bool { return !c.Health().StoreDown })
	}
	for _, c := range both {
		c.fails("well")
	}
	for _, c := range both {
		r.until(recovery, "the fleet opens a key again", func() bool { return c.fleetState("well") == domain.StateOpen })
	}
	for _, key := range []string{"down", "ill", "well", "new"} {
		for _, c := range both {
			r.until(patience, "all is as before: "+key, func() bool {
				for _, each := range both {
					each.call(key, domain.Success)
				}
				s, _ := c.Status(key)
				return s.State == domain.StateClosed && s.Fleet == domain.StateClosed && s.Epoch != 0
			})
		}
	}
}
