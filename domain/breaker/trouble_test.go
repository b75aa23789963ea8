package breaker

import (
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/domain"
)

// The last trouble of the window is told, of whatever kind it was, by probes too.
func TestLastTrouble(t *testing.T) {
	t.Parallel()
	slow := domain.CircuitBreaker{SlowAfter: time.Second, SlowRatio: 1, MinCalls: 20, FailureThreshold: 4, Window: 10 * time.Second}
	for _, tt := range []struct {
		why   string
		calls string // capital letters are slow ones
		later time.Duration
		again string
		want  Trouble
	}{
		{"nothing seen", "", 0, "", NoTrouble},
		{"all went well", "sss", 0, "", NoTrouble},
		{"what says nothing is no trouble", "sI", 0, "", NoTrouble},
		{"a failure", "sfs", 0, "", TroubleFailure},
		{"a slow one is a failure first", "sFs", 0, "", TroubleFailure},
		{"a slow success", "fSs", 0, "", TroubleSlow},
		{"the last one counts", "Sfl", 0, "", TroubleOwn},
		{"slowness of its own is its own", "L", 0, "", TroubleOwn},
		{"for a window", "f", 10*time.Second - 1, "s", TroubleFailure},
		{"and not longer", "f", 10 * time.Second, "s", NoTrouble},
		{"an open layer has one", "llll", 0, "", TroubleOwn},
		{"a failed probe", "llll", 30 * time.Second, "f", TroubleFailure},
		{"a probe with trouble of its own", "ffff", 30 * time.Second, "l", TroubleOwn},
	} {
		b := newLone(t, slow)
		b.now = time.Hour
		b.timed(tt.calls)
		b.now += tt.later
		b.timed(tt.again)
		if got := b.Evidence(b.now).Last; got != tt.want {
			t.Errorf("%s: after %q, %v and %q: %v; want %v", tt.why, tt.calls, tt.later, tt.again, got, tt.want)
		}
	}
}
