package orchestrator

import (
	"context"
	"fmt"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
)

// A budget is a retry budget as one step uses it. The zero budget is no bound.
type budget struct {
	of    *fleet.RetryBudget
	earns bool // no step further out has counted the call for it
}

// earn notes a call that enters the step.
func (b budget) earn() {
	if b.earns {
		b.of.Earn()
	}
}

// spend reports whether there may be another try.
func (b budget) spend(ctx context.Context, left *fleet.Budget) bool {
	return b.of == nil || b.of.Spend(ctx, left)
}

// budget makes or finds p for one step of a guard; earning are those for which a step
// further out counts the calls.
func (o *Orchestrator) budget(p domain.RetryBudget, earning map[string]bool) (budget, error) {
	if p.Unlimited() {
		return budget{}, nil
	}
	of, err := o.replica.RetryBudget(p)
	b := budget{of: of, earns: !earning[p.Name]}
	earning[p.Name] = true
	return b, err
}

// budgetAgrees reports a budget that exists already, with other numbers.
func (o *Orchestrator) budgetAgrees(p domain.RetryBudget) error {
	if _, exists := o.replica.FindRetryBudget(p.Name); !exists || p.Unlimited() {
		return nil
	}
	_, err := o.replica.RetryBudget(p)
	return err
}

// oneBudgetAName refuses layers that give other numbers for a budget of one name, and lets
// hedges without numbers take those of the others.
func oneBudgetAName(layers []domain.Policy) error {
	known := make(map[string]domain.RetryBudget)
	for _, layer := range layers {
		var b domain.RetryBudget
		switch l := layer.(type) {
		case domain.Retry:
			b = l.Budget
		case domain.Hedge:
			b = l.Budget
		}
		if b.Unlimited() {
			continue
		}
		if other, twice := known[b.Name]; twice && other != b {
			return invalid("retry_budget", "Name", fmt.Sprintf("%q has other numbers in another layer", b.Name))
		}
		known[b.Name] = b
	}
	for i, layer := range layers {
		h, ok := layer.(domain.Hedge)
		if !ok {
			continue
		}
		if b, shared := known[h.Budget.Name]; shared {
			h.Budget = b
		}
		h = h.WithDefaults()
		if h.Budget.Name == "" {
			return invalid("hedge", "Budget.Name", "is missing")
		}
		layers[i] = h
	}
	return nil
}

// named gives a budget that bounds anything a name.
func named(p domain.RetryBudget, guard string) (domain.RetryBudget, error) {
	if p.Unlimited() {
		return p, nil
	}
	if p.Name == "" {
		p.Name = guard
	}
	if p.Name == "" {
		return p, invalid("retry", "Budget.Name", "is missing")
	}
	return p, nil
}
