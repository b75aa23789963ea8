package rollout

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
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
	c.Guards = slices.Sorted(maps.Keys(steps))
	if p.Shadow {
		c.Err = f.config.Orchestrator.CheckAll(steps)
	} else if c.Err = f.config.Orchestrator.UpdateAll(steps); c.Err == nil {
		f.seen, f.wanted = p, wanted
		for name := range steps {
			f.changed[name] = true
		}
		f.version.Store(p.Version)
	}
	f.tell(c)
}

// steps are what has to change for a publication, by guard: those that it names, and those
// that one before it has changed and that it does not name.
func (f *Follower) steps(wanted map[string]domain.Policy, version uint64) map[string]domain.Policy {
	steps := make(map[string]domain.Policy)
	for _, g := range f.config.Orchestrator.Guards() {
		to, named := wanted[g.Name()]
		switch {
		case !named && !f.changed[g.Name()]:
			continue
		case !named:
			to = domain.WithVersion(g.Declared(), int64(version))
		}
		if to != g.Policy() {
			steps[g.Name()] = to
		}
	}
	return steps
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
