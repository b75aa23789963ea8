package demo

import (
	"bytes"
	"context"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
)

// A door is where the replicas enter the store. It counts their commands as they
// come in, each connection's setting-up too: so the count is right whoever else
// uses the store, and whatever the replicas believe.
type door struct {
	listener net.Listener
	commands atomic.Int64
	wait     sync.WaitGroup
}

// openDoor hands each connection to serve, which must not block. It must be
// closed; the connections are serve's.
func openDoor(ctx context.Context, serve func(net.Conn)) (*door, error) {
	listener, err := listenLocally(ctx)
	if err != nil {
		return nil, err
	}
	d := &door{listener: listener}
	d.wait.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // closed
			}
			serve(&countedConn{Conn: conn, commands: commandCounter{total: &d.commands}})
		}
	})
	return d, nil
}

func (d *door) addr() string { return d.listener.Addr().String() }

func (d *door) close() error {
	err := d.listener.Close()
	d.wait.Wait()
	return err
}

// A countedConn counts the commands that are read from it.
type countedConn struct {
	net.Conn

	commands commandCounter
}

func (c *countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.commands.saw(b[:n])
	return n, err
}

// A commandCounter counts commands in what a client sends, in whatever pieces it
// comes: each is an array of bulk strings, "*<n>\r\n" and n times
// "$<length>\r\n<bytes>\r\n". See
// https://redis.io/docs/latest/develop/reference/protocol-spec.
type commandCounter struct {
	total *atomic.Int64
	line  []byte // the beginning of a line whose end has not come
	skip  int    // bytes of a string that are still to come
}

func (c *commandCounter) saw(b []byte) {
	for len(b) > 0 {
		if c.skip > 0 {
			n := min(c.skip, len(b))
			c.skip -= n
			b = b[n:]
			continue
		}
		line, rest, ended := bytes.Cut(b, []byte("\n"))
		c.line = append(c.line, line...)
		b = rest
		if ended {
			c.sawLine(bytes.TrimSpace(c.line))
			c.line = c.line[:0]
		}
	}
}

func (c *commandCounter) sawLine(line []byte) {
	switch {
	case len(line) == 0:
	case line[0] == '*':
		c.total.Add(1)
	case line[0] == '$':
		if n, err := strconv.Atoi(string(line[1:])); err == nil && n >= 0 {
			c.skip = n + len("\r\n")
		}
	}
}
