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

func open(t *testing.T, ctx context.Context, g *orchestrator.Guard, call ...orchestrator.Call) *orchestrator.Stream {
	t.Helper()
	s, err := orchestrator.Open(ctx, g, call...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestStreamIsOneCall: a breaker hears of a stream's end, once, and what the guard gave is
// held until then.
func TestStreamIsOneCall(t *testing.T) {
	for _, tt := range []struct {
		name            string
		end             func(cancel func(), s *orchestrator.Stream) error
		want            error
		calls, failures int64
	}{
		{"it went well", func(_ func(), s *orchestrator.Stream) error { return s.Close(nil) }, nil, 1, 0},
		{"it failed", func(_ func(), s *orchestrator.Stream) error { return s.Close(errBackend) }, errBackend, 1, 1},
		{"it has nothing to say", func(_ func(), s *orchestrator.Stream) error { return s.Close(hold.MarkIgnored(errBackend)) }, errBackend, 0, 0},
		{
			"its caller went away",
			func(cancel func(), s *orchestrator.Stream) error { cancel(); return s.Close(errBackend) },
			errBackend, 0, 0,
		},
		{
			"its time was up", // which ended its context
			func(_ func(), s *orchestrator.Stream) error { <-s.Context().Done(); return s.Close(errBackend) },
			hold.ErrTimeout, 1, 1,
		},
		{"it was abandoned", func(_ func(), s *orchestrator.Stream) error { s.Abandon(); return s.Close(nil) }, nil, 1, 1},
		{"it was abandoned too late", func(_ func(), s *orchestrator.Stream) error { defer s.Abandon(); return s.Close(nil) }, nil, 1, 0},
		{
			"it was closed twice",
			func(_ func(), s *orchestrator.Stream) error { _ = s.Close(errBackend); return s.Close(nil) },
			errBackend, 1, 1,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var seen summaries
				o := newOrchestrator(t, orchestrator.Config{Observer: &seen})
				g := newGuard(t, o, "g", hold.Combine(
					hold.Timeout{Duration: time.Minute}, hold.Retry{}, tripping(5), hold.Bulkhead{MaxConcurrent: 1}, hold.RateLimit{Limit: hold.PerHour(9)},
				))
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				s := open(t, ctx, g)
				if _, ok := s.Context().Deadline(); !ok {
					t.Error("its context has no deadline; want the timeout's")
				}
				wantClosed(t, o, "g", 0, 0)
				short, done := context.WithTimeout(t.Context(), time.Millisecond) // so that the retry does not go on
				_, err := orchestrator.Open(short, g)
				done()
				wantIs(t, err, hold.ErrBulkheadFull)

				err = tt.end(cancel, s)
				if tt.want == nil && err != nil {
					t.Errorf("Close = %v; want nothing", err)
				} else if tt.want != nil {
					wantIs(t, err, tt.want)
				}
				wantClosed(t, o, "g", tt.calls, tt.failures)
				if got := remaining(t, o, "g", ""); got != 8 {
					t.Errorf("there are %d tokens left; want that one call took one", got)
				}
				if s.Context().Err() == nil {
					t.Error("its context goes on")
				}
				if all := seen.all(); len(all) != 2 {
					t.Errorf("the observer saw %d calls; want the refused one and this", len(all))
				} else if all[0].RefusedBy != orchestrator.PartBulkhead || all[0].Panicked || all[1].Attempts != 1 {
					t.Errorf("the observer saw %+v; want one refused by the bulkhead, and one that ran once", all)
				}
				if err := open(t, t.Context(), g).Close(nil); err != nil { // there is room again
					t.Error(err)
				}
			})
		})
	}
}

// TestStreamThatIsRefused: nothing is held, and a retry tries again what was refused.
func TestStreamThatIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{})
		g := newGuard(t, o, "g", hold.Combine(
			exactly(2, time.Second), tripping(5), hold.Bulkhead{MaxConcurrent: 1}, hold.RateLimit{Keyed: true, Limit: hold.Per(1, time.Minute)},
		))
		say := []orchestrator.Call{orchestrator.Key("a"), orchestrator.RepeatIf(func(error) bool { return true })}
		if err := open(t, t.Context(), g, say...).Close(errBackend); err != errBackend { //nolint:errorlint // as it came
			t.Errorf("Close = %v; want the error as it came: a stream is not run again", err)
		}
		start := time.Now()
		s := open(t, t.Context(), g, say...)
		wantElapsed(t, start, time.Minute)
		if err := s.Close(nil); err != nil {
			t.Error(err)
		}

		_, err := orchestrator.Open(t.Context(), g)
		wantIs(t, err, hold.ErrKeyMissing)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = orchestrator.Open(ended, g, say...)
		wantIs(t, err, context.Canceled)
		_, err = orchestrator.Open(t.Context(), nil)
		wantIs(t, err, hold.ErrInvalidPolicy)
		wantClosed(t, o, "g", 1, 0) // the first one was long ago

		if err := open(t, t.Context(), g, orchestrator.Key("b")).Close(nil); err != nil {
			t.Errorf("what was refused kept its room: %v", err)
		}
	})
}

