package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/internal/redisserver"
)

// What the parent says to replicas about the dependency.
const (
	lineDown = "down"
	lineUp   = "up"
)

// patience is how long anything may take that has no bound of its own.
const patience = 30 * time.Second

var (
	errLate = errors.New("did not happen in time")
	errSet  = errors.New("the machine's clock was set: measure again")
	errEnd  = errors.New("a replica ended")
)

// A troop is the replica processes of one rate.
type troop struct {
	all   []*process
	heard chan told
}

// A told is a word and who said it; a word of a replica that ended has no meaning.
type told struct {
	word

	who   int
	ended bool
}

type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
}

// measure plays all rates of a plan, each with a Redis and processes of its own.
func measure(ctx context.Context, p plan, progress io.Writer) (figures, error) {
	f := figures{Replicas: p.replicas, Deaf: p.deaf, Bound: bound.Microseconds()}
	for _, rate := range p.rates {
		fmt.Fprintf(progress, "%d replicas, %d calls a second each: %d trips …\n", p.replicas, rate, p.trips)
		r, err := play(ctx, p, rate)
		if err != nil {
			return f, fmt.Errorf("at %d calls a second: %w", rate, err)
		}
		f.Rows = append(f.Rows, r)
	}
	return f, nil
}

// play plays the trips of one rate.
func play(ctx context.Context, p plan, rate int) (row, error) {
	server, err := redisserver.Start(ctx, redisserver.Config{})
	if err != nil {
		return row{}, err
	}
	defer func() { _ = server.Stop() }()
	f := &troop{heard: make(chan told, 64*p.replicas)}
	defer f.stop()
	for range p.replicas {
		if err := f.start(ctx, order{Addr: server.Addr(), Rate: rate, Deaf: p.deaf, OpenFor: p.openFor()}); err != nil {
			return row{}, err
		}
	}
	if _, err := f.await(ctx, "every replica knows the breaker", func(t told) bool { return t.Known }); err != nil {
		return row{}, err
	}
	var trips []trip
	for len(trips) < p.trips {
		t, err := f.round(ctx)
		if err != nil {
			return row{}, fmt.Errorf("trip %d: %w", len(trips)+1, err)
		}
		trips = append(trips, t)
	}
	return summary(rate, trips), nil
}

// start starts one more replica process.
func (f *troop) start(ctx context.Context, o order) error {
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	own, err := os.Executable()
	if err != nil {
		return err
	}
	p := &process{cmd: exec.CommandContext(context.WithoutCancel(ctx), own)} //nolint:gosec // this program itself
	p.cmd.Env = append(os.Environ(), replicaEnv+"="+string(text))
	p.cmd.Stderr = os.Stderr
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	who := len(f.all)
	f.all = append(f.all, p)
	go f.listen(who, stdout)
	return nil
}

// listen takes what a replica says, until it ends.
func (f *troop) listen(who int, from io.Reader) {
	for lines := json.NewDecoder(bufio.NewReader(from)); ; {
		t := told{who: who}
		if lines.Decode(&t.word) != nil {
			t.ended = true
		}
		f.heard <- t
		if t.ended {
			return
		}
	}
}

// stop lets all replicas end, and hears them out.
func (f *troop) stop() {
	for _, p := range f.all {
		_ = p.stdin.Close()
	}
	for running := len(f.all); running > 0; {
		if t := <-f.heard; t.ended {
			running--
		}
	}
	for _, p := range f.all {
		_ = p.cmd.Wait()
	}
}

// say tells every replica about the dependency.
func (f *troop) say(line string) error {
	for _, p := range f.all {
		if _, err := io.WriteString(p.stdin, line+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// await returns the first word of each replica for which is holds.
func (f *troop) await(ctx context.Context, what string, is func(told) bool) ([]told, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("%s: %w", what, errLate))
	defer cancel()
	first := make([]told, len(f.all))
	seen := make([]bool, len(f.all))
	for missing := len(f.all); missing > 0; {
		select {
		case t := <-f.heard:
			if t.ended {
				return nil, errEnd
			}
			if is(t) && !seen[t.who] {
				first[t.who], seen[t.who] = t, true
				missing--
			}
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return first, nil
}

// round lets the dependency fail until every replica knows that the fleet is open,
// and then lets the fleet recover.
func (f *troop) round(ctx context.Context) (t trip, err error) {
	if err := sleep(ctx, 200*time.Millisecond+rand.N(500*time.Millisecond)); err != nil {
		return t, err // no round begins at the same point of the replicas' refreshes as the one before
	}
	w := watch{now()}
	if err := f.say(lineDown); err != nil {
		return t, err
	}
	opened, err := f.await(ctx, "every replica knows that the fleet is open", func(t told) bool {
		return t.State != "" && t.State != domain.StateClosed.String()
	})
	if err != nil {
		return t, err
	}
	if moved := w.moved(); moved > time.Millisecond {
		return t, fmt.Errorf("by %v: %w", moved, errSet)
	}
	if err := f.say(lineUp); err != nil {
		return t, err
	}
	closed, err := f.await(ctx, "every replica knows that the fleet is closed", func(t told) bool {
		return t.State == domain.StateClosed.String()
	})
	if err != nil {
		return t, err
	}
	return newTrip(opened, closed), nil
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
