package demo

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// requestPatience is how long a connection may stay silent.
const requestPatience = time.Second

// A brokenNetwork is what a replica meets whose own way to the downstream is
// broken: it accepts connections, and resets each in the middle of its first
// request. To the replica that looks as if the downstream did it.
type brokenNetwork struct {
	listener net.Listener
	wait     sync.WaitGroup
}

func startBrokenNetwork(ctx context.Context) (*brokenNetwork, error) {
	listener, err := listenLocally(ctx)
	if err != nil {
		return nil, err
	}
	b := &brokenNetwork{listener: listener}
	b.wait.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // closed
			}
			b.wait.Go(func() { reset(conn) })
		}
	})
	return b, nil
}

// reset waits for the beginning of a request and ends its connection in the
// rudest way there is. Before that, it would look like a connection that could
// not be made.
func reset(conn net.Conn) {
	patience := time.AfterFunc(requestPatience, func() { _ = conn.Close() })
	_, _ = conn.Read(make([]byte, 1))
	patience.Stop()
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

func (b *brokenNetwork) addr() string { return b.listener.Addr().String() }

// close makes the port one that nobody listens on.
func (b *brokenNetwork) close() error {
	err := b.listener.Close()
	b.wait.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
