package console

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/operate"
)

// events prints what happened, the newest first.
func events(ctx context.Context, c *call) error {
	ids, err := c.ids()
	if err != nil {
		return err
	}
	if c.limit < 0 {
		return misused("--limit %d is negative", c.limit)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	all, err := c.desk.Events(ctx, ids...)
	if err != nil {
		return err
	}
	if c.limit > 0 {
		all = all[:min(c.limit, len(all))]
	}
	if c.asJSON {
		list := make([]any, len(all))
		for i, e := range all {
			list[i] = jsonEvent(e)
		}
		return writeJSON(c.out, map[string]any{"events": list})
	}
	if len(all) == 0 {
		_, err := fmt.Fprintln(c.out, "nothing has happened")
		return err
	}
	table := tabwriter.NewWriter(c.out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "TIME\tBREAKER\tWHAT\tWHO")
	for _, e := range all {
		fmt.Fprintln(table, line(e))
	}
	return table.Flush()
}

// line is one event, in columns.
func line(e operate.Event) string {
	return fmt.Sprintf("%s\t%s\t%s\t%s", stamp(e.AtMicro), nameOf(e.Breaker), what(e.Record), who(e.Record))
}

func stamp(micro int64) string { return time.UnixMicro(micro).UTC().Format("2006-01-02 15:04:05.000") }

func what(r breaker.Record) string {
	switch {
	case r.Kind == breaker.RecordTurn && r.Lost:
		return "its state was lost: begins afresh, closed"
	case r.Kind == breaker.RecordTurn:
		return "turned " + r.State.String()
	case r.Kind == breaker.RecordVote && r.Bad:
		return "a replica says bad, with a weight of " + operate.Weight(r.Weight)
	case r.Kind == breaker.RecordVote && r.Weight == 0:
		return "a replica says nothing any more"
	case r.Kind == breaker.RecordVote:
		return "a replica says well"
	case r.Order.Reset:
		return fmt.Sprintf("reset: %q", r.Order.Reason)
	case r.Order.Force == domain.ForceNone:
		return fmt.Sprintf("override ended: %q", r.Order.Reason)
	default:
		return fmt.Sprintf("forced %s for %s: %q", r.Order.Force, rest(micros(r.Order.ForMicro)), r.Order.Reason)
	}
}

func who(r breaker.Record) string {
	if r.Kind == breaker.RecordOrder {
		return fmt.Sprintf("%q", r.Order.By)
	}
	return r.Replica
}

// lookEvery is how often watch looks for what is new.
const lookEvery = 500 * time.Millisecond

// watch prints what happens, the oldest first, until ctx ends.
func watch(ctx context.Context, c *call) error {
	ids, err := c.ids()
	if err != nil {
		return err
	}
	seen, err := latest(ctx, c, ids)
	if err != nil {
		return err
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
		if err := c.news(ctx, ids, seen); err != nil {
			return err
		}
	}
}

// marks are the records that were seen, of each breaker, the newest first.
type marks map[port.ID][]breaker.Record

// latest is what there is by now.
func latest(ctx context.Context, c *call, ids []port.ID) (marks, error) {
	all, err := c.desk.Events(ctx, ids...)
	seen := make(marks)
	for _, e := range all {
		seen[e.Breaker] = append(seen[e.Breaker], e.Record)
	}
	return seen, err
}

// news prints what is not in seen, which is brought up to date.
func (c *call) news(ctx context.Context, ids []port.ID, seen marks) error {
	now, err := latest(ctx, c, ids)
	if err != nil {
		return err
	}
	var fresh []operate.Event
	for id, records := range now {
		for _, r := range records {
			if old := seen[id]; len(old) > 0 && r == old[0] {
				break
			}
			fresh = append(fresh, operate.Event{Breaker: id, Record: r})
		}
		seen[id] = records
	}
	slices.SortStableFunc(fresh, func(a, b operate.Event) int { return cmp.Compare(b.AtMicro, a.AtMicro) })
	slices.Reverse(fresh)
	for _, e := range fresh {
		if err := c.printOne(e); err != nil {
			return err
		}
	}
	return nil
}

func (c *call) printOne(e operate.Event) error {
	if c.asJSON {
		return writeJSONLine(c.out, jsonEvent(e))
	}
	_, err := fmt.Fprintf(c.out, "%s   %s   %s   %s\n", stamp(e.AtMicro), nameOf(e.Breaker), what(e.Record), who(e.Record))
	return err
}
