package redisstore

import (
	"context"
	"sync"
	"time"
)

// now and until are the package's only readings of the local clock: they serve
// to tell the server how late is too late, never to decide.
func now() time.Time { return time.Now() } //nolint:forbidigo // see above

func until(t time.Time) time.Duration { return time.Until(t) } //nolint:forbidigo // see above

// A serverClock is what was last heard of a server's clock: its time while
// executing a call, and when that call was sent. The zero one has heard nothing.
type serverClock struct {
	mu          sync.Mutex
	serverMicro int64
	sent        time.Time
}

func (c *serverClock) hear(serverMicro int64, sent time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.serverMicro, c.sent = serverMicro, sent
}

// notAfter is the server's time, in Unix µs, at which ctx will have ended: a
// call that is executed later must not be. It is 0 before anything was heard,
// and without a deadline. It errs on the late side by less than a round trip,
// since a call is executed after it is sent.
func (c *serverClock) notAfter(ctx context.Context) int64 {
	deadline, ok := ctx.Deadline()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !ok || c.serverMicro == 0 {
		return 0
	}
	return c.serverMicro + deadline.Sub(c.sent).Microseconds()
}
