package policyfile

import (
	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/policy"
)

// A Change is a guard that got another policy.
type Change struct {
	Guard         string
	Before, After domain.Policy
}

// Apply gives each guard of orch the policy that set has for an operation of its name (see
// [policy.Set.For]), and tells which ones changed, by name. Guards for which set has none
// stay as they are. Note that a set with a default has a policy for every guard.
//
// All guards change or none does; the error, of [orchestrator.Orchestrator.UpdateAll], says
// which policy was refused.
func Apply(orch *orchestrator.Orchestrator, set *policy.Set) ([]Change, error) {
	next := make(map[string]domain.Policy)
	var changes []Change
	for _, g := range orch.Guards() {
		before := g.Policy()
		if after, ok := set.For(g.Name()); ok && after != before {
			next[g.Name()] = after
			changes = append(changes, Change{g.Name(), before, after})
		}
	}
	if len(next) == 0 {
		return nil, nil
	}
	if err := orch.UpdateAll(next); err != nil {
		return nil, err
	}
	return changes, nil
}
