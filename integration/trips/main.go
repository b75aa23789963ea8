// Command trips measures how long it takes from the trip of a breaker until every
// replica of a fleet rejects: so many processes, each with a replica and its calls,
// and a real Redis on loopback. The dependency fails for all of them at once, the
// fleet opens by their votes, and each process notes when its view of the fleet
// turned. `make trips` runs it where a Redis is to be had.
//
//	cd integration && ../scripts/with-redis go run ./trips
//	cd integration && ../scripts/with-redis go run ./trips -deaf -trips 20 -rates 50
//
// The trip itself is an instant that the store gives: the epoch that it begins is
// the server's time in µs, and all processes of one machine read the same clock. A
// round in which that clock was set is refused.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The exit statuses.
const (
	exitOK     = 0
	exitFail   = 1 // it could not be measured, or a replica learnt of a trip later than it may
	exitMisuse = 2 // the command line cannot be meant
)

func main() {
	if order := os.Getenv(replicaEnv); order != "" {
		os.Exit(replicaMain(order, os.Stdin, os.Stdout, os.Stderr))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// A plan is what to measure.
type plan struct {
	replicas, trips int
	rates           []int // calls a second, of each replica
	deaf            bool  // no push arrives
}

// run is main with its surroundings as arguments. It returns the exit status.
func run(ctx context.Context, args []string, out, errs io.Writer) int {
	p, asJSON, err := parse(args, errs)
	if err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(errs, "trips:", err)
		}
		return exitMisuse
	}
	progress := out
	if asJSON {
		progress = errs // standard output has the figures, and nothing else
	}
	figures, err := measure(ctx, p, progress)
	if err != nil {
		fmt.Fprintln(errs, "trips:", err)
		return exitFail
	}
	if asJSON {
		err = json.NewEncoder(out).Encode(figures)
	} else {
		err = figures.print(out)
	}
	if err != nil {
		fmt.Fprintln(errs, "trips:", err)
		return exitFail
	}
	if figures.late() {
		return exitFail
	}
	return exitOK
}

var errMeant = errors.New("cannot be meant")

func parse(args []string, errs io.Writer) (p plan, asJSON bool, err error) {
	flags := flag.NewFlagSet("trips", flag.ContinueOnError)
	flags.SetOutput(errs)
	flags.IntVar(&p.replicas, "replicas", 16, "how many processes, at least 2")
	flags.IntVar(&p.trips, "trips", 200, "how often the breaker trips, at each rate")
	flags.BoolVar(&p.deaf, "deaf", false, "let no push arrive: replicas learn of a trip by their reads")
	rates := flags.String("rates", "50,100,200,500", "calls a second of each replica")
	flags.BoolVar(&asJSON, "json", false, "print the figures as JSON")
	if err := flags.Parse(args); err != nil {
		return p, asJSON, err
	}
	for text := range strings.SplitSeq(*rates, ",") {
		rate, err := strconv.Atoi(text)
		if err != nil || rate < 1 || rate > 10_000 {
			return p, asJSON, fmt.Errorf("-rates %q: %w", *rates, errMeant)
		}
		p.rates = append(p.rates, rate)
	}
	if p.replicas < 2 || p.trips < 1 || flags.NArg() > 0 {
		return p, asJSON, fmt.Errorf("%d replicas, %d trips, %q: %w", p.replicas, p.trips, flags.Args(), errMeant)
	}
	return p, asJSON, nil
}

// The breaker's numbers: rounds are to be short, and yet no replica may miss one.
const (
	openFor     = 300 * time.Millisecond
	openForDeaf = 2 * time.Second // longer than the bound of a lost push
)

func (p plan) openFor() time.Duration {
	if p.deaf {
		return openForDeaf
	}
	return openFor
}
