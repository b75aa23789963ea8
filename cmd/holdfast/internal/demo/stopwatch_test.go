package demo

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/domain"
)

// TestStopwatch takes what a call waits for breaker and limit, and nothing else.
func TestStopwatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := stopwatch{clock: newClock()}
		s.begin()
		time.Sleep(3 * ms) // at the store
		s.admitted()
		time.Sleep(time.Second) // at the downstream
		if !s.ended(errors.New("down")) {
			t.Error("an attempt that was admitted did not run")
		}
		time.Sleep(retryPause)
		time.Sleep(4 * ms) // at the store again
		if s.ended(domain.MarkRetryAfter(errors.New("refused"), 300*ms)) {
			t.Error("an attempt that was refused ran")
		}
		time.Sleep(300 * ms)
		time.Sleep(5 * ms)
		s.admitted()
		time.Sleep(time.Second)
		if s.atStore != 12*ms {
			t.Errorf("at the store for %s; want 12ms", s.atStore)
		}
	})
}
