package redisstore

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

// A fake is a server that gives to each script and read the answer that a test
// has made up, in the bytes of the protocol. It knows nothing else.
type fake struct {
	addr    string
	scripts atomic.Int64 // how many it was asked for
}

// newFake starts a fake and ends it with t. An empty answer closes the
// connection.
func newFake(t testing.TB, answer func(args []string) string) *fake {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	f := &fake{addr: listener.Addr().String()}
	serveUntilEnd(t, listener, func(conn net.Conn) {
		in := bufio.NewReader(conn)
		for {
			args, err := readCommand(in)
			if err != nil {
				return
			}
			reply := "-ERR unknown command\r\n" // HELLO and the like, which clients take well
			switch strings.ToLower(args[0]) {
			case "evalsha", "eval":
				f.scripts.Add(1)
				reply = answer(args)
			case "hmget", "time":
				reply = answer(args)
			}
			if _, err := io.WriteString(conn, reply); err != nil || reply == "" {
				return
			}
		}
	})
	return f
}

// serveUntilEnd accepts connections until t ends, and then closes all.
func serveUntilEnd(t testing.TB, listener net.Listener, serve func(net.Conn)) {
	t.Helper()
	conns := make(chan net.Conn, 1024)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conns <- conn
			go func() {
				defer conn.Close()
				serve(conn)
			}()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-ended
		close(conns)
		for conn := range conns {
			_ = conn.Close()
		}
	})
}

var errNotACommand = errors.New("not a command")

// readCommand reads an array of bulk strings, as clients send them.
func readCommand(in *bufio.Reader) ([]string, error) {
	n, err := readLength(in, '*')
	if err != nil || n < 1 {
		return nil, errors.Join(errNotACommand, err)
	}
	args := make([]string, n)
	for i := range args {
		size, err := readLength(in, '$')
		if err != nil {
			return nil, err
		}
		text := make([]byte, size+2)
		if _, err := io.ReadFull(in, text); err != nil {
			return nil, err
		}
		args[i] = string(text[:size])
	}
	return args, nil
}

func readLength(in *bufio.Reader, kind byte) (int, error) {
	line, err := in.ReadString('\n')
	if err != nil || line[0] != kind {
		return 0, errors.Join(errNotACommand, err)
	}
	return strconv.Atoi(strings.TrimSpace(line[1:]))
}
