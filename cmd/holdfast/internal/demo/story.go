package demo

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/domain"
)

// The story in beats from its start. What it waits for may take longer: then
// the rest comes later, and the end too, up to endLatest.
const (
	beatsInStory = 15
	aloneAt      = 2   // one replica's network breaks: connections are reset
	refusedAt    = 3.5 // and then not even made
	mendAt       = 4.5
	failAt       = 6 // the downstream fails everything
	recoverAt    = 7
	openLatest   = 10 // what does not happen is not waited for longer than this
	probeLatest  = 12
	closeLatest  = 14
	forceAt      = 12.5 // an operator stops all calls
	forcedBeats  = 1.25
	calmAtLeast  = 0.5
)

// victim is the replica whose network breaks.
const victim = 1

// A story is what happens in a run, in order, and what it leaves behind.
type story struct {
	cast     *cast
	options  Options
	stage    *Stage
	began    time.Duration
	killed   atomic.Int64 // the replica that was killed; 0 = none yet
	evidence evidence
}

// play plays it from beginning to end.
func (s *story) play(ctx context.Context) error {
	scene := s.options.scene()
	s.evidence = evidence{
		rate: s.options.Rate, burst: s.options.Burst, lent: s.options.Lease,
		lease: scene.Recovery, window: scene.Window, ramp: s.beats(rampBeats),
	}
	for _, next := range []func(context.Context) error{
		s.warmUp, s.breakOne, s.mendOne, s.failAll, s.recoverAll, s.rise, s.forceOpen, s.calmDown, s.end,
	} {
		if err := next(ctx); err != nil {
			return err
		}
	}
	return nil
}

// warmUp ends when the fleet's breaker is in the store: from then on its epoch
// can change.
func (s *story) warmUp(ctx context.Context) error {
	s.tell("all is well")
	if err := s.until(ctx, aloneAt, 0); err != nil {
		return err
	}
	return s.cast.watcher.until(ctx, s.left(mendAt), isThere)
}

// breakOne breaks the network of one replica, and only its.
func (s *story) breakOne(ctx context.Context) (err error) {
	if s.evidence.alone.before, err = s.tallies(ctx); err != nil {
		return err
	}
	s.evidence.alone.victim, s.evidence.alone.from = victim, s.cast.clock.now()
	s.tell(fmt.Sprintf("replica %d alone is broken: its connections are reset", victim))
	if err := s.cast.members[victim-1].reroute(s.cast.broken.addr()); err != nil {
		return err
	}
	if err := s.until(ctx, refusedAt, 1); err != nil {
		return err
	}
	s.tell(fmt.Sprintf("replica %d alone is broken: it cannot connect", victim))
	if err := s.cast.broken.close(); err != nil {
		return err
	}
	return s.until(ctx, mendAt, 0.5)
}

// mendOne mends it, and gives its breaker the time to notice.
func (s *story) mendOne(ctx context.Context) (err error) {
	s.tell(fmt.Sprintf("replica %d is mended", victim))
	if err := s.cast.members[victim-1].reroute(s.cast.downstream.addr()); err != nil {
		return err
	}
	if err := s.until(ctx, failAt, 1); err != nil {
		return err
	}
	s.evidence.alone.after, err = s.tallies(ctx)
	s.evidence.alone.to = s.cast.clock.now()
	return err
}

// failAll makes the downstream fail everything, until the fleet has tripped and
// has just opened, or opened again: then the recovery begins with a clean slate,
// with no failed probe in it.
func (s *story) failAll(ctx context.Context) error {
	s.tell("the downstream fails everything")
	s.cast.downstream.setFailing(true)
	if err := s.until(ctx, recoverAt, 0); err != nil {
		return err
	}
	return s.cast.watcher.until(ctx, s.left(openLatest), s.hasJustOpened)
}

// hasJustOpened reports whether the breaker is open, and will be for a while.
func (s *story) hasJustOpened(history []transition) bool {
	return stateOf(history) == domain.StateOpen && s.cast.clock.now()-history[len(history)-1].at < s.evidence.lease/2
}

// recoverAll makes the downstream well again, kills the replica that has the
// next probe while it has it, and waits until the breaker has closed.
func (s *story) recoverAll(ctx context.Context) error {
	caught := s.cast.downstream.trapProbe()
	s.tell("the downstream is well again; whoever probes first will be killed")
	s.cast.downstream.setFailing(false)
	place, err := s.awaitProbe(ctx, caught)
	if err != nil {
		return err
	}
	if place >= 0 {
		probe := s.cast.downstream.arrival(place)
		s.cast.members[probe.replica-1].kill()
		s.killed.Store(int64(probe.replica))
		s.evidence.killed = &probe
		s.tell(fmt.Sprintf("replica %d is killed, with its probe under way", probe.replica))
	}
	return s.cast.watcher.until(ctx, s.left(closeLatest), isClosed)
}

// awaitProbe waits for a probe to be caught; -1 when none comes.
func (s *story) awaitProbe(ctx context.Context, caught <-chan int) (place int, err error) {
	patience := time.NewTimer(s.left(probeLatest))
	defer patience.Stop()
	select {
	case place := <-caught:
		return place, nil
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	case <-patience.C:
	}
	s.cast.downstream.untrap()
	select {
	case place := <-caught: // at the last moment
		return place, nil
	default:
		return -1, nil
	}
}

// calmDown lets the fleet work for a while, all well again.
func (s *story) calmDown(ctx context.Context) error {
	return s.until(ctx, beatsInStory, calmAtLeast)
}

// end stops the replicas and gathers what is left.
func (s *story) end(ctx context.Context) (err error) {
	s.tell("the replicas stop")
	s.stage.close()
	if s.evidence.tallies, err = s.askAll(ctx, doStop); err != nil {
		return err
	}
	s.evidence.arrivals = s.cast.downstream.all()
	s.evidence.history, _ = s.cast.watcher.all()
	s.evidence.commands = s.cast.store.commands()
	return nil
}

// tallies asks all replicas what they counted up to now.
func (s *story) tallies(ctx context.Context) ([]tally, error) { return s.askAll(ctx, doTally) }

// askTimeout is how long all replicas together may take for an answer.
const askTimeout = 10 * time.Second

// askAll sends an order to all that live, and returns what all of them counted.
func (s *story) askAll(ctx context.Context, do string) ([]tally, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, askTimeout, fmt.Errorf("a replica does not answer to %q", do))
	defer cancel()
	counted := make([]tally, len(s.cast.members))
	for i, m := range s.cast.members {
		w, dead := m.latest()
		if !dead || int64(m.number) != s.killed.Load() {
			var err error
			if w, err = m.ask(ctx, do); err != nil {
				return nil, err
			}
		}
		counted[i] = w.Tally
	}
	return counted, nil
}

// until waits for a time of the story, and for so many beats at least: on a busy
// machine what was before may have taken longer.
func (s *story) until(ctx context.Context, beats, atLeast float64) error {
	return pause(ctx, max(s.left(beats), s.beats(atLeast)))
}

// left is how long it is to a time of the story; never negative.
func (s *story) left(beats float64) time.Duration {
	return max(s.beats(beats)-s.time(), 0)
}

// beats is how long so many of them take.
func (s *story) beats(n float64) time.Duration { return time.Duration(n * float64(s.options.beat())) }

// time is how old the story is.
func (s *story) time() time.Duration { return s.cast.clock.now() - s.began }

// tell says what goes on now.
func (s *story) tell(what string) { s.stage.tell(s, what) }
