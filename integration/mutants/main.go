// Command mutants puts known bugs back into a copy of the repository, one at a
// time, and tells which test notices. One that nobody notices is a test that is
// missing: `make mutants` runs it where a Redis is to be had, and then fails.
//
//	cd integration && ../scripts/with-redis go run ./mutants -list
//	cd integration && ../scripts/with-redis go run ./mutants -run 'bill|lease'
//
// table.go has the bugs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"syscall"
)

// The exit statuses.
const (
	exitOK     = 0
	exitFail   = 1 // a bug was missed, or could not be tried
	exitMisuse = 2 // the command line cannot be meant
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run is main with its surroundings as arguments. It returns the exit status.
func run(ctx context.Context, args []string, out, errs io.Writer) int {
	flags := flag.NewFlagSet("mutants", flag.ContinueOnError)
	flags.SetOutput(errs)
	list := flags.Bool("list", false, "print the names and try nothing")
	pattern := flags.String("run", "", "try only those whose name matches this `regexp`")
	if err := flags.Parse(args); err != nil {
		return exitMisuse
	}
	picked, err := pick(table(), *pattern)
	if err == nil && flags.NArg() > 0 {
		err = errArgument
	}
	if err != nil {
		fmt.Fprintln(errs, "mutants:", err)
		return exitMisuse
	}
	if *list {
		for _, m := range picked {
			fmt.Fprintf(out, "%-30s %s\n", m.file, m.name)
		}
		return exitOK
	}
	if err := try(ctx, picked, out); err != nil {
		fmt.Fprintln(errs, "mutants:", err)
		return exitFail
	}
	return exitOK
}

var (
	errNone     = errors.New("-run matches no name; -list has them")
	errArgument = errors.New("there are no arguments besides -run and -list")
)

// pick returns the mutants whose name matches the pattern.
func pick(all []mutant, pattern string) ([]mutant, error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, err
	}
	var picked []mutant
	for _, m := range all {
		if re.MatchString(m.name) {
			picked = append(picked, m)
		}
	}
	if len(picked) == 0 {
		return nil, errNone
	}
	return picked, nil
}

// try runs the mutants in a copy of the repository that the working folder is
// part of, and removes the copy.
func try(ctx context.Context, mutants []mutant, out io.Writer) error {
	root, err := repository(ctx)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "holdfast-mutants-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := copyTracked(ctx, root, dir); err != nil {
		return err
	}
	return (&lab{dir: dir, out: out}).run(ctx, mutants)
}
