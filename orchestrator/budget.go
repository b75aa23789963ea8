package orchestrator

import (
	"context"

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

// named gives a budget that bounds anything a name.
func named(p domain.RetryBudget, kind, guard string) (domain.RetryBudget, error) {
	if p.Unlimited() {
		return p, nil
	}
	if p.Name == "" {
		p.Name = guard
	}
	if p.Name == "" {
		return p, invalid(kind, "Budget.Name", "is missing")
	}
	return p, nil
}
