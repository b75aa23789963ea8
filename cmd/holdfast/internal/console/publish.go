package console

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"text/tabwriter"

	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/policy"
)

var policyCommands = []command{ //nolint:gochecknoglobals // a constant list
	{"policy show", "", "the document of policies that is published to a fleet", nil, policyShow},
	{"policy diff", "FILE", "what a file would change about what is published", nil, policyDiff},
	{"policy apply", "FILE", "publish a file of policies: every replica that follows applies it, or none of it", applyFlags, policyApply},
	{"policy rollback", "[VERSION]", "publish again what was in force before, or in that version", reasonFlags, policyRollback},
	{"policy history", "", "what was published, the newest first", nil, policyHistory},
}

func applyFlags(f *flag.FlagSet, o *options) {
	reasonFlags(f, o)
	f.BoolVar(&o.shadow, "shadow", false, "have every replica check it, and apply nothing")
	f.Uint64Var(&o.after, "after", 0, "publish only if this `version` is in force still (default: the one in force now)")
}

// PolicyHelp lists the commands about published policies, one line each.
func PolicyHelp(out io.Writer) {
	for _, c := range policyCommands {
		fmt.Fprintf(out, "  holdfast %-16s %s\n", c.name, c.purpose)
	}
}

// readFile reads a file of policies as the replicas will: without an environment, since
// each has its own.
func readFile(path string) (document string, set *policy.Set, err error) {
	data, err := os.ReadFile(path) //nolint:gosec // the user's own file
	if err != nil {
		return "", nil, misused("%v", err)
	}
	set, err = readDocument(string(data))
	if err != nil {
		return "", nil, fmt.Errorf("%s: %s", path, err.Error()) // the file's mistake, and not the command line's
	}
	return string(data), set, nil
}

func readDocument(document string) (*policy.Set, error) {
	return policy.ReadJSON([]byte(document), func(string) (string, bool) { return "", false })
}

func policyShow(ctx context.Context, c *call) error {
	if len(c.args) != 0 {
		return misused("it takes no arguments")
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	p, err := c.desk.Published(ctx)
	if err != nil {
		return err
	}
	switch {
	case c.asJSON:
		return writeJSON(c.out, jsonPublication(p))
	case p.Version == 0:
		_, err = fmt.Fprintln(c.out, "nothing is published")
	default:
		_, err = fmt.Fprintf(c.out, "%s\n%s\n", heading(p), p.Document)
	}
	return err
}

// heading is one line about a publication.
func heading(p port.Publication) string {
	text := fmt.Sprintf("version %d, published %s by %s: %s", p.Version, stamp(int64(p.Version)), p.By, p.Reason)
	if p.Shadow {
		text += " (shadow: checked, and not applied)"
	}
	return text
}

func jsonPublication(p port.Publication) any {
	return map[string]any{"version": p.Version, "document": p.Document, "shadow": p.Shadow, "by": p.By, "reason": p.Reason}
}

// policyDiff compares what policies say, and not how it is written.
func policyDiff(ctx context.Context, c *call) error {
	if len(c.args) != 1 {
		return misused("it takes one FILE")
	}
	_, next, err := readFile(c.args[0])
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	p, err := c.desk.Published(ctx)
	if err != nil {
		return err
	}
	now := &policy.Set{}
	if p.Version != 0 {
		if now, err = readDocument(p.Document); err != nil {
			return fmt.Errorf("version %d cannot be read: %w", p.Version, err)
		}
	}
	lines := differences(textOf(now), textOf(next))
	if c.asJSON {
		return writeJSON(c.out, map[string]any{"version": p.Version, "differences": lines})
	}
	if len(lines) == 0 {
		_, err = fmt.Fprintf(c.out, "it says the same as version %d\n", p.Version)
		return err
	}
	for _, line := range lines {
		if _, err := fmt.Fprintln(c.out, line); err != nil {
			return err
		}
	}
	return nil
}

// textOf is what a set says, by what it is said of.
func textOf(s *policy.Set) map[string]string {
	said := make(map[string]string)
	for name, p := range s.Policies {
		said["policy "+name] = p.String()
	}
	for operation, name := range s.Operations {
		said["operation "+operation] = name
	}
	if s.Default != "" {
		said["default"] = s.Default
	}
	return said
}

// differences are lines as diff has them, by name.
func differences(before, after map[string]string) []string {
	lines, names := []string{}, make([]string, 0, len(before)+len(after))
	for name := range before {
		names = append(names, name)
	}
	for name := range after {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		old, was := before[name]
		now, is := after[name]
		if was && (!is || now != old) {
			lines = append(lines, "- "+name+": "+old)
		}
		if is && (!was || now != old) {
			lines = append(lines, "+ "+name+": "+now)
		}
	}
	return lines
}

func policyApply(ctx context.Context, c *call) error {
	if len(c.args) != 1 {
		return misused("it takes one FILE")
	}
	document, _, err := readFile(c.args[0])
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if c.after == 0 {
		p, err := c.desk.Published(ctx)
		if err != nil {
			return err
		}
		c.after = p.Version
	}
	version, err := c.desk.Publish(ctx, port.Publication{Document: document, Shadow: c.shadow, Reason: c.order.Reason}, c.after)
	return c.published(version, err)
}

func policyRollback(ctx context.Context, c *call) error {
	var to uint64
	switch len(c.args) {
	case 0:
	case 1:
		n, err := strconv.ParseUint(c.args[0], 10, 64)
		if err != nil || n == 0 {
			return misused("%q is no version", c.args[0])
		}
		to = n
	default:
		return misused("it takes one VERSION at most")
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return c.published(c.desk.Rollback(ctx, to, c.order.Reason))
}

// published tells which version is in force now.
func (c *call) published(version uint64, err error) error {
	if err != nil {
		return err
	}
	if c.asJSON {
		return writeJSON(c.out, map[string]any{"version": version})
	}
	_, err = fmt.Fprintf(c.out, "version %d is published\n", version)
	return err
}

func policyHistory(ctx context.Context, c *call) error {
	if len(c.args) != 0 {
		return misused("it takes no arguments")
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	all, err := c.desk.Publications(ctx)
	if err != nil {
		return err
	}
	if c.asJSON {
		list := make([]any, len(all))
		for i, p := range all {
			list[i] = jsonPublication(p)
		}
		return writeJSON(c.out, map[string]any{"publications": list})
	}
	table := tabwriter.NewWriter(c.out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "VERSION\tTIME\tWHO\tSHADOW\tWHY")
	for _, p := range all {
		fmt.Fprintf(table, "%d\t%s\t%s\t%v\t%s\n", p.Version, stamp(int64(p.Version)), p.By, p.Shadow, p.Reason)
	}
	return table.Flush()
}
