package storetest

import (
	"testing"
	"time"
)

// TestMembers is the conformance suite of a [port.MemberStore].
func TestMembers(t *testing.T, newStore Maker) {
	t.Helper()
	clock := newClock()
	members := newStore(t, clock.now).Members
	for i, step := range []struct {
		after   time.Duration
		replica string
		lasting time.Duration
		live    int
		why     string
	}{
		{0, "a", 10 * time.Second, 1, "the first one"},
		{0, "b", 20 * time.Second, 2, "and another"},
		{0, "a", 10 * time.Second, 2, "a beat again is no new member"},
		{9 * time.Second, "b", 20 * time.Second, 2, "a is still there"},
		{time.Second, "b", 20 * time.Second, 1, "and is not, exactly when its time is over"},
		{-time.Hour, "a", 10 * time.Second, 2, "a clock that stepped back"},
		{19 * time.Second, "c", time.Second, 2, "b lasts no longer than it said, a was forgotten"},
		{time.Second, "c", 0, 0, "leaving ends it at once"},
	} {
		clock.move(step.after)
		live, err := members.Beat(t.Context(), step.replica, step.lasting)
		if err != nil || live != step.live {
			t.Fatalf("step %d: Beat(%q, %v) = %d, %v; want %d: %s", i, step.replica, step.lasting, live, err, step.live, step.why)
		}
	}
}
