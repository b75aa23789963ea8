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
	wanted, err := f.config.Read(p.Document)
	if err != nil {
		c.Err = fmt.Errorf("published policies of version %d: %w", p.Version, err)
		f.tell(c)
		return
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
func (f *Follower) steps(wanted func(string) (domain.Policy, bool), version uint64) map[string]domain.Policy {
	steps := make(map[string]domain.Policy)
	for _, g := range f.config.Orchestrator.Guards() {
		to, named := wanted(g.Name())
		if !named {
			if !f.changed[g.Name()] {
				continue
			}
			to = g.Declared()
		}
		if to = domain.WithVersion(to, int64(version)); to != g.Policy() {
			steps[g.Name()] = to
		}
	}
	return steps
}

// reach brings guards that were made since to what is in force.
func (f *Follower) reach() {
	if f.wanted == nil {
		return
	}
	c := Change{Version: f.seen.Version}
	for _, g := range f.config.Orchestrator.Guards() {
		if f.changed[g.Name()] {
			continue
		}
		to, named := f.wanted(g.Name())
		if !named {
			continue
		}
		f.changed[g.Name()] = true // also where it is refused: that is told once
		if to = domain.WithVersion(to, int64(f.seen.Version)); to == g.Policy() {
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
