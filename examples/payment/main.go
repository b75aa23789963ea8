// Command payment is the example service: payments over HTTP, gRPC and GraphQL, under the
// policies of its domain.
//
//	go run .                          # one replica, everything in memory
//	go run . --redis localhost:6379   # one of a fleet: start as many as you like
//	go run . load                     # two replicas under load, and a verdict
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/holdfast-go/holdfast/examples/payment/load"
)

// The exit statuses.
const (
	exitOK     = 0
	exitFail   = 1
	exitMisuse = 2
)

func main() {
	if is, err := load.Replica(os.Stdin, os.Stdout); is {
		os.Exit(status(err))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status(err))
}

func status(err error) int {
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errMisuse):
		return exitMisuse
	default:
		fmt.Fprintln(os.Stderr, "payment:", err)
		return exitFail
	}
}

// errMisuse is a command line that cannot be meant; flag has said why.
var errMisuse = errors.New("misuse")

// run is main with its surroundings as arguments.
func run(ctx context.Context, args []string, out, errs io.Writer) error {
	if len(args) > 0 && args[0] == "load" {
		return runLoad(ctx, args[1:], out, errs)
	}
	return runServe(ctx, args, out, errs)
}

func runLoad(ctx context.Context, args []string, out, errs io.Writer) error {
	flags := flag.NewFlagSet("payment load", flag.ContinueOnError)
	flags.SetOutput(errs)
	var p load.Plan
	flags.IntVar(&p.Replicas, "replicas", 2, "how many replicas")
	flags.IntVar(&p.Rate, "rate", 5000, "requests a second, of all together")
	flags.DurationVar(&p.For, "for", 10*time.Second, "for how long")
	flags.StringVar(&p.Redis, "redis", "", "address of a Redis; a stand-in otherwise")
	if err := flags.Parse(args); err != nil {
		return errors.Join(errMisuse, err)
	}
	return p.Run(ctx, out) //nolint:wrapcheck // it says what is wrong
}
