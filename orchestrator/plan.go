package orchestrator

import (
	"slices"

	"github.com/holdfast-go/holdfast/domain"
)

// A plan is a guard's policy, compiled: never changed once it is made, and
// replaced as a whole by an Update.
type plan struct {
	name     string
	policy   domain.Policy
	layers   []domain.Policy // of policy, as draft returns them
	steps    []step          // of layers, outermost first
	limits   []int           // which steps are limits, or breakers with keys
	dropped  []string        // those of earlier plans of this guard, and of the other half, by name
	hedged   *hedged         // nil: there is no hedge
	classify func(error) domain.Outcome
	observer Observer
	parts    PartObserver // the same, if it wants to hear of them; nil
}

// compile makes the steps for layers. It makes the breakers and limits that do
// not exist yet, so that all else has to be checked before.
func (o *Orchestrator) compile(name string, p domain.Policy, layers []domain.Policy, s settings) (*plan, error) {
	made := &plan{name: name, policy: p, layers: layers, classify: s.classify, observer: o.config.Observer}
	made.parts, _ = o.config.Observer.(PartObserver)
	earning := make(map[string]bool) // budgets for which a step further out counts the calls
	for i, layer := range layers {
		next, err := o.step(layer, s, earning)
		if err != nil {
			return nil, err
		}
		if next.addressable() {
			made.limits = append(made.limits, i)
		}
		made.steps = append(made.steps, next)
	}
	return made, nil
}

func (o *Orchestrator) step(layer domain.Policy, s settings, earning map[string]bool) (step, error) {
	switch l := layer.(type) {
	case domain.Retry:
		b, err := o.budget(l.Budget, earning)
		return step{retry: &retryStep{policy: l.WithDefaults(), retryable: s.retryIf, budget: b}}, err
	case domain.Hedge:
		l = l.WithDefaults()
		b, err := o.budget(l.Budget, earning)
		return step{hedge: &hedgeStep{l, b}}, err
	case domain.Bulkhead:
		b, err := o.replica.Bulkhead(l)
		return step{bulkhead: &bulkheadStep{bulkhead: b, name: l.Name}}, err
	case domain.Exclusive:
		e, err := o.replica.Exclusive(l)
		return step{exclusive: &exclusiveStep{exclusive: e, name: l.Name}}, err
	case domain.Timeout:
		return step{timeout: newTimeout(l)}, nil
	case domain.CircuitBreaker:
		b, err := o.breakerStep(l)
		b.name, b.classify = l.Name, s.classifierOf(l.Name)
		return step{breaker: b}, err
	case domain.RateLimit:
		limiter, err := o.replica.Limiter(l)
		return step{limit: &limitStep{limiter: limiter, name: l.Name, keyed: l.Keyed, waits: l.MaxWait > 0}}, err
	default:
		return step{}, invalid(kindGuard, "Policy", "has a kind that cannot be run")
	}
}

func (o *Orchestrator) breakerStep(p domain.CircuitBreaker) (*breakerStep, error) {
	if p.Keyed {
		k, err := o.replica.KeyedBreaker(p)
		return &breakerStep{keyed: k}, err
	}
	b, err := o.replica.Breaker(p)
	return &breakerStep{breaker: b}, err
}

// takeApart makes the halves of a plan with a hedge, after all else about it is known.
func (p *plan) takeApart() {
	at := slices.IndexFunc(p.steps, func(s step) bool { return s.hedge != nil })
	if at < 0 {
		return
	}
	p.hedged = &hedged{outer: p.part(0, at), inner: p.part(at+1, len(p.steps)), step: p.steps[at].hedge}
	p.hedged.inner.observer = nil // it sees the call once
	p.hedged.inner.takeApart()
}

// part is the steps from one up to another as a plan of their own. A call may name the
// limits and breakers of the whole.
func (p *plan) part(from, to int) *plan {
	part := *p
	part.steps, part.limits, part.dropped = p.steps[from:to], nil, slices.Clone(p.dropped)
	for _, i := range p.limits {
		if i >= from && i < to {
			part.limits = append(part.limits, i-from)
		} else {
			part.dropped = append(part.dropped, p.steps[i].name())
		}
	}
	return &part
}

// partsAgree reports a breaker or limit that exists already, with other
// settings. It makes nothing, so that a guard that is refused leaves nothing.
func (o *Orchestrator) partsAgree(layers []domain.Policy) error {
	for _, layer := range layers {
		var err error
		switch l := layer.(type) {
		case domain.CircuitBreaker:
			if o.hasBreaker(l.Name) {
				_, err = o.breakerStep(l)
			}
		case domain.RateLimit:
			if _, exists := o.replica.FindLimiter(l.Name); exists {
				_, err = o.replica.Limiter(l)
			}
		case domain.Bulkhead:
			if _, exists := o.replica.FindBulkhead(l.Name); exists {
				_, err = o.replica.Bulkhead(l)
			}
		case domain.Exclusive:
			if _, exists := o.replica.FindExclusive(l.Name); exists {
				_, err = o.replica.Exclusive(l)
			}
		case domain.Retry:
			err = o.budgetAgrees(l.Budget)
		case domain.Hedge:
			err = o.budgetAgrees(l.WithDefaults().Budget)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// hasBreaker reports whether there is a breaker of that name, with keys or without.
func (o *Orchestrator) hasBreaker(name string) bool {
	if _, exists := o.replica.FindBreaker(name); exists {
		return true
	}
	_, exists := o.replica.FindKeyedBreaker(name)
	return exists
}

// after notes which limits and keyed breakers of before are not in p any more.
func (p *plan) after(before *plan) {
	names := slices.Clone(before.dropped)
	for _, i := range before.limits {
		names = append(names, before.steps[i].name())
	}
	for _, i := range p.limits {
		names = slices.DeleteFunc(names, func(name string) bool { return name == p.steps[i].name() })
	}
	slices.Sort(names)
	p.dropped = slices.Compact(names)
}
