package console

import (
	"context"
	"fmt"

	"github.com/holdfast-go/holdfast/domain"
)

// override forces a breaker.
func override(ctx context.Context, c *call) error {
	id, err := c.one(2, "a NAME and what to force")
	if err != nil {
		return err
	}
	force, known := domain.ParseForce(c.args[1])
	if !known {
		return misused("%q cannot be forced", c.args[1])
	}
	c.order.Force = force
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := c.desk.Override(ctx, id, c.order); err != nil {
		return err
	}
	if c.asJSON {
		return writeJSON(c.out, map[string]any{
			"name": id.Name, "key": id.Key, "force": force.String(), "for_ms": c.order.For.Milliseconds(),
		})
	}
	if force == domain.ForceNone {
		_, err = fmt.Fprintf(c.out, "%s decides for itself again\n", nameOf(id))
		return err
	}
	_, err = fmt.Fprintf(c.out, "%s is forced %s for %s\n", nameOf(id), force, c.order.For)
	return err
}

// reset lets a breaker begin afresh.
func reset(ctx context.Context, c *call) error {
	id, err := c.one(1, "one NAME")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := c.desk.Reset(ctx, id, c.order.Reason); err != nil {
		return err
	}
	if c.asJSON {
		return writeJSON(c.out, map[string]any{"name": id.Name, "key": id.Key, "reset": true})
	}
	_, err = fmt.Fprintf(c.out, "%s begins afresh, closed\n", nameOf(id))
	return err
}
