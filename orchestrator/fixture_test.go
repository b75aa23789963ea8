package orchestrator_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/internal/leaktest"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
)

var (
	errBackend = errors.New("backend")
	errOther   = errors.New("other")
)

// newOrchestrator joins a fleet of its own, and leaves it when the test ends.
func newOrchestrator(tb testing.TB, c orchestrator.Config) *orchestrator.Orchestrator {
	tb.Helper()
	leaktest.Check(tb)
	o, err := orchestrator.New(memory.New(memory.Options{}).Stores(), c)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := o.Close(context.WithoutCancel(tb.Context())); err != nil {
			tb.Error(err)
		}
	})
	return o
}

func newGuard(
	tb testing.TB, o *orchestrator.Orchestrator, name string, p hold.Policy, opts ...orchestrator.GuardOption,
) *orchestrator.Guard {
	tb.Helper()
	g, err := o.Guard(name, p, opts...)
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

func answer(context.Context) (int, error) { return 42, nil }

// A backend counts its calls and answers them with the errors given, one after
// the other, the last one again and again.
type backend struct {
	calls int
	errs  []error
}

func failing(errs ...error) *backend { return &backend{errs: errs} }

func (b *backend) call(context.Context) (int, error) {
	b.calls++
	return b.calls, b.errs[min(b.calls, len(b.errs))-1]
}

// wants checks how often the function ran.
func (b *backend) wants(t *testing.T, calls int) {
	t.Helper()
	if b.calls != calls {
		t.Errorf("the function ran %d times; want %d", b.calls, calls)
	}
}

// wantIs checks that err matches all of targets.
func wantIs(t *testing.T, err error, targets ...error) {
	t.Helper()
	for _, target := range targets {
		if !errors.Is(err, target) {
			t.Errorf("error %v; want it to match %v", err, target)
		}
	}
}

// wantIsNot checks that err matches none of targets.
func wantIsNot(t *testing.T, err error, targets ...error) {
	t.Helper()
	for _, target := range targets {
		if errors.Is(err, target) {
			t.Errorf("error %v; want it not to match %v", err, target)
		}
	}
}

// wantElapsed checks the time since start, exactly: a bubble has no delays.
func wantElapsed(t *testing.T, start time.Time, want time.Duration) {
	t.Helper()
	if got := time.Since(start); got != want {
		t.Errorf("it took %s; want %s", got, want)
	}
}

// exactly is a retry whose pauses are d without jitter.
func exactly(attempts int, d time.Duration) hold.Retry {
	return hold.Retry{MaxAttempts: attempts, Backoff: hold.Fixed(d)}
}

func findBreaker(t *testing.T, o *orchestrator.Orchestrator, name string) *fleet.Breaker {
	t.Helper()
	b, ok := o.CircuitBreaker(name)
	if !ok {
		t.Fatalf("there is no breaker %q", name)
	}
	return b
}

// wantClosed checks that a breaker is closed, and what it counted in its window.
func wantClosed(t *testing.T, o *orchestrator.Orchestrator, name string, calls, failures int64) {
	t.Helper()
	s := findBreaker(t, o, name).Status()
	if s.State != hold.StateClosed || s.Calls != calls || s.Failures != failures {
		t.Errorf("breaker %q is %s and counted %d calls, %d failures; want it closed, %d, %d",
			name, s.State, s.Calls, s.Failures, calls, failures)
	}
}

// remaining asks a limit how many tokens there are.
func remaining(t *testing.T, o *orchestrator.Orchestrator, name, key string) int64 {
	t.Helper()
	l, ok := o.RateLimiter(name)
	if !ok {
		t.Fatalf("there is no limit %q", name)
	}
	d, err := l.Peek(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return d.Remaining
}

// summaries keeps what an observer sees at the end of each call.
type summaries struct {
	mu   sync.Mutex
	list []orchestrator.Summary
}

func (*summaries) Start(ctx context.Context, _ string) context.Context { return ctx }

func (s *summaries) End(_ context.Context, one orchestrator.Summary) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, one)
}

func (s *summaries) all() []orchestrator.Summary {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.list)
}

// An eventList keeps the events of an orchestrator.
type eventList struct {
	mu   sync.Mutex
	list []hold.Event
}

func (l *eventList) config() fleet.Config {
	return fleet.Config{OnEvent: func(e hold.Event) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.list = append(l.list, e)
	}}
}

func (l *eventList) kinds() (kinds []hold.EventKind) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.list {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}
