// Command holdfast shows what the library does: `holdfast demo` runs a fleet of
// processes that share one limit and one breaker through an outage, and says
// whether the promises were kept.
//
//	go install github.com/holdfast-go/holdfast/cmd/holdfast@latest
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

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
	case "version", "--version", "-version":
		return printVersion(out)
	case "help", "--help", "-help", "-h":
		return help(out)
	case demo.ReplicaCommand: // the demo starts itself again
		return demo.Replica(in, out)
	default:
		fmt.Fprintf(errs, "holdfast: %q is not a command; see holdfast help\n", name)
		return exitMisuse
	}
}

func help(out io.Writer) int {
	fmt.Fprint(out, `holdfast: retries, circuit breakers and rate limits that a whole fleet shares

  holdfast demo      a fleet of processes goes through an outage, and is judged
  holdfast version   what this is
  holdfast help      this

holdfast demo -h lists the flags of the demo.
`)
	return exitOK
}
