package demo

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"sync"
)

// A relay passes connections on to a server elsewhere.
type relay struct {
	dial   func(context.Context) (net.Conn, error)
	ctx    context.Context //nolint:containedctx // the life of the connections that this owns
	cancel context.CancelFunc
	wait   sync.WaitGroup

	mu   sync.Mutex
	open map[net.Conn]struct{}
}

// newRelay returns one to a server at that address, with TLS where it is
// configured. It must be closed.
func newRelay(ctx context.Context, network, addr string, secret *tls.Config) *relay {
	r := &relay{open: make(map[net.Conn]struct{})}
	r.ctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	r.dial = func(ctx context.Context) (net.Conn, error) {
		if secret != nil {
			return (&tls.Dialer{Config: secret}).DialContext(ctx, network, addr)
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	return r
}

// serve passes one connection on, until either end closes it.
func (r *relay) serve(client net.Conn) { r.wait.Go(func() { r.pass(client) }) }

func (r *relay) pass(client net.Conn) {
	if !r.keep(client) {
		return
	}
	defer r.drop(client)
	server, err := r.dial(r.ctx)
	if err != nil || !r.keep(server) {
		return
	}
	defer r.drop(server)
	back := make(chan struct{})
	go func() {
		defer close(back)
		_, _ = io.Copy(client, server)
		_ = client.Close()
	}()
	_, _ = io.Copy(server, client)
	_ = server.Close()
	<-back
}

// close ends all connections.
func (r *relay) close() {
	r.mu.Lock()
	r.cancel()
	for conn := range r.open {
		_ = conn.Close()
	}
	r.mu.Unlock()
	r.wait.Wait()
}

// keep remembers a connection, so that close can end it.
func (r *relay) keep(conn net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ctx.Err() != nil {
		_ = conn.Close()
		return false
	}
	r.open[conn] = struct{}{}
	return true
}

func (r *relay) drop(conn net.Conn) {
	_ = conn.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, conn)
}
