package orchestrator

import (
	"cmp"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/domain"
)

// The kinds, as domain's errors call them.
const (
	kindGuard   = "guard"
	kindBreaker = "circuit_breaker"
	kindLimit   = "rate_limit"

	kindBulkhead = "bulkhead"

	kindExclusive = "exclusive"
)

func invalid(policy, field, reason string) error {
	return &domain.PolicyError{Policy: policy, Field: field, Reason: reason}
}

// draft lists the layers of p, outermost first: valid, named, and without None,
// which costs nothing. guard is the name for those that have none; it is empty
// where there is no guard.
func draft(guard string, p domain.Policy) ([]domain.Policy, error) {
	var layers []domain.Policy
	for _, layer := range domain.Layers(p) {
		layer, err := checked(guard, layer)
		if err != nil {
			return nil, err
		}
		if layer != (domain.None{}) {
			layers = append(layers, layer)
		}
	}
	if err := oneBudgetAName(layers); err != nil {
		return nil, err
	}
	return layers, noneTwice(layers)
}

// checked returns layer, valid and with a name where it needs one. Its kind is
// looked at first: a pointer to a policy, or a struct that embeds one, also has
// the methods of a policy, and is none.
func checked(guard string, layer domain.Policy) (domain.Policy, error) {
	switch l := layer.(type) {
	case nil:
		return nil, invalid(kindGuard, "Policy", "is nil; say None for no protection")
	case domain.None, domain.Timeout:
		return l, l.Validate()
	case domain.Retry:
		if err := l.Validate(); err != nil {
			return nil, err
		}
		b, err := named(l.Budget, guard)
		l.Budget = b
		return l, err
	case domain.Hedge:
		if err := l.Validate(); err != nil {
			return nil, err
		}
		if l.Budget.Name == "" {
			l.Budget.Name = guard
		}
		return l, nil
	case domain.Bulkhead:
		if l.Name == "" {
			l.Name = guard
		}
		if err := domain.ValidateName(kindBulkhead, l.Name); err != nil {
			return nil, err
		}
		return l, l.Validate()
	case domain.Exclusive:
		l.Name = cmp.Or(l.Name, guard)
		return l, cmp.Or(domain.ValidateName(kindExclusive, l.Name), l.Validate())
	case domain.CircuitBreaker:
		if l.Name == "" {
			l.Name = guard
		}
		if err := domain.ValidateName(kindBreaker, l.Name); err != nil {
			return nil, err
		}
		return l, l.Validate()
	case domain.RateLimit:
		if l.Name == "" {
			l.Name = guard
		}
		if err := domain.ValidateName(kindLimit, l.Name); err != nil {
			return nil, err
		}
		return l, l.Validate()
	default:
		return nil, invalid(kindGuard, "Policy", fmt.Sprintf("holds a %T, which is not one of the policies", layer))
	}
}

// noneTwice refuses a breaker, limit, bulkhead or exclusive that stands twice in one
// guard: its probe or its lock would wait for itself, its tokens or its room would be
// taken twice. Layers that took the guard's name are the likely case.
func noneTwice(layers []domain.Policy) error {
	type part struct{ kind, name string }
	seen := make(map[part]bool)
	for _, layer := range layers {
		var p part
		switch l := layer.(type) {
		case domain.CircuitBreaker:
			p = part{kindBreaker, l.Name}
		case domain.RateLimit:
			p = part{kindLimit, l.Name}
		case domain.Bulkhead:
			p = part{kindBulkhead, l.Name}
		case domain.Exclusive:
			p = part{kindExclusive, l.Name}
		default:
			continue
		}
		if seen[p] {
			return invalid(p.kind, "Name", fmt.Sprintf("%q stands twice in one policy: give each layer a name of its own", p.name))
		}
		seen[p] = true
	}
	return nil
}

// leasesSuffice refuses a breaker whose probes could still be running when
// their lease is over: what is inside it may take as long as the first timeout
// there allows, and limits before it wait, and a store's answer.
func leasesSuffice(layers []domain.Policy, storeTimeout time.Duration) error {
	for i, layer := range layers {
		b, ok := layer.(domain.CircuitBreaker)
		if !ok {
			continue
		}
		lease := b.WithDefaults().ProbeLease
		if inside := longest(layers[i+1:]); inside > 0 && inside > lease-storeTimeout {
			return invalid(kindBreaker, "ProbeLease", fmt.Sprintf(
				"of %q, %s, is below what is inside it may take, %s, plus the store's, %s", b.Name, lease, inside, storeTimeout))
		}
	}
	return nil
}

// longest returns how long layers can take as far as they say so: up to the outermost
// timeout, or the end of a hold, and what limits, bulkheads, exclusives and hedges before
// it wait.
func longest(layers []domain.Policy) (inside time.Duration) {
	for i, layer := range layers {
		switch l := layer.(type) {
		case domain.Exclusive:
			held := l.WithDefaults().MaxHold
			if further := longest(layers[i+1:]); further > 0 {
				held = min(held, further)
			}
			return inside + l.MaxWait + held
		case domain.Timeout:
			return inside + l.Duration
		case domain.RateLimit:
			inside += l.MaxWait
		case domain.Bulkhead:
			inside += l.MaxWait
		case domain.Hedge:
			inside += l.Delay * time.Duration(l.MaxHedges)
		}
	}
	return inside
}
