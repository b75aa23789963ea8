// Command holdfastgen writes types that run the methods of an interface under the policies
// that are declared with them.
//
// An interface of the domain carries comments and nothing else:
//
//	type Service interface {
//		//holdfast:resilient timeout(5s) > retry(max_attempts=3) > circuit_breaker(name=provider)
//		Process(ctx context.Context, p Payment) (Receipt, error)
//		Currencies() []string
//	}
//
// In the application layer, one line asks for a type that implements it over any
// implementation and an orchestrator:
//
//	//go:generate go tool holdfastgen -o payment_guard.go example.org/shop/payment
//
// It is part of the root module and needs nothing else: `go get -tool
// github.com/holdfast-go/holdfast/cmd/holdfastgen` is all it takes. docs/generated-guards.md
// has the directives and what becomes of them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
)

// The exit statuses.
const (
	exitOK     = 0
	exitFail   = 1 // something is wrong with a source file, or a generated one is stale
	exitMisuse = 2 // the command line cannot be meant
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

const usage = `holdfastgen writes types that run the methods of an interface under their policies.

  holdfastgen -o FILE [-type NAMES] [-prefix NAME] [-package NAME] [PACKAGE]
  holdfastgen -check [-o FILE …] [PACKAGES]
  holdfastgen -migrate [FOLDERS]

`

// errUsage is a command line that cannot be meant; flag has said why.
var errUsage = errors.New("usage")

// run is main with its surroundings as arguments. It returns the exit status.
func run(ctx context.Context, args []string, out, errs io.Writer) int {
	o, err := parse(args, errs)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.Is(err, errUsage):
		return exitMisuse
	case err != nil:
		fmt.Fprintf(errs, "holdfastgen: %v\n", err)
		return exitMisuse
	}
	switch {
	case o.migrate:
		err = migrateAll(o.rest, out)
	case o.check && o.file == "":
		err = checkAll(ctx, o.rest, errs)
	case o.check:
		err = checkOne(ctx, o.recipe(), errs)
	default:
		err = writeOne(ctx, o.recipe(), errs)
	}
	if err != nil {
		fmt.Fprintln(errs, err)
		return exitFail
	}
	return exitOK
}

// options are those of the command line.
type options struct {
	file, types, prefix, pkg string
	check, migrate           bool
	rest                     []string
}

func parse(args []string, errs io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("holdfastgen", flag.ContinueOnError)
	flags.SetOutput(errs)
	flags.Usage = func() {
		fmt.Fprint(errs, usage)
		flags.PrintDefaults()
	}
	flags.StringVar(&o.file, "o", "", "the `file` to write")
	flags.StringVar(&o.types, "type", "", "the interfaces, comma-separated `names`; all that declare a policy otherwise")
	flags.StringVar(&o.prefix, "prefix", "", "the `name` before the method's in that of its guard; otherwise package.Interface")
	flags.StringVar(&o.pkg, "package", "", "the `name` of the package that the file is in; otherwise that of its folder's files")
	flags.BoolVar(&o.check, "check", false, "write nothing, and fail if the file is stale; without -o all in PACKAGES (./... if not given)")
	flags.BoolVar(&o.migrate, "migrate", false, "get calls of package compat in FOLDERS (. if not given) ready for go fix")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return options{}, err
	} else if err != nil {
		return options{}, errUsage
	}
	o.rest = flags.Args()
	switch {
	case o.migrate && (o.check || o.file != ""):
		return options{}, errors.New("-migrate goes alone")
	case !o.migrate && !o.check && o.file == "":
		return options{}, errors.New("-o is missing: the file to write; see -help")
	case o.file != "" && len(o.rest) > 1:
		return options{}, fmt.Errorf("one file is written for one package, and these are %d", len(o.rest))
	case o.file != "" && !strings.HasSuffix(o.file, ".go"):
		return options{}, fmt.Errorf("%s is no Go file", o.file)
	}
	return o, nil
}

// recipe is what to generate.
func (o options) recipe() recipe {
	r := recipe{file: o.file, prefix: o.prefix, pkg: o.pkg, pattern: "."}
	if o.types != "" {
		r.types = strings.Split(o.types, ",")
	}
	if len(o.rest) == 1 {
		r.pattern = o.rest[0]
	}
	return r
}
