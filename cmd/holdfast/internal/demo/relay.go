package demo

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
)

// A relay stands in front of the store, passes on what the replicas send and
// counts their commands: so the count is right whoever else uses the store, and
// whatever the replicas believe. Setting up a connection counts too.
type relay struct {
	listener net.Listener
	dial     func(context.Context) (net.Conn, error)
	commands atomic.Int64
	wait     sync.WaitGroup

	mu     sync.Mutex
	open   map[net.Conn]struct{}
	closed bool
}

// startRelay starts one to a server at that address, with TLS where it is
// configured. It must be closed.
func startRelay(ctx context.Context, network, addr string, secret *tls.Config) (*relay, error) {
	listener, err := listenLocally(ctx)
	if err != nil {
		return nil, err
	}
	r := &relay{listener: listener, open: make(map[net.Conn]struct{})}
	r.dial = func(ctx context.Context) (net.Conn, error) {
		if secret != nil {
			return (&tls.Dialer{Config: secret}).DialContext(ctx, network, addr)
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r.wait.Go(func() {
		defer cancel()
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // closed
			}
			r.wait.Go(func() { r.pass(ctx, conn) })
		}
	})
	return r, nil
}

func (r *relay) addr() string { return r.listener.Addr().String() }

// count is how many commands came so far.
func (r *relay) count() int64 { return r.commands.Load() }

// close ends all connections.
func (r *relay) close() error {
	err := r.listener.Close()
	r.mu.Lock()
	r.closed = true
	for conn := range r.open {
		_ = conn.Close()
	}
	r.mu.Unlock()
	r.wait.Wait()
	return err
}

// pass serves one connection until either end closes it.
func (r *relay) pass(ctx context.Context, client net.Conn) {
	if !r.keep(client) {
		return
	}
	defer r.drop(client)
	server, err := r.dial(ctx)
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
	sent := bufio.NewReader(io.TeeReader(client, server))
	for readCommand(sent) == nil {
		r.commands.Add(1)
	}
	_, _ = io.Copy(io.Discard, sent) // what is no command is passed on all the same
	_ = server.Close()
	<-back
}

// keep remembers a connection, so that close can end it.
func (r *relay) keep(conn net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
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

// readCommand reads one command as clients send it: an array of bulk strings.
// See https://redis.io/docs/latest/develop/reference/protocol-spec.
func readCommand(from *bufio.Reader) error {
	words, err := readCount(from, '*')
	for ; words > 0 && err == nil; words-- {
		var length int
		if length, err = readCount(from, '$'); err == nil {
			_, err = from.Discard(length + len("\r\n"))
		}
	}
	return err
}

func readCount(from *bufio.Reader, kind byte) (int, error) {
	line, err := from.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	if line[0] != kind {
		return 0, errNoCommand
	}
	n, err := strconv.Atoi(string(bytes.TrimSpace(line[1:])))
	if err != nil || n < 0 {
		return 0, errNoCommand
	}
	return n, nil
}
