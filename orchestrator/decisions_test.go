package orchestrator_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
)

// TestTell: the function of a call can read what the limits said, and so can its caller
// when one of them refused.
func TestTell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, newOrchestrator(t, orchestrator.Config{}), "g", hold.Combine(
			exactly(2, time.Second),
			hold.RateLimit{Name: "all", Limit: hold.PerHour(10)},
			hold.RateLimit{Name: "each", Limit: hold.PerHour(2), Keyed: true}))
		told := func(fn func(context.Context) (int, error)) []orchestrator.LimitDecision {
			var said orchestrator.Decisions
			_, _ = orchestrator.Do(t.Context(), g, func(ctx context.Context) (int, error) {
				if got := said.All(); len(got) != 2 {
					t.Errorf("the function sees %+v", got)
				}
				return fn(ctx)
			}, orchestrator.Key("k"), orchestrator.Tell(&said))
			return said.All()
		}
		granted := func(limit string, left int64) orchestrator.LimitDecision {
			return orchestrator.LimitDecision{Limit: limit, Decision: hold.Decision{Allowed: true, Granted: 1, Remaining: left}}
		}
		if got, want := told(answer), []orchestrator.LimitDecision{granted("all", 9), granted("each", 1)}; !slices.Equal(got, want) {
			t.Errorf("at first %+v; want %+v", got, want)
		}
		refusal := orchestrator.LimitDecision{Limit: "each", Decision: hold.Decision{RetryAfter: 30*time.Minute - time.Second}}
		got := told(failing(errBackend).call) // the second try is refused
		if want := []orchestrator.LimitDecision{granted("all", 7), refusal}; !slices.Equal(got, want) {
			t.Errorf("then %+v; want %+v", got, want)
		}
	})
}
