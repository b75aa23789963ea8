// Package console is the commands of holdfast for those who run a fleet: status,
// explain, events, watch, override and reset, and those about published policies. They are flags and printing; package
// operate does what they say.
package console

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/operate"
)

// The exit statuses.
const (
	ok          = 0
	failed      = 1
	misuse      = 2
	interrupted = 130
)

// patience bounds a command that asks a few things.
const patience = 10 * time.Second

// A Surround is what a command has around it.
type Surround struct {
	Out, Errs io.Writer
	Getenv    func(string) string
	Actor     string // who gives orders, unless a flag says so
}

// A command is one of this package's.
type command struct {
	name    string
	args    string // in its usage
	purpose string
	flags   func(*flag.FlagSet, *options)
	run     func(context.Context, *call) error
}

// options are all that flags can say.
type options struct {
	where  where
	asJSON bool
	limit  int
	order  domain.Override
	shadow bool
	after  uint64
}

// A call is one run of a command.
type call struct {
	options

	args []string
	desk *operate.Desk
	out  io.Writer
}

var commands = []command{ //nolint:gochecknoglobals // a constant list
	{"status", "[NAME ...]", "how breakers are: those named, or all", nil, status},
	{"explain", "NAME", "why one breaker is as it is: rules, votes, probes, override", nil, explain},
	{"events", "[NAME ...]", "what happened to breakers, the newest first", limitFlag, events},
	{"watch", "[NAME ...]", "what happens to breakers, as it happens, until interrupted", nil, watch},
	{
		"override", "NAME open|closed|disabled|metrics-only|none",
		"force one breaker, for a time and in the whole fleet", orderFlags, override,
	},
	{"reset", "NAME", "let one breaker begin afresh, closed, and end an override", reasonFlags, reset},
}

func limitFlag(f *flag.FlagSet, o *options) {
	f.IntVar(&o.limit, "limit", 50, "show `how many` at most; 0 = all that are kept, 256 of each breaker")
}

func orderFlags(f *flag.FlagSet, o *options) {
	f.DurationVar(&o.order.For, "for", 0, "how `long` it is forced, such as 30m; required, but for none")
	reasonFlags(f, o)
}

func reasonFlags(f *flag.FlagSet, o *options) {
	f.StringVar(&o.order.Reason, "reason", "", "`why`, for those who meet it; required, but for none")
	f.StringVar(&o.order.By, "by", "", "`who` orders it (default: you, at this machine)")
}

// Help lists the commands, one line each.
func Help(out io.Writer) {
	for _, c := range commands {
		fmt.Fprintf(out, "  holdfast %-9s %s\n", c.name, c.purpose)
	}
}

// Run runs the command of that name, and returns its exit status; false if there is
// none.
func Run(ctx context.Context, name string, args []string, s Surround) (exit int, known bool) {
	for _, c := range slices.Concat(commands, policyCommands) {
		if c.name == name {
			return c.start(ctx, args, s), true
		}
	}
	return misuse, false
}

// start reads the command line and runs the command.
func (c command) start(ctx context.Context, args []string, s Surround) int {
	o := options{}
	flags := flag.NewFlagSet(c.name, flag.ContinueOnError)
	flags.SetOutput(io.Discard) // errors are one line, printed here
	o.where.flags(flags, s.Getenv)
	flags.BoolVar(&o.asJSON, "json", false, "print JSON, for machines")
	if c.flags != nil {
		c.flags(flags, &o)
	}
	names, err := parse(flags, args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(s.Out, "usage: holdfast %s %s\n\n%s.\n\n", c.name, c.args, c.purpose)
		flags.SetOutput(s.Out)
		flags.PrintDefaults()
		return ok
	}
	if err == nil {
		err = c.connect(ctx, names, o, s)
	}
	switch {
	case err == nil:
		return ok
	case ctx.Err() != nil:
		return interrupted
	case errors.Is(err, errMisuse), errors.Is(err, domain.ErrInvalidPolicy):
		fmt.Fprintf(s.Errs, "holdfast %s: %v; see holdfast %s -h\n", c.name, err, c.name)
		return misuse
	default:
		fmt.Fprintf(s.Errs, "holdfast %s: %v\n", c.name, err)
		return failed
	}
}

var errMisuse = errors.New("misuse")

// misused is an error of the command line.
func misused(format string, args ...any) error {
	return &misuseError{fmt.Sprintf(format, args...)}
}

type misuseError struct{ text string }

func (e *misuseError) Error() string { return e.text }
func (e *misuseError) Unwrap() error { return errMisuse }

// connect runs the command at a desk.
func (c command) connect(ctx context.Context, names []string, o options, s Surround) error {
	stores, stop, err := o.where.open(ctx)
	if err != nil {
		return err
	}
	defer stop()
	if o.order.By == "" {
		o.order.By = s.Actor
	}
	desk, err := operate.New(stores, o.order.By)
	if err != nil {
		return err
	}
	return c.run(ctx, &call{o, names, desk, s.Out})
}

// parse reads flags wherever they stand among the arguments, which are returned.
func parse(flags *flag.FlagSet, args []string) (rest []string, err error) {
	for {
		if err := flags.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return nil, err
			}
			return nil, misused("%v", err)
		}
		if flags.NArg() == 0 {
			return rest, nil
		}
		rest = append(rest, flags.Arg(0))
		args = flags.Args()[1:]
	}
}

// ids are the breakers that the arguments name, as NAME or NAME=KEY.
func (c *call) ids() ([]port.ID, error) {
	ids := make([]port.ID, len(c.args))
	for i, arg := range c.args {
		id, err := idOf(arg)
		if err != nil {
			return nil, err
		}
		ids[i] = id
	}
	return ids, nil
}

// one is the breaker that the first of so many arguments names.
func (c *call) one(args int, usage string) (port.ID, error) {
	if len(c.args) != args {
		return port.ID{}, misused("it takes %s", usage)
	}
	return idOf(c.args[0])
}
