package orchestrator

import (
	"context"
	"slices"
)

// Observers joins several observers to one: each of them sees every call. Their Starts
// are called in the order given, each with the context that the one before it returned,
// and their Ends the other way around, so that spans nest. Each End is called, also when
// another one panics.
//
// Those that are a [PartObserver] hear of the parts; where none is, what Observers returns
// is none either, so that nobody pays for steps that nobody hears of. nil ones are left
// out; if nothing else is given, it returns nil.
func Observers(several ...Observer) Observer {
	all := slices.DeleteFunc(slices.Clone(several), func(o Observer) bool { return o == nil })
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	var parts []PartObserver
	for _, o := range all {
		if p, ok := o.(PartObserver); ok {
			parts = append(parts, p)
		}
	}
	if len(parts) == 0 {
		return observers(all)
	}
	return partObservers{all, parts}
}

type observers []Observer

func (all observers) Start(ctx context.Context, guard string) context.Context {
	for _, o := range all {
		if inner := o.Start(ctx, guard); inner != nil {
			ctx = inner //nolint:fatcontext // observers are few, and each may wrap it
		}
	}
	return ctx
}

func (all observers) End(ctx context.Context, s Summary) {
	last := len(all) - 1
	if last > 0 {
		defer all[:last].End(ctx, s) // deferred: the next must not miss it when this one panics
	}
	all[last].End(ctx, s)
}

type partObservers struct {
	observers

	parts []PartObserver
}

func (all partObservers) Observe(ctx context.Context, s Step) {
	for _, p := range all.parts {
		p.Observe(ctx, s)
	}
}