// TestStreamAsAProbe: it may outlive its lease, and is judged shortly before that by
// whether there was an answer; or by its end, if that comes first.
func TestStreamAsAProbe(t *testing.T) {
	const lease = 10 * time.Second
	for _, tt := range []struct {
		name string
		run  func(s *orchestrator.Stream)
		want hold.State
	}{
		{"it ends well", func(s *orchestrator.Stream) { _ = s.Close(nil) }, hold.StateClosed},
		{"it fails", func(s *orchestrator.Stream) { _ = s.Close(errBackend) }, hold.StateOpen},
		{"it goes on, and was answered", func(s *orchestrator.Stream) { s.Answered(); time.Sleep(lease) }, hold.StateClosed},
		{"it fails after that", func(s *orchestrator.Stream) { s.Answered(); time.Sleep(lease); _ = s.Close(errBackend) }, hold.StateClosed},
		{"it goes on without an answer", func(*orchestrator.Stream) { time.Sleep(lease) }, hold.StateHalfOpen},
	} {
		for name, sharing := range map[string]hold.Sharing{"local": hold.ShareLocal, "fleet": hold.ShareAny} {
			t.Run(tt.name+", "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o := newOrchestrator(t, orchestrator.Config{})
					g := newGuard(t, o, "g", hold.CircuitBreaker{
						FailureThreshold: 1, SuccessThreshold: 1, ProbeLease: lease, MaxHalfOpen: time.Hour, Sharing: sharing,
					})
					_ = open(t, t.Context(), g).Close(errBackend)
					s, err := orchestrator.Open(t.Context(), g)
					for errors.Is(err, hold.ErrCircuitOpen) {
						time.Sleep(time.Second)
						s, err = orchestrator.Open(t.Context(), g)
					}
					defer s.Abandon()
					_, err = orchestrator.Open(t.Context(), g)
					wantIs(t, err, hold.ErrCircuitOpen) // the lease is out
					tt.run(s)
					synctest.Wait()
					if s.Context().Err() != nil {
						t.Error("the lease ended it")
					}
					if got := findBreaker(t, o, "g").Status().State; got != tt.want {
						t.Fatalf("the breaker is %s; want it %s", got, tt.want)
					}
					if tt.want == hold.StateHalfOpen { // and another one may go out
						if err := open(t, t.Context(), g).Close(nil); err != nil {
							t.Error(err)
						}
					}
				})
			})
		}
	}
}

// TestStreamAndPanics: what panics in Open or Close leaves nothing held.
func TestStreamAndPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{})
		g := newGuard(t, o, "g", hold.Combine(hold.Bulkhead{MaxConcurrent: 1}, tripping(5), hold.Retry{}, hold.RateLimit{Keyed: true, Limit: hold.PerHour(9)}),
			orchestrator.Classify(func(error) hold.Outcome { panic("boom") }),
			orchestrator.RetryIf(func(error) bool { panic("boom") }))
		panics := func(f func()) {
			defer func() {
				if recover() == nil {
					t.Error("it did not panic")
				}
			}()
			f()
		}
		panics(func() { _, _ = orchestrator.Open(t.Context(), g) }) // refused, and RetryIf is asked about that
		panics(func() { _ = open(t, t.Context(), g, orchestrator.Key("a")).Close(errBackend) })
		if err := open(t, t.Context(), g, orchestrator.Key("a")).Close(nil); err != nil {
			t.Error(err)
		}
		wantClosed(t, o, "g", 2, 1)
	})
}

func TestStreamInBypass(t *testing.T) {
	g := newGuard(t, orchestrator.Bypass(), "g", hold.Combine(hold.RateLimit{Limit: hold.PerHour(1)}, hold.Timeout{Duration: time.Second}))
	for range 3 {
		s := open(t, t.Context(), g)
		s.Answered()
		if _, limited := s.Context().Deadline(); limited {
			t.Error("its time is bounded; want it bare")
		}
		if err := s.Close(errBackend); !errors.Is(err, errBackend) {
			t.Errorf("Close = %v", err)
		}
		s.Abandon()
	}
}
