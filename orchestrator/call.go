package orchestrator

import (
	"fmt"
	"slices"

	"github.com/holdfast-go/holdfast/domain"
)

// A Call says something about one call of a guard: which key it is for, or what
// it costs. It is plain data, so that passing one allocates nothing. The zero
// Call says nothing.
type Call struct {
	says   saying
	name   string // of the limit or breaker that it is for
	key    string
	cost   int64
	into   *Decisions
	repeat func(error) bool
}

type saying uint8

const (
	saysNothing saying = iota
	saysKey
	saysKeyOf
	saysCost
	saysCostOf
	saysTell
	saysRepeatIf
)

// Key gives the key (tenant, user, shard) for all keyed limits and breakers of the
// guard. A key may hold any bytes; an empty one is a missing one,
// [domain.ErrKeyMissing].
func Key(key string) Call { return Call{says: saysKey, key: key} }

// KeyOf gives the key for the limit and the breaker of that name only; it wins over
// [Key]. That the guard has neither, or that none of them is keyed, is an error.
func KeyOf(name, key string) Call { return Call{says: saysKeyOf, name: name, key: key} }

// Cost says how many tokens the call takes from each limit of the guard,
// instead of 1, at each attempt. Cost(0) takes none: it only asks whether there
// are any.
func Cost(n int64) Call { return Call{says: saysCost, cost: n} }

// CostOf is [Cost] for the limit of that name only; it wins over Cost. That the
// guard has no such limit is an error.
func CostOf(limit string, n int64) Call { return Call{says: saysCostOf, name: limit, cost: n} }

// Tell has each limit of the guard write down in into what it decided.
func Tell(into *Decisions) Call { return Call{says: saysTell, into: into} }

// RepeatIf lets the guard's retries run the function again only where f says so too: it
// is asked after each attempt in which the function ran and that ended in an error, with
// that error, before the guard's own rule ([RetryIf]), and on the goroutine of the
// attempt. An attempt that a part turned away is tried again as ever, since nothing ran.
//
// It is for who runs a function that may not be repeated under a guard that somebody else
// declares, as a server does with its handlers: f is then [Never].
func RepeatIf(f func(error) bool) Call { return Call{says: saysRepeatIf, repeat: f} }

// Never is for [RepeatIf]: the function runs once at most, whatever came of it.
func Never(error) bool { return false }

// address writes what the calls say into the frames of the limits and breakers
// concerned: first what concerns all of them, so that what names one of them wins.
func (w *walk) address(calls []Call) error {
	for _, i := range w.plan.limits {
		f := w.frame(i)
		f.cost = 1
		for _, c := range calls {
			switch c.says {
			case saysKey:
				f.key = c.key
			case saysCost:
				f.cost = c.cost
			default:
			}
		}
	}
	w.addressed = true
	for _, c := range calls {
		switch c.says {
		case saysTell:
			w.decisions = c.into
		case saysRepeatIf:
			w.repeat = c.repeat
		case saysKeyOf, saysCostOf:
			if err := w.addressOne(c); err != nil {
				return err
			}
		default:
		}
	}
	return nil
}

// addressOne writes what a call says to parts of one name: a limit and a breaker, where
// it is a key.
func (w *walk) addressOne(c Call) error {
	found, fits := false, false
	for _, i := range w.plan.limits {
		s := &w.plan.steps[i]
		switch {
		case s.name() != c.name || c.says == saysCostOf && s.limit == nil:
			continue
		case c.says == saysCostOf:
			w.frame(i).cost, fits = c.cost, true
		case s.keyed():
			w.frame(i).key, fits = c.key, true
		}
		found = true
	}
	switch {
	case fits, slices.Contains(w.plan.dropped, c.name):
		return nil // what was dropped was there before an Update: the callers cannot know
	case found:
		return misuse("KeyOf", fmt.Sprintf("names the limit %q, which is not Keyed", c.name))
	case c.says == saysKeyOf:
		return misuse("Call", fmt.Sprintf("names %q, which is no limit or keyed breaker of the guard", c.name))
	default:
		return misuse("Call", fmt.Sprintf("names the limit %q, which the guard does not have", c.name))
	}
}

// misuse is the error of a call that cannot be meant.
func misuse(field, reason string) error {
	return &domain.PolicyError{Policy: "call", Field: field, Reason: reason}
}
