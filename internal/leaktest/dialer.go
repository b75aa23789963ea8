package leaktest

import (
	"context"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
)

// Dialer returns what dials TCP as a [net.Dialer] does. t fails if a connection
// is open after the cleanups that come later than this.
func Dialer(t TB) func(ctx context.Context, network, addr string) (net.Conn, error) {
	t.Helper()
	var open atomic.Int64
	t.Cleanup(func() {
		left := await(func() string {
			if n := open.Load(); n != 0 {
				return strconv.FormatInt(n, 10)
			}
			return ""
		})
		if left != "" {
			t.Errorf("leaktest: connections that are left open: %s", left)
		}
	})
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		if tcp, ok := conn.(*net.TCPConn); ok && err == nil {
			open.Add(1)
			return &counted{TCPConn: tcp, closed: sync.OnceFunc(func() { open.Add(-1) })}, nil
		}
		return conn, err
	}
}

// counted is still a TCP connection to those who look, as clients do that test
// whether one is alive.
type counted struct {
	*net.TCPConn

	closed func()
}

func (c *counted) Close() error {
	defer c.closed()
	return c.TCPConn.Close()
}
