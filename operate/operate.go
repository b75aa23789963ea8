// Package operate is what the people who run a fleet see and order: how its breakers
// are and why, what happened to them, and overrides. The command holdfast prints it.
//
// It needs a store and no replica. What only looks writes nothing.
package operate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
	"github.com/holdfast-go/holdfast/domain/port"
)

// A Desk is where an operator sits. It is safe for concurrent use.
type Desk struct {
	stores port.Stores
	actor  string
}

// New returns a desk for somebody, who is named in the overrides that they give and
// must be (200 bytes at most). It makes no call. A store that operators cannot use is
// an error that matches [errors.ErrUnsupported].
func New(stores port.Stores, actor string) (*Desk, error) {
	if stores.Operator == nil || stores.Views == nil {
		return nil, fmt.Errorf("the store has nothing for operators: %w", errors.ErrUnsupported)
	}
	check := domain.Override{By: actor}
	if err := check.Validate(); err != nil {
		return nil, err
	}
	return &Desk{stores, actor}, nil
}

// A Status is how one breaker of the fleet is.
type Status struct {
	Breaker port.ID
	View    port.View // its Err says why nothing is known of this one
}

// Status reads how breakers are: those given, or else all that the store has, which
// takes a look at every key of it. One that is not there is closed, with epoch 0.
func (d *Desk) Status(ctx context.Context, ids ...port.ID) ([]Status, error) {
	ids, err := d.orAll(ctx, ids)
	if err != nil {
		return nil, err
	}
	views := make([]port.View, len(ids))
	d.stores.Views.Read(ctx, ids, views)
	statuses := make([]Status, len(ids))
	for i, id := range ids {
		statuses[i] = Status{id, views[i]}
	}
	return statuses, nil
}

// orAll is the breakers that were named, or all that the store has where none was.
func (d *Desk) orAll(ctx context.Context, ids []port.ID) ([]port.ID, error) {
	if len(ids) > 0 {
		return ids, nil
	}
	return d.stores.Operator.Breakers(ctx)
}

// Explain reads all that there is of one breaker.
func (d *Desk) Explain(ctx context.Context, id port.ID) (breaker.Snapshot, error) {
	return d.stores.Operator.Explain(ctx, id)
}

// Override orders what is made of one breaker, by all replicas, whether it is there
// yet or not; ForceNone ends what was ordered. By is this desk's actor. An invalid
// override is a [*domain.PolicyError]; any other error is the store's, and the order
// may have been given all the same.
func (d *Desk) Override(ctx context.Context, id port.ID, o domain.Override) error {
	o.By = d.actor
	if err := o.Validate(); err != nil {
		return err
	}
	return d.order(ctx, id, breaker.Order{Force: o.Force, ForMicro: o.For.Microseconds(), By: o.By, Reason: o.Reason})
}

// Reset lets one breaker begin afresh, closed, in the fleet and in each replica, and
// ends an override. A reason must be given. Errors are those of Override.
func (d *Desk) Reset(ctx context.Context, id port.ID, reason string) error {
	o := domain.Override{By: d.actor, Reason: reason}
	if err := o.Validate(); err != nil {
		return err
	}
	if reason == "" {
		return &domain.PolicyError{Policy: "override", Field: "Reason", Reason: "is missing: others will ask"}
	}
	return d.order(ctx, id, breaker.Order{Reset: true, By: o.By, Reason: reason})
}

func (d *Desk) order(ctx context.Context, id port.ID, o breaker.Order) error {
	if err := domain.ValidateName("circuit_breaker", id.Name); err != nil {
		return err
	}
	var out [1]port.OrderReply
	d.stores.Operator.Order(ctx, []port.Order{{Breaker: id, Order: o}}, out[:])
	return out[0].Err
}

// An Event is a record of one breaker.
type Event struct {
	Breaker port.ID
	breaker.Record
}

// Events reads what happened to breakers, those given or all, the newest first. The
// store keeps the last [breaker.RecordsKept] of each.
func (d *Desk) Events(ctx context.Context, ids ...port.ID) ([]Event, error) {
	ids, err := d.orAll(ctx, ids)
	if err != nil {
		return nil, err
	}
	var events []Event
	for _, id := range ids {
		records, err := d.stores.Operator.Records(ctx, id)
		if err != nil {
			return nil, err
		}
		for _, r := range records {
			events = append(events, Event{id, r})
		}
	}
	slices.SortStableFunc(events, func(a, b Event) int { return cmp.Compare(b.AtMicro, a.AtMicro) })
	return events, nil
}
