package memory

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/holdfast-go/holdfast/domain/port"
)

// Who has watched and left is not told any more, and leaves no place behind.
func TestWatchersLeaveNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{})
		for range 3 {
			ctx, leave := context.WithCancel(t.Context())
			for range 10 {
				go func() { _ = s.Stores().Views.Watch(ctx, func(port.ID, port.View) {}) }()
			}
			synctest.Wait()
			if n := len(s.breakers.watchers); n != 10 {
				t.Errorf("%d watchers; want 10", n)
			}
			leave()
			synctest.Wait()
			if n := len(s.breakers.watchers); n != 0 {
				t.Errorf("%d watchers are left", n)
			}
		}
	})
}
