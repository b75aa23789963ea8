package orchestrator

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/holdfast-go/holdfast/domain"
)

// Update changes the policy of a live guard: calls that begin afterwards walk
// the new layers, calls on their way finish on the old ones. The breakers and
// limits that p names change with it, for every guard that shares them, and
// keep their counts, tokens and state; those that it does not name any more
// live on for the others.
//
// A policy that is refused changes nothing: the old one goes on running. Beside
// what [Orchestrator.Guard] refuses, that is a limit or breaker whose Keyed changes,
// since the calls would have to change with it, and a breaker whose ProbeLease would
// be too short for another guard.
//
// Other replicas may still declare the old numbers: give a breaker or limit a
// higher Version together with new numbers, and they win in the whole fleet.
func (o *Orchestrator) Update(name string, p domain.Policy) error {
	return o.UpdateAll(map[string]domain.Policy{name: p})
}

// UpdateAll is [Orchestrator.Update] for several guards, by name: all of them change, or
// none does. Guards that share a breaker or limit can so be given its new settings
// together. The error says which guard's policy was refused.
func (o *Orchestrator) UpdateAll(policies map[string]domain.Policy) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	updates, err := o.prepareAll(policies)
	if err != nil {
		return err
	}
	return o.update(updates)
}

// CheckAll reports what [Orchestrator.UpdateAll] would refuse, as far as that is known
// beforehand, and changes nothing.
func (o *Orchestrator) CheckAll(policies map[string]domain.Policy) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, err := o.prepareAll(policies)
	return err
}

// prepareAll prepares updates of guards, by name.
func (o *Orchestrator) prepareAll(policies map[string]domain.Policy) ([]*update, error) {
	updates := make([]*update, 0, len(policies))
	for _, name := range slices.Sorted(maps.Keys(policies)) {
		g, exists := o.guards[name]
		if !exists {
			return nil, invalid(kindGuard, "Name", fmt.Sprintf("%q is not a guard's", name))
		}
		u := &update{guard: g, policy: policies[name]}
		if err := o.prepare(u); err != nil {
			return nil, u.refused(err)
		}
		updates = append(updates, u)
	}
	for _, u := range updates {
		if err := o.leasesSufficeElsewhere(updates, u.layers); err != nil {
			return nil, u.refused(err)
		}
	}
	return updates, nil
}

// An update is a guard with the policy that it is to have.
type update struct {
	guard   *Guard
	policy  domain.Policy
	layers  []domain.Policy
	changes []change
	made    *plan
}

func (u *update) refused(err error) error { return fmt.Errorf("update %q: %w", u.guard.name, err) }

// prepare finds what speaks against an update alone, and what it changes.
func (o *Orchestrator) prepare(u *update) (err error) {
	if u.layers, err = o.plausible(u.guard.name, u.policy); err != nil {
		return err
	}
	if o.bare {
		return nil
	}
	u.changes, err = o.changes(u.layers)
	return err
}

// update makes all updates or none.
func (o *Orchestrator) update(updates []*update) error {
	if o.bare {
		for _, u := range updates {
			u.guard.plan.Store(&plan{name: u.guard.name, policy: u.policy})
		}
		return nil
	}
	if err := o.compileAll(updates); err != nil {
		return err
	}
	for _, u := range updates {
		u.made.after(u.guard.plan.Load())
		u.made.takeApart()
		u.guard.plan.Store(u.made)
	}
	return nil
}

// compileAll makes the changes and then the plans, or goes back.
func (o *Orchestrator) compileAll(updates []*update) error {
	for i, u := range updates {
		if err := applyAll(u.changes); err != nil {
			undoUpdates(updates[:i])
			return u.refused(err)
		}
	}
	for _, u := range updates {
		made, err := o.compile(u.guard.name, u.policy, u.layers, u.guard.settings)
		if err != nil { // two updates want different settings of one part, for example
			undoUpdates(updates)
			return u.refused(err)
		}
		u.made = made
	}
	return nil
}

// undoUpdates goes back to the settings from before all of them.
func undoUpdates(updates []*update) {
	for _, u := range updates {
		undoAll(u.changes)
	}
}

// A change gives one existing part other settings.
type change struct {
	apply, undo func() error
}

// changes lists what has to change about the parts that exist.
func (o *Orchestrator) changes(layers []domain.Policy) ([]change, error) {
	var list []change
	for _, layer := range layers {
		var c change
		var err error
		switch l := layer.(type) {
		case domain.CircuitBreaker:
			c, err = o.breakerChange(l)
		case domain.RateLimit:
			c, err = o.limitChange(l)
		case domain.Bulkhead:
			c, err = o.bulkheadChange(l)
		case domain.Exclusive:
			c = o.exclusiveChange(l)
		case domain.Retry:
			c = o.budgetChange(l.Budget)
		case domain.Hedge:
			c = o.budgetChange(l.Budget)
		}
		if err != nil {
			return nil, err
		}
		if c.apply != nil {
			list = append(list, c)
		}
	}
	return list, nil
}

