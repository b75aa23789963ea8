package operate

import (
	"context"
	"errors"
	"fmt"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
)

// Published reads the policies that are published to the fleet: the document in force, which
// is a zero one where there is none.
func (d *Desk) Published(ctx context.Context) (port.Publication, error) {
	if err := d.publishes(); err != nil {
		return port.Publication{}, err
	}
	return d.stores.Policies.Published(ctx, 0)
}

// Publications reads the documents that were published, the newest first, as many as the
// store remembers.
func (d *Desk) Publications(ctx context.Context) ([]port.Publication, error) {
	if err := d.publishes(); err != nil {
		return nil, err
	}
	return d.stores.Policies.Publications(ctx)
}

// Publish puts a document in force in place of that of version after, 0 being none, and
// returns its version. By is this desk's actor. What the document says is not looked at:
// read it before, as the replicas will. With Shadow they check it, and apply nothing.
//
// The error matches [domain.ErrConflict] when somebody else has published meanwhile, and
// [domain.ErrInvalidPolicy] when the document is too long or the reason missing; any other
// is the store's, and the document may be in force all the same.
func (d *Desk) Publish(ctx context.Context, p port.Publication, after uint64) (version uint64, err error) {
	if err := d.publishes(); err != nil {
		return 0, err
	}
	p.By, p.Version = d.actor, 0
	switch check := (domain.Override{By: p.By, Reason: p.Reason}); {
	case len(p.Document) > port.MaxDocument:
		return 0, unfit("Document", fmt.Sprintf("is longer than %d bytes", port.MaxDocument))
	case p.Reason == "":
		return 0, unfit("Reason", "is missing: others will ask")
	case check.Validate() != nil:
		return 0, check.Validate()
	}
	version, ok, err := d.stores.Policies.Publish(ctx, p, after)
	if err == nil && !ok {
		err = fmt.Errorf("version %d is in force, and not %d: %w", version, after, domain.ErrConflict)
	}
	return version, err
}

// Rollback publishes a document again that was in force before: that of a version or, for 0,
// the one before the last. It returns the new version. Shadows are passed over. Errors are
// those of Publish, and one that matches [errors.ErrUnsupported] where there is no such
// document any more.
func (d *Desk) Rollback(ctx context.Context, to uint64, reason string) (version uint64, err error) {
	all, err := d.Publications(ctx)
	if err != nil {
		return 0, err
	}
	var applied []port.Publication
	for _, p := range all {
		if !p.Shadow {
			applied = append(applied, p)
		}
	}
	for i, p := range applied {
		if to == 0 && i == 1 || to != 0 && p.Version == to {
			return d.Publish(ctx, port.Publication{Document: p.Document, Reason: reason}, all[0].Version)
		}
	}
	return 0, fmt.Errorf("there is no such publication to go back to: %w", errors.ErrUnsupported)
}

// publishes reports a store that keeps no published policies.
func (d *Desk) publishes() error {
	if d.stores.Policies == nil {
		return fmt.Errorf("the store keeps no published policies: %w", errors.ErrUnsupported)
	}
	return nil
}

func unfit(field, reason string) error {
	return &domain.PolicyError{Policy: "publication", Field: field, Reason: reason}
}
