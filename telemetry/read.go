package telemetry

import (
	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
)

// A Source is what can be looked at: an *orchestrator.Orchestrator, or a *fleet.Replica.
type Source interface {
	Overview() fleet.Overview
}

// Read tells the value of each [Gauge] and each [Total], with the values of its labels:
// each series once.
func Read(look fleet.Overview, tell func(m *Metric, value int64, values ...string)) {
	tell(storeUp, one(!look.Health.StoreDown))
	tell(replicas, int64(look.Health.Replicas))
	for i := range look.Breakers {
		readBreaker(&look.Breakers[i], tell)
	}
	for i := range look.Keyed {
		k := &look.Keyed[i]
		tell(breakerKeysCalled, int64(k.Called), k.Name)
		tell(breakerKeysOpen, int64(k.Open), k.Name)
		tell(breakerKeysExceeded, one(k.Exceeded), k.Name)
		tell(breakerCallsUnprotected, k.Unprotected, k.Name)
	}
	for _, b := range look.Bulkheads {
		tell(bulkheadRunning, int64(b.Running), b.Name)
		tell(bulkheadWaiting, int64(b.Waiting), b.Name)
		tell(bulkheadRoom, int64(b.Room), b.Name)
	}
}

// readBreaker tells of one breaker. What an operator orders is no state of a layer.
func readBreaker(b *fleet.Status, tell func(m *Metric, value int64, values ...string)) {
	for _, layer := range [...]struct {
		scope domain.Scope
		state domain.State
	}{{domain.ScopeReplica, b.Local}, {domain.ScopeFleet, b.Fleet}} {
		for _, state := range [...]domain.State{domain.StateClosed, domain.StateHalfOpen, domain.StateOpen} {
			tell(breakerState, one(state == layer.state), b.Name, Word(layer.scope), Word(state))
		}
	}
	for _, force := range [...]domain.Force{domain.ForceOpen, domain.ForceClosed, domain.ForceDisabled, domain.ForceMetricsOnly} {
		tell(breakerOverride, one(force == b.Override.Force), b.Name, Word(force))
	}
}

func one(is bool) int64 {
	if is {
		return 1
	}
	return 0
}
