package orchestrator

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
)

// A Stream is a call under a guard that ends when its user says so, and not when a
// function returns: a stream of messages, or an answer that is read bit by bit. From
// [Open] to [Stream.Close] it holds what the guard's parts gave: its permits, its place
// in bulkheads, its lock. Its methods may be called by several goroutines.
type Stream struct {
	ctx      context.Context //nolint:containedctx // which the stream is to run in
	bare     bool
	answered atomic.Bool

	mu     sync.Mutex // of what is below
	walk   walk
	timers []*time.Timer // of probes
	ended  bool
	closed bool  // by Close
	err    error // what that said
}

// Open asks the parts of g for one call that is to run in [Stream.Context] and to end with
// Close, which must be called once what Open returned is not in use any more; the end of
// ctx alone does not. Its errors are those of [Do] for a call that does not come to run.
//
//	stream, err := orchestrator.Open(ctx, guard)
//	if err != nil {
//		return err
//	}
//	defer stream.Abandon() // does nothing after Close
//	…
//	return stream.Close(err)
//
// The order of the layers, and what each of them does, is as in Do, with these
// differences:
//
//   - A stream is never run again: a retry tries again only what was refused, in Open.
//   - A timeout bounds the whole stream.
//   - The probe of a half-open breaker does not end with its lease, since a stream may
//     live long and be well. Shortly before that, it is a success if the stream was
//     answered by then (see [Stream.Answered]), and says nothing otherwise, so that the
//     fleet may send another one. How the stream ends counts only if it ends before.
func Open(ctx context.Context, g *Guard, call ...Call) (*Stream, error) {
	if g == nil {
		return nil, misuse("Guard", "is nil")
	}
	s := &Stream{ctx: ctx, bare: g.bare}
	if s.bare {
		return s, nil
	}
	w := &s.walk
	w.stream = s
	opened := false
	defer func() {
		if !opened {
			w.release()
		}
	}()
	opened = w.start(ctx, g.plan.Load(), call) && w.next() //nolint:contextcheck // as above
	if !opened {
		w.finish() //nolint:contextcheck // as above
		return nil, w.err
	}
	w.repeat = Never
	s.ctx = w.ctx
	return s, nil
}

// Context is what the stream is to run in. It ends with that of Open, with a timeout of
// the guard, when the lock of an exclusive is lost; and where one of the latter was in
// force, with Close.
func (s *Stream) Context() context.Context { return s.ctx }

// Answered notes that the dependency has answered, if only with a part: a probe is then a
// success at the end of its lease.
func (s *Stream) Answered() { s.answered.Store(true) }

// Close ends the call with err, nil being a success, and returns what Do would return for
// a function that had returned err. Breakers hear of it, and everything that was held is
// released. The first Close, or Abandon, counts; a further Close returns what the first
// one did, and err after Abandon.
func (s *Stream) Close(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.end() {
		if s.closed {
			return s.err
		}
		return err
	}
	s.closed = true
	if s.bare {
		s.err = err
		return err
	}
	w := &s.walk
	defer w.release() // a classifier may panic
	w.err = err
	w.next() // outward: a walk that is not repeated does not come back
	w.finish()
	s.err = w.err
	return s.err
}

// Abandon ends the call as a panic of the function ends that of Do: as a failure. It is
// for a defer, and does nothing after Close.
func (s *Stream) Abandon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.end() && !s.bare {
		s.walk.release()
	}
}

// end reports whether the stream was not at its end before. It requires that s.mu is held.
func (s *Stream) end() bool {
	if s.ended {
		return false
	}
	s.ended = true
	for _, timer := range s.timers {
		timer.Stop()
	}
	return true
}

// probes has a permit reported before its lease ends, if the stream is not at its own end
// by then. A permit is reported once, so that the stream's end says nothing more.
func (s *Stream) probes(p fleet.Permit, lease time.Duration) {
	s.timers = append(s.timers, time.AfterFunc(lease-lease/10, func() {
		outcome := domain.Ignored
		if s.answered.Load() {
			outcome = domain.Success
		}
		p.Report(outcome)
	}))
}
