package redisserver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

const pollInterval = 2 * time.Millisecond

// awaitAnswer waits until the process answers at addr, ends, or ctx is done.
func awaitAnswer(ctx context.Context, p *process, addr string) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		err := answers(ctx, addr, p.handle.Pid)
		if err == nil {
			return nil
		}
		select {
		case <-p.exited:
			return p.exitError()
		case <-ctx.Done():
			return fmt.Errorf("redisserver: no answer from %s: %w", addr, errors.Join(ctx.Err(), err))
		case <-ticker.C:
		}
	}
}

// answers reports whether the server at addr is ready, and is the process meant:
// another server may have taken the port first, and would answer just as well.
func answers(ctx context.Context, addr string, pid int) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })() // unblocks reads and writes

	if _, err := conn.Write([]byte("PING\r\nINFO server\r\n")); err != nil {
		return err
	}
	return readAnswer(bufio.NewReader(conn), pid)
}

// readAnswer reads the replies to PING and INFO. A server that wants a password
// is ready, and cannot be asked who it is.
func readAnswer(r *bufio.Reader, pid int) error {
	pong, err := r.ReadString('\n')
	switch {
	case err != nil:
		return err
	case strings.HasPrefix(pong, "-NOAUTH"):
		return nil
	case !strings.HasPrefix(pong, "+PONG"):
		return fmt.Errorf("answer to PING: %q", strings.TrimSpace(pong))
	}
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return err
		}
		if id, found := strings.CutPrefix(line, "process_id:"); found {
			return sameProcess(strings.TrimSpace(id), pid)
		}
	}
}

func sameProcess(id string, pid int) error {
	if id != strconv.Itoa(pid) {
		return fmt.Errorf("the port is held by process %s, not by the server started, %d", id, pid)
	}
	return nil
}
