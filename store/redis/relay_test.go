package redisstore

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
)

// What a relay does to replies.
const (
	relayPass  = int32(iota) // hands them on
	relayDrop                // swallows them, and says nothing
	relayClose               // closes the connection in their place, after the server's answer
)

// A relay stands between a client and a server, and can lose the replies to
// scripts. Connections may still be made.
type relay struct {
	addr    string
	mode    atomic.Int32
	scripts atomic.Int64 // how many commands with a script went to the server
}

func newRelay(t *testing.T, server string) *relay {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	r := &relay{addr: listener.Addr().String()}
	serveUntilEnd(t, listener, func(down net.Conn) {
		up, err := new(net.Dialer).DialContext(t.Context(), "tcp", server)
		if err != nil {
			return
		}
		defer up.Close()
		var scripted atomic.Bool // there was one on this connection
		go func() {
			defer down.Close()
			r.replies(up, down, &scripted)
		}()
		r.commands(down, up, &scripted)
	})
	return r
}

// commands counts commands with a script, and then hands them on: who has a
// reply finds its command counted.
func (r *relay) commands(from io.Reader, to io.Writer, scripted *atomic.Bool) {
	var counted bytes.Buffer
	in := bufio.NewReader(io.TeeReader(from, &counted))
	for {
		args, err := readCommand(in)
		if err != nil {
			return
		}
		if verb := strings.ToLower(args[0]); verb == "evalsha" || verb == "eval" {
			r.scripts.Add(1)
			scripted.Store(true)
		}
		if in.Buffered() > 0 {
			continue
		}
		if _, err := counted.WriteTo(to); err != nil {
			return
		}
	}
}

// replies hands replies on, or loses them.
func (r *relay) replies(from io.Reader, to io.Writer, scripted *atomic.Bool) {
	buffer := make([]byte, 1<<16)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		switch mode := r.mode.Load(); {
		case mode == relayPass || !scripted.Load():
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		case mode == relayClose:
			return
		}
	}
}
