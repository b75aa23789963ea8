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
	limits   []int           // which steps are limits
	dropped  []string        // limits of earlier plans of this guard
	classify func(error) domain.Outcome
	observer Observer
}

// compile makes the steps for layers. It makes the breakers and limits that do
// not exist yet, so that all else has to be checked before.
func (o *Orchestrator) compile(name string, p domain.Policy, layers []domain.Policy, s settings) (*plan, error) {
	made := &plan{name: name, policy: p, layers: layers, classify: s.classify, observer: o.config.Observer}
	for i, layer := range layers {
		next, err := o.step(layer, s)
		if err != nil {
			return nil, err
		}
		if next.limit != nil {
			made.limits = append(made.limits, i)
		}
		made.steps = append(made.steps, next)
	}
	return made, nil
}

func (o *Orchestrator) step(layer domain.Policy, s settings) (step, error) {
	switch l := layer.(type) {
	case domain.Retry:
		return step{retry: &retryStep{policy: l.WithDefaults(), retryable: s.retryIf}}, nil
	case domain.Timeout:
		return step{timeout: newTimeout(l)}, nil
	case domain.CircuitBreaker:
		b, err := o.replica.Breaker(l)
		return step{breaker: &breakerStep{breaker: b, name: l.Name, classify: s.classifierOf(l.Name)}}, err
	case domain.RateLimit:
		limiter, err := o.replica.Limiter(l)
		return step{limit: &limitStep{limiter: limiter, name: l.Name, keyed: l.Keyed, waits: l.MaxWait > 0}}, err
	default:
		return step{}, invalid(kindGuard, "Policy", "has a kind that cannot be run")
	}
}

// partsAgree reports a breaker or limit that exists already, with other
// settings. It makes nothing, so that a guard that is refused leaves nothing.
func (o *Orchestrator) partsAgree(layers []domain.Policy) error {
	for _, layer := range layers {
		var err error
		switch l := layer.(type) {
		case domain.CircuitBreaker:
			if _, exists := o.replica.FindBreaker(l.Name); exists {
				_, err = o.replica.Breaker(l)
			}
		case domain.RateLimit:
			if _, exists := o.replica.FindLimiter(l.Name); exists {
				_, err = o.replica.Limiter(l)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// after notes which limits of before are not in p any more.
func (p *plan) after(before *plan) {
	names := slices.Clone(before.dropped)
	for _, i := range before.limits {
		names = append(names, before.steps[i].limit.name)
	}
	for _, i := range p.limits {
		names = slices.DeleteFunc(names, func(name string) bool { return name == p.steps[i].limit.name })
	}
	slices.Sort(names)
	p.dropped = slices.Compact(names)
}
