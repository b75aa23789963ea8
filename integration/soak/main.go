// Command soak lets a small fleet live under mixed load for a long time, while
// its Redis and the way to it break again and again, and tells whether anything
// grew: memory, goroutines, files, connections or Redis keys. `make soak` runs it
// where a Redis is to be had.
//
//	cd integration && ../scripts/with-redis go run ./soak -duration 10m
//
// It prints a line for each cycle of faults, measured at the same point of each,
// and ends in a verdict. judge.go says what counts as flat.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// The exit statuses.
const (
	exitOK     = 0
	exitFail   = 1 // something grew, or it could not be told
	exitMisuse = 2 // the command line cannot be meant
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	redis.SetLogger(quiet{})
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run is main with its surroundings as arguments. It returns the exit status.
func run(ctx context.Context, args []string, out, errs io.Writer) int {
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	flags.SetOutput(errs)
	duration := flags.Duration("duration", 10*time.Minute, "begin no further cycle after this time, and at least three")
	if err := flags.Parse(args); err != nil || flags.NArg() > 0 || *duration <= 0 {
		flags.Usage()
		return exitMisuse
	}
	fmt.Fprintf(out, "soak for %s, %s, %d processors\n", *duration, runtime.Version(), runtime.NumCPU())
	verdict, err := soak(ctx, plan{duration: *duration, hold: time.Second, residents: 3, callers: 6, pace: 8 * time.Millisecond}, out)
	if err != nil {
		fmt.Fprintln(errs, "soak:", err)
		return exitFail
	}
	if !verdict.flat() {
		return exitFail
	}
	return exitOK
}

// quiet keeps to itself what clients say about each connection that breaks: here
// they break all the time.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}
