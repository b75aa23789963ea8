package orchestrator

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/holdfast-go/holdfast/domain"
)

// A Guard is a policy, compiled and ready to run operations with [Do] and
// [Run]. Make one with [Orchestrator.Guard], once, and keep it. It is safe for
// concurrent use.
type Guard struct {
	name     string
	declared domain.Policy // when it was made
	settings settings
	optioned bool // made with options
	bare     bool
	plan     atomic.Pointer[plan]
}

// Name returns the guard's name.
func (g *Guard) Name() string { return g.name }

// Policy returns the policy in force: the one it was made with, or that of the
// last [Orchestrator.Update].
func (g *Guard) Policy() domain.Policy { return g.plan.Load().policy }

// Declared returns the policy that the guard was made with, whatever is in force now.
func (g *Guard) Declared() domain.Policy { return g.declared }

// Guard compiles p under a name that is its own in this process: 1 to 64 ASCII
// letters, digits, '.', '_' or '-'. Breakers and limits without a name take the
// guard's. Those of one name are shared by all guards that name it, and by the
// fleet.
//
// Asking again with the same name and policy returns the same guard, where no
// options are involved, since functions cannot be compared.
//
// # Errors
//
// The error matches [domain.ErrInvalidPolicy] when the name, a layer or an
// option cannot be meant, which includes a breaker whose ProbeLease is shorter
// than the first timeout inside it plus the StoreTimeout, and a breaker or limit
// that stands twice; [domain.ErrConflict] when the guard's name, or that of one
// of its breakers or limits, is in use with other settings; or what fleet says
// of a store that cannot do what p needs.
func (o *Orchestrator) Guard(name string, p domain.Policy, opts ...GuardOption) (*Guard, error) {
	if err := domain.ValidateName(kindGuard, name); err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if g, exists := o.guards[name]; exists {
		return o.again(g, p, len(opts) > 0)
	}
	g, err := o.newGuard(name, p, opts)
	if err != nil {
		return nil, fmt.Errorf("guard %q: %w", name, err)
	}
	o.guards[name] = g
	return g, nil
}

// Guards lists the guards by name. Those of policies that the code carries along are not
// among them.
func (o *Orchestrator) Guards() []*Guard {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.SortedFunc(maps.Values(o.guards), func(a, b *Guard) int { return strings.Compare(a.name, b.name) })
}

// again answers for a guard that is asked for a second time.
func (o *Orchestrator) again(g *Guard, p domain.Policy, optioned bool) (*Guard, error) {
	if _, err := o.plausible(g.name, p); err != nil { // and so p can be compared
		return nil, fmt.Errorf("guard %q: %w", g.name, err)
	}
	switch {
	case p != g.declared && p != g.Policy():
		return nil, fmt.Errorf("guard %q: %w: it exists with another policy; see Update", g.name, domain.ErrConflict)
	case optioned || g.optioned:
		return nil, fmt.Errorf("guard %q: %w: it exists, and options cannot be compared; make it once and keep it",
			g.name, domain.ErrConflict)
	default:
		return g, nil
	}
}

// newGuard makes a guard that is in no list yet. o.mu must be held.
func (o *Orchestrator) newGuard(name string, p domain.Policy, opts []GuardOption) (*Guard, error) {
	layers, err := o.plausible(name, p)
	if err != nil {
		return nil, err
	}
	s, err := o.config.settings(opts)
	if err != nil {
		return nil, err
	}
	if err := s.fit(layers); err != nil {
		return nil, err
	}
	g := &Guard{name: name, declared: p, settings: s, optioned: len(opts) > 0, bare: o.bare}
	if o.bare {
		g.plan.Store(&plan{name: name, policy: p})
		return g, nil
	}
	if err := o.partsAgree(layers); err != nil {
		return nil, err
	}
	made, err := o.compile(name, p, layers, s)
	if err != nil {
		return nil, err
	}
	made.takeApart()
	g.plan.Store(made)
	return g, nil
}

// plausible returns the layers of p when nothing about p alone speaks against it.
func (o *Orchestrator) plausible(name string, p domain.Policy) ([]domain.Policy, error) {
	layers, err := draft(name, p)
	if err != nil {
		return nil, err
	}
	return layers, leasesSuffice(layers, o.replica.Config().StoreTimeout)
}
