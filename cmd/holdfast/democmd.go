package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/demo"
)

// runDemo is `holdfast demo`. It returns the exit status.
func runDemo(ctx context.Context, args []string, out, errs io.Writer) int {
	flags, options, asJSON := demoFlags()
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return demoHelp(flags, out)
	case err == nil && flags.NArg() > 0:
		err = fmt.Errorf("%q is more than it takes", flags.Arg(0))
	case err == nil:
		err = options.Validate()
	}
	if err != nil {
		fmt.Fprintf(errs, "holdfast demo: %v; see holdfast demo -h\n", err)
		return exitMisuse
	}
	stage := demo.NewStage(errs, false, false) // standard output has the verdict, and nothing else
	if !*asJSON {
		stage = demo.NewStage(out, isTerminal(out), hasColor(out))
	}
	verdict, err := demo.Run(ctx, *options, stage)
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(errs, "holdfast demo: interrupted; no verdict")
		return exitInterrupted
	case err != nil:
		fmt.Fprintf(errs, "holdfast demo: %v\n", err)
		return statusOf(err)
	}
	return printVerdict(verdict, *asJSON, out, errs)
}

func printVerdict(v demo.Verdict, asJSON bool, out, errs io.Writer) int {
	var err error
	if asJSON {
		err = v.WriteJSON(out)
	} else {
		err = v.WriteText(out, hasColor(out))
	}
	if err != nil {
		fmt.Fprintf(errs, "holdfast demo: %v\n", err)
	}
	if err != nil || !v.Pass() {
		return exitFail
	}
	return exitOK
}

// statusOf tells what the user named wrongly from what went wrong.
func statusOf(err error) int {
	if errors.Is(err, demo.ErrUnreachable) {
		return exitMisuse
	}
	return exitFail
}

func demoFlags() (flags *flag.FlagSet, o *demo.Options, asJSON *bool) {
	options := demo.DefaultOptions()
	flags = flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // errors are one line, printed by the caller
	flags.DurationVar(&options.Duration, "duration", options.Duration, "how `long` the story takes, 10s to 10m")
	flags.IntVar(&options.Replicas, "replicas", options.Replicas, "`how many` processes the fleet has, 2 to 32")
	flags.Int64Var(&options.Rate, "rate", options.Rate, "the fleet's limit, in `calls` a second")
	flags.Int64Var(&options.Burst, "burst", options.Burst, "and in `calls` at once")
	flags.StringVar(&options.Redis, "redis", "",
		"the `URL` of a Redis to use, in a namespace that is removed afterwards\n(default: one is brought along)")
	flags.BoolVar(&options.Lease, "lease", false, "let each replica take tokens ahead, and decide without asking the store")
	asJSON = flags.Bool("json", false, "print the verdict as one JSON object, and progress to standard error")
	return flags, &options, asJSON
}

func demoHelp(flags *flag.FlagSet, out io.Writer) int {
	fmt.Fprint(out, `holdfast demo: a fleet of processes shares one limit and one breaker

The replicas call an HTTP service through a guard (timeout, retry, breaker,
limit). One replica's network breaks, alone; then the service fails everything;
while it recovers, a replica is killed in the middle of its probe. The calls come
back in steps, and an operator stops them all once more. The demo ends in a
verdict: each promise with its bound, and what was measured at the service or in
the store. Exit status: 0 all kept, 1 one broken, 2 a mistake in the command.

`)
	flags.SetOutput(out)
	flags.PrintDefaults()
	return exitOK
}

// isTerminal reports whether a person watches w.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok || os.Getenv("TERM") == "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// hasColor reports whether w shows colours and nobody minds: see https://no-color.org.
func hasColor(w io.Writer) bool { return isTerminal(w) && os.Getenv("NO_COLOR") == "" }
