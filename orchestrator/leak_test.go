package orchestrator_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
)

// A session is a caller's context that lives longer than its calls, and knows who
// waits for its end: package context asks it, and says when that is over.
type session struct {
	context.Context //nolint:containedctx // it is one

	mu      sync.Mutex
	waiting int
	most    int
}

// Value hides what is inside from package context, which would ask that.
func (*session) Value(any) any { return nil }

func (s *session) AfterFunc(f func()) (stop func() bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting++
	s.most = max(s.most, s.waiting)
	inner := context.AfterFunc(s.Context, f)
	return sync.OnceValue(func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.waiting--
		return inner()
	})
}

// However a call ends, its caller's context keeps nothing of it.
func TestCallersContextKeepsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{})
		g := newGuard(t, o, "g", hold.Combine(
			hold.Timeout{Duration: time.Minute}, exactly(3, time.Second), hold.Timeout{Duration: time.Second}, hold.CircuitBreaker{},
		))
		s := &session{Context: t.Context()}
		for name, f := range map[string]func(context.Context) error{
			"waits": func(ctx context.Context) error {
				<-ctx.Done()
				return ctx.Err()
			},
			"looks": func(ctx context.Context) error {
				_ = ctx.Done()
				return nil
			},
			"fails": func(ctx context.Context) error {
				_ = ctx.Done()
				return errBackend
			},
			"is quick": func(context.Context) error { return nil },
		} {
			_ = orchestrator.Run(s, g, f)
			if s.waiting != 0 {
				t.Errorf("%s: %d still wait for the end of the caller's context", name, s.waiting)
			}
		}
		func() {
			defer func() { _ = recover() }()
			_ = orchestrator.Run(s, g, func(ctx context.Context) error {
				_ = ctx.Done()
				panic("the function's own")
			})
		}()
		if s.waiting != 0 || s.most == 0 {
			t.Errorf("after a panic %d wait; there were %d at most", s.waiting, s.most)
		}
	})
}
