package orchestrator_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
)

type spanKey struct{}

// A notebook writes down what an observer is told.
type notebook struct {
	started []string
	ended   []orchestrator.Summary
	spans   []any // what the contexts of End carry
}

func (n *notebook) Start(ctx context.Context, guard string) context.Context {
	n.started = append(n.started, guard)
	return context.WithValue(ctx, spanKey{}, len(n.started))
}

func (n *notebook) End(ctx context.Context, s orchestrator.Summary) {
	n.ended = append(n.ended, s)
	n.spans = append(n.spans, ctx.Value(spanKey{}))
}

func TestObserver(t *testing.T) {
	timed := hold.Timeout{Duration: time.Second}
	for _, tt := range []struct {
		name   string
		policy hold.Policy
		calls  int // before the one that is looked at
		ctx    func(t *testing.T) context.Context
		fn     func(context.Context) (int, error)
		want   orchestrator.Summary // without Err
		err    error
	}{
		{
			name: "a success", policy: hold.Retry{}, fn: answer,
			want: orchestrator.Summary{Guard: "g", Attempts: 1},
		},
		{
			name: "retries, with their pauses", policy: exactly(3, time.Second), fn: failing(errBackend, errBackend, nil).call,
			want: orchestrator.Summary{Guard: "g", Attempts: 3, Duration: 2 * time.Second},
		},
		{
			name: "a failure", policy: exactly(2, time.Second), fn: failing(errBackend).call,
			want: orchestrator.Summary{Guard: "g", Attempts: 2, Duration: time.Second, Outcome: hold.Failure}, err: hold.ErrRetryExhausted,
		},
		{
			name: "a local failure", policy: hold.None{}, fn: failing(hold.MarkLocal(errBackend)).call,
			want: orchestrator.Summary{Guard: "g", Attempts: 1, Outcome: hold.LocalFailure}, err: errBackend,
		},
		{
			name: "a refusal by a limit", policy: hold.RateLimit{Name: "l", Limit: hold.PerHour(1)}, calls: 1, fn: answer,
			want: orchestrator.Summary{
				Guard: "g", Outcome: hold.Ignored, RefusedBy: orchestrator.PartLimit, RefusedName: "l",
			}, err: hold.ErrRateLimited,
		},
		{
			name: "a refusal by a breaker, of the last attempt", policy: hold.Combine(exactly(3, time.Second), tripping(2)),
			fn: failing(errBackend).call,
			want: orchestrator.Summary{
				Guard: "g", Attempts: 2, Duration: 2 * time.Second, Outcome: hold.Ignored,
				RefusedBy: orchestrator.PartBreaker, RefusedName: "g",
			}, err: hold.ErrCircuitOpen,
		},
		{
			name:   "a refusal of an attempt before the last",
			policy: hold.Combine(exactly(2, time.Second), hold.RateLimit{Limit: hold.PerMinute(1)}), calls: 1, fn: answer,
			want: orchestrator.Summary{Guard: "g", Attempts: 1, Duration: time.Minute},
		},
		{
			name: "a timeout", policy: timed, fn: hang,
			want: orchestrator.Summary{Guard: "g", Attempts: 1, Duration: time.Second, Outcome: hold.Failure}, err: hold.ErrTimeout,
		},
		{
			name: "a caller who is gone before", policy: timed, fn: answer,
			ctx: func(t *testing.T) context.Context {
				t.Helper()
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				return ctx
			},
			want: orchestrator.Summary{Guard: "g", Outcome: hold.Ignored}, err: context.Canceled,
		},
		{
			name: "a caller whose deadline passes", policy: timed, fn: hang,
			ctx: func(t *testing.T) context.Context {
				t.Helper()
				ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
				t.Cleanup(cancel)
				return ctx
			},
			want: orchestrator.Summary{Guard: "g", Attempts: 1, Duration: time.Millisecond, Outcome: hold.Ignored},
			err:  context.DeadlineExceeded,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				book := &notebook{}
				g := newGuard(t, newOrchestrator(t, orchestrator.Config{Observer: book}), "g", tt.policy)
				for range tt.calls {
					_, _ = orchestrator.Do(t.Context(), g, answer)
				}
				ctx := t.Context()
				if tt.ctx != nil {
					ctx = tt.ctx(t)
				}
				_, err := orchestrator.Do(ctx, g, func(ctx context.Context) (int, error) {
					if ctx.Value(spanKey{}) != tt.calls+1 {
						t.Error("the function does not run in the observer's context")
					}
					return tt.fn(ctx)
				})
				if len(book.ended) != tt.calls+1 || len(book.started) != tt.calls+1 || book.started[tt.calls] != "g" {
					t.Fatalf("started %v, ended %d times", book.started, len(book.ended))
				}
				got := book.ended[tt.calls]
				if got.Err != err || tt.err != nil && !errors.Is(err, tt.err) { //nolint:errorlint // the caller's very error
					t.Errorf("the observer got %v, the caller %v; want %v", got.Err, err, tt.err)
				}
				got.Err = nil
				if got != tt.want || book.spans[tt.calls] != tt.calls+1 {
					t.Errorf("summary %+v in span %v; want %+v", got, book.spans[tt.calls], tt.want)
				}
			})
		})
	}
}

// TestObserverSeesPanics: after everything was released, and in its own context.
func TestObserverSeesPanics(t *testing.T) {
	for name, exit := range exits {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				book := &notebook{}
				o := newOrchestrator(t, orchestrator.Config{Observer: book})
				g := newGuard(t, o, "g", hold.Combine(exactly(3, time.Second), hold.Timeout{Duration: time.Minute}, tripping(9)))
				runs := 0
				leaves(t, g, func(context.Context) (int, error) {
					runs++
					if runs == 2 {
						exit()
					}
					return 0, errBackend
				})
				want := orchestrator.Summary{Guard: "g", Attempts: 2, Duration: time.Second, Outcome: hold.Failure, Panicked: true}
				if len(book.ended) != 1 || book.ended[0] != want || book.spans[0] != 1 {
					t.Errorf("summaries %+v in spans %v; want %+v", book.ended, book.spans, want)
				}
				wantClosed(t, o, "g", 2, 2)
			})
		})
	}
}

// A heckler is an observer that gives no context and panics at the end.
type heckler struct{}

func (heckler) Start(context.Context, string) context.Context { return nil }
func (heckler) End(context.Context, orchestrator.Summary)     { panic(errOther) }

// TestPanicOfAnObserver: it is the caller's to see, and nothing is counted twice.
func TestPanicOfAnObserver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{Observer: heckler{}})
		g := newGuard(t, o, "g", tripping(9))
		if value := leaves(t, g, answer); value != errOther { //nolint:errorlint // the same value
			t.Errorf("it panicked with %v", value)
		}
		wantClosed(t, o, "g", 1, 0)
	})
}

func TestPartNames(t *testing.T) {
	for want, p := range map[string]orchestrator.Part{
		"none": orchestrator.PartNone, "breaker": orchestrator.PartBreaker, "limit": orchestrator.PartLimit, "unknown": 9,
	} {
		if got := p.String(); got != want {
			t.Errorf("Part(%d).String() = %q; want %q", p, got, want)
		}
	}
}
