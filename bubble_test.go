package holdfast_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
)

// TestInABubble shows how a user tests with time: in a bubble of testing/synctest
// the pauses, deadlines and recoveries of a guard take no time, and are exact.
func TestInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		orch, err := orchestrator.New(memory.New(memory.Options{}).Stores(), orchestrator.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = orch.Close(context.WithoutCancel(t.Context())) }() // or the bubble would not end
		guard, err := orch.Guard("inventory", hold.CircuitBreaker{FailureThreshold: 1, RecoveryTimeout: time.Hour})
		if err != nil {
			t.Fatal(err)
		}

		down := true
		fetch := func(context.Context) (int, error) {
			if down {
				return 0, errors.New("down")
			}
			return 7, nil
		}
		_, _ = orchestrator.Do(t.Context(), guard, fetch) // opens it
		down = false
		time.Sleep(59 * time.Minute)
		if _, err := orchestrator.Do(t.Context(), guard, fetch); !errors.Is(err, hold.ErrCircuitOpen) {
			t.Errorf("after 59 minutes: %v; want it still open", err)
		}
		time.Sleep(time.Minute)
		if stock, err := orchestrator.Do(t.Context(), guard, fetch); stock != 7 || err != nil {
			t.Errorf("after an hour: %d, %v; want a probe to pass", stock, err)
		}
	})
}