func (o *Orchestrator) breakerChange(p domain.CircuitBreaker) (change, error) {
	if !o.hasBreaker(p.Name) {
		return change{}, nil
	}
	k, keyed := o.replica.FindKeyedBreaker(p.Name)
	if keyed != p.Keyed {
		return change{}, fmt.Errorf("breaker %q: %w: Keyed cannot change while it is in use", p.Name, domain.ErrConflict)
	}
	if _, err := o.breakerStep(p); !errors.Is(err, domain.ErrConflict) {
		return change{}, err
	}
	if keyed {
		return changeOf(k, p), nil
	}
	b, _ := o.replica.FindBreaker(p.Name)
	return changeOf(b, p), nil
}

// changeOf gives a breaker, with keys or without, another policy.
func changeOf(b interface {
	Policy() domain.CircuitBreaker
	Update(p domain.CircuitBreaker) error
}, p domain.CircuitBreaker,
) change {
	before := b.Policy()
	return change{
		apply: func() error { return b.Update(p) },
		undo:  func() error { return b.Update(before) },
	}
}

func (o *Orchestrator) limitChange(p domain.RateLimit) (change, error) {
	l, exists := o.replica.FindLimiter(p.Name)
	if !exists {
		return change{}, nil
	}
	if _, err := o.replica.Limiter(p); !errors.Is(err, domain.ErrConflict) {
		return change{}, err
	}
	before := l.Policy()
	if before.Keyed != p.Keyed {
		return change{}, fmt.Errorf("limit %q: %w: Keyed cannot change while it is in use", p.Name, domain.ErrConflict)
	}
	return change{
		apply: func() error { return l.Update(p) },
		undo:  func() error { return l.Update(before) },
	}, nil
}

func (o *Orchestrator) bulkheadChange(p domain.Bulkhead) (change, error) {
	b, exists := o.replica.FindBulkhead(p.Name)
	if !exists {
		return change{}, nil
	}
	before := b.Policy()
	switch {
	case before == p:
		return change{}, nil
	case before.Fleet != p.Fleet:
		return change{}, fmt.Errorf("bulkhead %q: %w: Fleet cannot change while it is in use", p.Name, domain.ErrConflict)
	}
	return change{
		apply: func() error { return b.Update(p) },
		undo:  func() error { return b.Update(before) },
	}, nil
}

func (o *Orchestrator) exclusiveChange(p domain.Exclusive) change {
	e, exists := o.replica.FindExclusive(p.Name)
	if !exists || e.Policy() == p.WithDefaults() {
		return change{}
	}
	before := e.Policy()
	return change{
		apply: func() error { return e.Update(p) },
		undo:  func() error { return e.Update(before) },
	}
}

func (o *Orchestrator) budgetChange(p domain.RetryBudget) change {
	b, exists := o.replica.FindRetryBudget(p.Name)
	if !exists || p.Unlimited() || b.Policy() == p {
		return change{}
	}
	before := b.Policy()
	return change{
		apply: func() error { return b.Update(p) },
		undo:  func() error { return b.Update(before) },
	}
}

// applyAll makes all changes or none.
func applyAll(changes []change) error {
	for i, c := range changes {
		if err := c.apply(); err != nil {
			undoAll(changes[:i])
			return err
		}
	}
	return nil
}

// undoAll goes back to settings that were in force, which cannot be refused.
func undoAll(changes []change) {
	for _, c := range changes {
		_ = c.undo()
	}
}

// leasesSufficeElsewhere checks the guards that do not change against the breakers that
// are about to.
func (o *Orchestrator) leasesSufficeElsewhere(updates []*update, layers []domain.Policy) error {
	next := make(map[string]domain.CircuitBreaker)
	for _, layer := range layers {
		if b, ok := layer.(domain.CircuitBreaker); ok {
			next[b.Name] = b
		}
	}
	for _, g := range o.everyGuard() {
		if slices.ContainsFunc(updates, func(u *update) bool { return u.guard == g }) {
			continue
		}
		if err := leasesSuffice(with(next, g.plan.Load().layers), o.replica.Config().StoreTimeout); err != nil {
			return fmt.Errorf("it shares a breaker with guard %q: %w", g.name, err)
		}
	}
	return nil
}

// with returns layers with the breakers of next in place of their namesakes.
func with(next map[string]domain.CircuitBreaker, layers []domain.Policy) []domain.Policy {
	replaced := make([]domain.Policy, len(layers))
	for i, layer := range layers {
		replaced[i] = layer
		if b, ok := layer.(domain.CircuitBreaker); ok {
			if other, shared := next[b.Name]; shared {
				replaced[i] = other
			}
		}
	}
	return replaced
}

// everyGuard lists all guards, those of carried policies too. o.mu must be held.
func (o *Orchestrator) everyGuard() []*Guard {
	o.carried.mu.RLock()
	defer o.carried.mu.RUnlock()
	all := make([]*Guard, 0, len(o.guards)+len(o.carried.guards))
	for _, g := range o.guards {
		all = append(all, g)
	}
	for _, g := range o.carried.guards {
		all = append(all, g)
	}
	return all
}
