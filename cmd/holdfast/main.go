// Command holdfast shows what the library does, and serves those who run a fleet.
//
// `holdfast demo` runs a fleet of processes that share one limit and one breaker
// through an outage, and says whether the promises were kept. status, explain, events
// and watch show how the breakers of a fleet are and why; override and reset decide
// for them. policy check reads files of policies, for editors and CI; its other commands
// publish them to a fleet.
//
//	go install github.com/holdfast-go/holdfast/cmd/holdfast@latest
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"os/user"
	"syscall"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/console"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/demo"
)

// The exit statuses.
const (
	exitOK          = 0
	exitFail        = 1   // a bound broke, or the machine would not let us
	exitMisuse      = 2   // the command line cannot be meant, or names what is not there
	exitInterrupted = 130 // as a shell has it for Ctrl-C
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is main with its surroundings as arguments. It returns the exit status.
func run(args []string, in io.Reader, out, errs io.Writer) int {
	if len(args) == 0 {
		return help(out)
	}
	switch name, rest := args[0], args[1:]; name {
	case "demo":
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
		defer stop()
		return runDemo(ctx, rest, out, errs)
	case "policy":
		return runPolicy(rest, out, errs)
	case "version", "--version", "-version":
		return printVersion(out)
	case "help", "--help", "-help", "-h":
		return help(out)
	case demo.ReplicaCommand: // the demo starts itself again
		return demo.Replica(in, out)
	default:
		return runConsole(name, rest, out, errs)
	}
}

// runConsole is the commands of those who run a fleet.
func runConsole(name string, args []string, out, errs io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	exit, known := console.Run(ctx, name, args, console.Surround{Out: out, Errs: errs, Getenv: os.Getenv, Actor: actor()})
	if !known {
		fmt.Fprintf(errs, "holdfast: %q is not a command; see holdfast help\n", name)
	}
	return exit
}

// actor is who gives orders: the user, at this machine.
func actor() string {
	who := "somebody"
	if u, err := user.Current(); err == nil && u.Username != "" {
		who = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		who += "@" + host
	}
	return who
}

func help(out io.Writer) int {
	fmt.Fprint(out, `holdfast: retries, circuit breakers and rate limits that a whole fleet shares

  holdfast demo      a fleet of processes goes through an outage, and is judged
  holdfast policy    files of policies: check, diff, apply, rollback, history
  holdfast version   what this is
  holdfast help      this

For those who run a fleet, over its Redis:

`)
	console.Help(out)
	fmt.Fprint(out, `
-h after a command lists its flags.
`)
	return exitOK
}
