package faults

import (
	"errors"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/operate"
	redisstore "github.com/holdfast-go/holdfast/store/redis"
)

// overrideThroughFaults: what an operator forces holds while Redis hangs and when it has
// lost everything, also for a replica that comes then; and what was ended stays so.
func overrideThroughFaults(t *testing.T) {
	r := newRig(t, plan{})
	desk, err := operate.New(redisstore.New(r.admin, "faults", redisstore.Options{}).Stores(), "ann")
	r.must(err)
	id := port.ID{Name: "api"}
	b := r.breaker(domain.CircuitBreaker{Name: "api"})
	forced := func() bool {
		_, err := b.Acquire(t.Context())
		open, ok := errors.AsType[*domain.CircuitOpenError](err)
		return ok && open.Scope == domain.ScopeOperator && open.Reason == "a drill"
	}
	if forced() {
		t.Fatal("it is forced before anybody did")
	}
	r.must(desk.Override(t.Context(), id, domain.Override{Force: domain.ForceOpen, For: time.Hour, Reason: "a drill"}))
	r.until(2*time.Second, "the order has come", forced)

	r.must(r.server.Pause())
	r.until(patience, "the outage is noticed", func() bool { return !forced() || r.events.count(domain.EventStoreDown) == 1 })
	if !forced() {
		t.Error("without the store it is not forced any more")
	}
	r.must(r.server.Resume())
	r.until(patience, "the store is back", func() bool { return !forced() || r.events.count(domain.EventStoreUp) == 1 })

	r.must(r.admin.FlushAll(t.Context()).Err())
	r.until(3*time.Second, "the order is in the store again", func() bool {
		s, err := desk.Status(t.Context(), id)
		if !forced() {
			t.Error("a flush ended the override")
		}
		return err == nil && s[0].View.Order.Force == domain.ForceOpen && s[0].View.Order.By == "ann"
	})
	fresh := joinRig(t, r.server, plan{})
	other := fresh.breaker(domain.CircuitBreaker{Name: "api"})
	if _, err := other.Acquire(t.Context()); !errors.Is(err, domain.ErrCircuitOpen) {
		t.Errorf("a replica that came after the flush: %v", err)
	}

	r.must(desk.Override(t.Context(), id, domain.Override{}))
	r.until(2*time.Second, "it is over", func() bool { return !forced() })
	r.must(r.admin.FlushAll(t.Context()).Err())
	r.until(3*time.Second, "that it is over is in the store again", func() bool {
		s, err := desk.Status(t.Context(), id)
		return err == nil && s[0].View.Order.Serial > 0
	})
	if forced() {
		t.Error("a flush brought back what was ended")
	}
}
