package telemetry_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/store/memory"
	"github.com/holdfast-go/holdfast/telemetry"
)

// read is what Read tells, each series with its value; those that are 0 are left out.
func read(t *testing.T, look fleet.Overview) []string {
	t.Helper()
	book := newLedger(t)
	seen := make(map[string]bool)
	var all []string
	telemetry.Read(look, func(m *telemetry.Metric, value int64, values ...string) {
		name := book.name(m, values)
		if !m.Read() || seen[name] {
			t.Errorf("%s is told twice, or not one to be told", name)
		}
		seen[name] = true
		if value != 0 {
			all = append(all, fmt.Sprintf("%s %d", name, value))
		}
	})
	slices.Sort(all)
	return all
}

func TestRead(t *testing.T) {
	for _, tt := range []struct {
		name string
		look fleet.Overview
		want []string
	}{
		{"nothing but a store that is there", fleet.Overview{Limits: []string{"l"}}, []string{"holdfast.store.up{} 1"}},
		{"a store that is gone, and a fleet of three", fleet.Overview{Health: fleet.Health{StoreDown: true, Replicas: 3}}, []string{"holdfast.replicas{} 3"}},
		{"each layer of a breaker", fleet.Overview{Breakers: []fleet.Status{
			{Name: "a", Local: domain.StateOpen, Fleet: domain.StateHalfOpen},
			{Name: "b"},
		}}, []string{
			"holdfast.store.up{} 1",
			"holdfast.breaker.state{breaker=a scope=replica state=open} 1",
			"holdfast.breaker.state{breaker=a scope=fleet state=half_open} 1",
			"holdfast.breaker.state{breaker=b scope=replica state=closed} 1",
			"holdfast.breaker.state{breaker=b scope=fleet state=closed} 1",
		}},
		{"an order is no state of a layer", fleet.Overview{Breakers: []fleet.Status{
			{Name: "a", State: domain.StateOpen, Scope: domain.ScopeOperator, Override: domain.Override{Force: domain.ForceMetricsOnly}},
		}}, []string{
			"holdfast.store.up{} 1",
			"holdfast.breaker.override{breaker=a force=metrics_only} 1",
			"holdfast.breaker.state{breaker=a scope=replica state=closed} 1",
			"holdfast.breaker.state{breaker=a scope=fleet state=closed} 1",
		}},
		{"keys, without their names", fleet.Overview{Keyed: []fleet.Keys{
			{Name: "k", Called: 7, Open: 3, Exceeded: true, Unprotected: 11, Opened: []fleet.Status{{Name: "k", Key: "tenant-7"}}},
		}}, []string{
			"holdfast.store.up{} 1",
			"holdfast.breaker.keys.called{breaker=k} 7",
			"holdfast.breaker.keys.open{breaker=k} 3",
			"holdfast.breaker.keys.exceeded{breaker=k} 1",
			"holdfast.breaker.calls.unprotected{breaker=k} 11",
		}},
		{"room", fleet.Overview{Bulkheads: []fleet.BulkheadStatus{{Name: "r", Running: 2, Waiting: 1, Room: 5}}}, []string{
			"holdfast.store.up{} 1",
			"holdfast.bulkhead.running{bulkhead=r} 2",
			"holdfast.bulkhead.waiting{bulkhead=r} 1",
			"holdfast.bulkhead.room{bulkhead=r} 5",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wantLines(t, read(t, tt.look), tt.want...)
		})
	}
}

// TestReadALiveReplica: a breaker that has tripped is seen so, and a look changes nothing.
func TestReadALiveReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := fleet.Join(memory.New(memory.Options{}).Stores(), fleet.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close(t.Context())
		b, err := r.Breaker(domain.CircuitBreaker{Name: "b", FailureThreshold: 1})
		if err != nil {
			t.Fatal(err)
		}
		p, err := b.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p.Report(domain.Failure)
		open := "holdfast.breaker.state{breaker=b scope=replica state=open} 1"
		var source telemetry.Source = r
		for range 2 {
			if got := read(t, source.Overview()); !slices.Contains(got, open) {
				t.Errorf("it reads %s", strings.Join(got, ", "))
			}
			time.Sleep(domain.DefaultRecoveryTimeout + time.Second)
		}
	})
}
