package redisstore

import (
	"context"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/internal/leaktest"
	"github.com/holdfast-go/holdfast/internal/redisserver"
)

// A watch that broke leaves no subscription behind: go-redis would go on with it,
// on a new connection, and nobody would listen.
func TestABrokenWatchLeavesNothing(t *testing.T) {
	leaktest.Check(t)
	server := redisserver.ForTest(t)
	admin := connect(t, server.Addr())
	s := New(connect(t, server.Addr()), newFleet(), Options{})
	// The collector closes what nobody closed, some time: it must not help here.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	listeners := func() int {
		list, err := admin.Do(t.Context(), "client", "list", "type", "pubsub").Text()
		must(t, err)
		return strings.Count(list, "\n")
	}
	until := func(want int) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); listeners() != want; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%d subscriptions; want %d", listeners(), want)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	for range 3 {
		ended := make(chan error, 1)
		go func() { ended <- s.Stores().Views.Watch(ctx, func(port.ID, port.View) {}) }()
		until(1)
		must(t, admin.Do(t.Context(), "client", "kill", "type", "pubsub").Err())
		if err := <-ended; err == nil {
			t.Error("the watch ended without an error")
		}
		until(0)
	}
	cancel() // one that is ended leaves nothing either
	if err := s.Stores().Views.Watch(ctx, func(port.ID, port.View) {}); err == nil {
		t.Error("the watch ended without an error")
	}
	until(0)
}
