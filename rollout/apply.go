package rollout

import (
	"errors"
	"fmt"
	"slices"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/orchestrator"
)

// hear looks at a publication: one that cannot be applied here leaves everything as it is.
func (f *Follower) hear(p port.Publication) {
	f.heard = p.Version
	c := Change{Version: p.Version, Shadow: p.Shadow}
	policies, err := f.config.Read(p.Document)
	if err != nil {
		c.Err = fmt.Errorf("published policies of version %d: %w", p.Version, err)
		f.tell(c)
		return
	}
	wanted := make(map[string]domain.Policy, len(policies))
	for name, policy := range policies {
		wanted[name] = domain.WithVersion(policy, int64(p.Version))
	}
	steps := f.steps(wanted, p.Version)
	for _, s := range steps {
		c.Guards = append(c.Guards, s.guard.Name())
	}
	if c.Err = f.check(steps); c.Err != nil || p.Shadow {
		f.tell(c)
		return
	}
	f.seen, f.wanted = p, wanted
	if c.Err = f.apply(steps); c.Err == nil {
		f.version.Store(p.Version)
	}
	f.tell(c)
}

// A step brings one guard to a policy.
type step struct {
	guard *orchestrator.Guard
	to    domain.Policy
}

// steps are what has to change for a publication: guards that it names, and those that one
// before it has changed and that it does not name.
func (f *Follower) steps(wanted map[string]domain.Policy, version uint64) (steps []step) {
	for _, g := range f.config.Orchestrator.Guards() {
		to, named := wanted[g.Name()]
		if !named {
			if !f.changed[g.Name()] {
				continue
			}
			to = domain.WithVersion(g.Declared(), int64(version))
		}
		if to != g.Policy() {
			steps = append(steps, step{g, to})
		}
	}
	return steps
}

// check reports the first step that would be refused, before any is made.
func (f *Follower) check(steps []step) error {
	for _, s := range steps {
		if err := f.config.Orchestrator.CheckUpdate(s.guard.Name(), s.to); err != nil {
			return err
		}
	}
	return nil
}

// apply makes the steps. Where one is refused all the same, those before it are taken back.
func (f *Follower) apply(steps []step) error {
	before := make([]domain.Policy, len(steps))
	for i, s := range steps {
		before[i] = s.guard.Policy()
		if err := f.config.Orchestrator.Update(s.guard.Name(), s.to); err != nil {
			for j := range slices.Backward(steps[:i]) {
				err = errors.Join(err, f.config.Orchestrator.Update(steps[j].guard.Name(), before[j]))
			}
			return err
		}
		f.changed[s.guard.Name()] = true
	}
	return nil
}

// reach brings guards that were made since to what is in force.
func (f *Follower) reach() {
	c := Change{Version: f.seen.Version}
	for _, g := range f.config.Orchestrator.Guards() {
		to, named := f.wanted[g.Name()]
		if !named || f.changed[g.Name()] {
			continue
		}
		f.changed[g.Name()] = true // also where it is refused: that is told once
		if to == g.Policy() {
			continue
		}
		c.Guards = append(c.Guards, g.Name())
		if err := f.config.Orchestrator.Update(g.Name(), to); err != nil {
			c.Err = errors.Join(c.Err, err)
		}
	}
	if len(c.Guards) > 0 {
		f.tell(c)
	}
}
