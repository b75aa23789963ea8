package console

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/operate"
)

// status prints how breakers are.
func status(ctx context.Context, c *call) error {
	ids, err := c.ids()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	all, err := c.desk.Status(ctx, ids...)
	if err != nil {
		return err
	}
	if c.asJSON {
		return writeJSON(c.out, map[string]any{"breakers": jsonStatuses(all)})
	}
	if len(all) == 0 {
		_, err := fmt.Fprintln(c.out, "no breaker has been used yet")
		return err
	}
	table := tabwriter.NewWriter(c.out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "BREAKER\tSTATE\tFOR\tEPOCH\tOVERRIDE")
	for _, s := range all {
		if s.View.Err != nil {
			fmt.Fprintf(table, "%s\tunknown\t\t\t%s\n", nameOf(s.Breaker), s.View.Err)
			continue
		}
		v := s.View
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", nameOf(s.Breaker), v.State, rest(v.For), epochOf(v.Epoch), overrideOf(v.Order))
	}
	return table.Flush()
}

// nameOf is NAME or NAME=KEY, with a key that is odd in quotes.
func nameOf(id port.ID) string {
	if id.Key == "" {
		return id.Name
	}
	if strings.ContainsFunc(id.Key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Sprintf("%s=%q", id.Name, id.Key)
	}
	return id.Name + "=" + id.Key
}

func rest(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return operate.Round(d).String()
}

func epochOf(epoch uint64) string {
	if epoch == 0 {
		return "-"
	}
	return strconv.FormatUint(epoch, 10)
}

// overrideOf is what an operator ordered, as long as it lasts.
func overrideOf(o breaker.Order) string {
	if o.Force == domain.ForceNone || o.ForMicro == 0 {
		return "-"
	}
	return fmt.Sprintf("%s for %s, by %q: %q", o.Force, rest(micros(o.ForMicro)), o.By, o.Reason)
}

func micros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

// explain prints all of one breaker.
func explain(ctx context.Context, c *call) error {
	id, err := c.one(1, "one NAME")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	s, err := c.desk.Explain(ctx, id)
	if err != nil {
		return err
	}
	if c.asJSON {
		return writeJSON(c.out, jsonSnapshot(id, s))
	}
	fmt.Fprintf(c.out, "%s is %s: %s\n", nameOf(id), s.View.State, operate.Why(s))
	if s.View.Epoch == 0 {
		return nil
	}
	table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(table, "  %s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	row("since", "%s ago, epoch %d", rest(micros(s.AgeMicro)), s.View.Epoch)
	row("override", "%s", overrideOf(s.View.Order))
	r := s.Rules
	row("opens at", "%d bad replicas, %s of all weight, over %s", r.MinReplicas, percent(r.QuorumMille), micros(r.WindowMicro))
	row("recovers after", "%s, at most %s; %d probes at once, %d successes",
		micros(r.RecoveryMicro), micros(r.MaxRecoveryMicro), r.Probes, r.Successes)
	if s.Disputed {
		row("disputed", "some replicas bring other settings than these, of version %d", r.Version)
	}
	row("bad", "%d of %d replicas, with %s of the weight of %s",
		s.Bad, len(s.Votes), operate.Weight(s.BadWeight), operate.Weight(s.AllWeight))
	if err := table.Flush(); err != nil {
		return err
	}
	return explainReplicas(c, s)
}

func percent(mille int64) string { return fmt.Sprintf("%d.%d %%", mille/10, mille%10) }

// says is a replica's opinion. One without weight is none: what it rests on is too old, or
// the replica's own trouble.
func says(v breaker.Vote) string {
	switch {
	case v.Bad:
		return "bad"
	case v.Weight == 0:
		return "nothing"
	default:
		return "well"
	}
}

// ownLayer is the state of the replica's own layer, when it last said something.
func ownLayer(v breaker.Vote) string {
	if v.Open {
		return "open"
	}
	return "closed"
}

// explainReplicas prints who said what, and who probes.
func explainReplicas(c *call, s breaker.Snapshot) error {
	table := tabwriter.NewWriter(c.out, 0, 0, 3, ' ', 0)
	if len(s.Votes) > 0 {
		fmt.Fprintln(table, "\nREPLICA\tSAYS\tWEIGHT\tFAILED\tCALLS\tLAST TROUBLE\tOWN LAYER\tAGO\tFOR ANOTHER")
	}
	for _, v := range s.Votes {
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%d\t%s\t%s\t%s\t%s\n", v.Replica, says(v), operate.Weight(v.Weight), v.Failures, v.Calls,
			v.Last, ownLayer(v), rest(micros(v.AgeMicro)), rest(micros(v.ForMicro)))
	}
	if len(s.Probers) > 0 {
		fmt.Fprintln(table, "\nREPLICA\tITS PROBES")
	}
	for _, p := range s.Probers {
		saw := "asked"
		if p.Succeeded {
			saw = "succeeded"
		} else if p.Failed {
			saw = "failed"
		}
		fmt.Fprintf(table, "%s\t%s\n", p.Replica, saw)
	}
	for _, l := range s.Leases {
		fmt.Fprintf(table, "%s\tone is out, for another %s\n", l.Replica, rest(micros(l.ForMicro)))
	}
	return table.Flush()
}
