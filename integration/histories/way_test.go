package histories

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/integration/internal/resp"
)

// A way is the way of one worker to the server. It loses replies and resets
// connections, and notes when the server executed what.
type way struct {
	listener net.Listener
	loses    atomic.Int64 // of 1,000 replies to scripts
	resets   atomic.Int64 // of 1,000 requests, half of them before the server has them
	replies  *atomic.Int64
	serving  sync.WaitGroup

	mu       sync.Mutex
	rng      *rand.Rand
	server   string                    // "" = there is none; who comes, waits
	changed  chan struct{}             // closed when there is another one
	conns    map[*net.TCPConn]struct{} // to the server
	idle     chan struct{}             // closed when there is none of them
	executed map[uint64][]int64
	lost     int // replies
	reset    int // requests
}

// startWay starts a way to the server. It ends with the test.
func startWay(t *testing.T, server string, seed uint64, replies *atomic.Int64) *way {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &way{
		listener: listener, rng: rand.New(rand.NewPCG(seed, 9)), replies: replies,
		server: server, changed: make(chan struct{}), conns: make(map[*net.TCPConn]struct{}), executed: make(map[uint64][]int64),
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	w.serving.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			w.serving.Go(func() { w.serve(ctx, client.(*net.TCPConn)) })
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = listener.Close()
		w.serving.Wait()
	})
	return w
}

func (w *way) addr() string { return w.listener.Addr().String() }

// lead sends new connections to server from now on.
func (w *way) lead(server string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.server = server
	close(w.changed)
	w.changed = make(chan struct{})
}

// leave leads nobody to the server any more, and waits until it has answered
// what it was asked. Who comes later waits for another one.
func (w *way) leave(t *testing.T) {
	t.Helper()
	w.mu.Lock()
	w.server = ""
	idle := make(chan struct{})
	w.idle = idle
	for conn := range w.conns {
		_ = conn.CloseWrite()
	}
	w.rest()
	w.mu.Unlock()
	wait(t, idle)
}

// rest tells when no connection is left. It requires that w.mu is held.
func (w *way) rest() {
	if len(w.conns) == 0 && w.idle != nil {
		close(w.idle)
		w.idle = nil
	}
}

// drain waits until all is said on connections whose clients have ended.
func (w *way) drain(t *testing.T) {
	t.Helper()
	_ = w.listener.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.serving.Wait()
	}()
	wait(t, done)
}

func wait(t *testing.T, done <-chan struct{}) {
	t.Helper()
	const longest = 20 * time.Second
	select {
	case <-done:
	case <-time.After(longest):
		t.Fatalf("a server did not answer all that it was asked within %v", longest)
	}
}

// dial connects to the server that there is, or will be.
func (w *way) dial(ctx context.Context) (*net.TCPConn, error) {
	for {
		w.mu.Lock()
		server, changed := w.server, w.changed
		w.mu.Unlock()
		if server == "" {
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-changed:
			}
			continue
		}
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", server)
		if err != nil {
			return nil, err
		}
		if tcp := conn.(*net.TCPConn); w.keep(tcp, server) {
			return tcp, nil
		}
		_ = conn.Close()
	}
}

// keep notes a connection to a server, unless that was left meanwhile.
func (w *way) keep(conn *net.TCPConn, server string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.server != server {
		return false
	}
	w.conns[conn] = struct{}{}
	return true
}

// forget closes a connection.
func (w *way) forget(conn *net.TCPConn) {
	_ = conn.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.conns, conn)
	w.rest()
}

// serve carries one connection, until both sides or the way have ended.
func (w *way) serve(ctx context.Context, client *net.TCPConn) {
	defer client.Close()
	defer context.AfterFunc(ctx, func() { _ = client.Close() })()
	var number [8]byte
	if _, err := io.ReadFull(client, number[:]); err != nil {
		return
	}
	server, err := w.dial(ctx)
	if err != nil {
		return
	}
	defer w.forget(server)
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	var up sync.WaitGroup
	up.Go(func() { w.requests(client, server) })
	w.answers(binary.BigEndian.Uint64(number[:]), client, server)
	_ = client.Close()
	up.Wait()
}

// requests carries what the client says. What the server has got is executed and
// answered, though nobody may hear it: that side stays open.
func (w *way) requests(client, server *net.TCPConn) {
	defer func() { _ = server.CloseWrite() }()
	buffer := make([]byte, 64<<10)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		resets, before := carriesScript(buffer[:n]) && w.chance(&w.resets, &w.reset), w.coin()
		if !resets || !before {
			if _, err := server.Write(buffer[:n]); err != nil {
				return
			}
		}
		if resets {
			_ = client.SetLinger(0)
			_ = client.Close()
			return
		}
	}
}

// answers carries what the server says. Where a reply is lost the connection is
// dead from there on: it is closed, or nothing comes any more. What the server
// executes is noted all the same, until it has nothing more to say.
func (w *way) answers(number uint64, client io.WriteCloser, server io.Reader) {
	dead := false
	from := bufio.NewReader(server)
	for {
		raw := &bytes.Buffer{}
		v, err := resp.Read(from, raw)
		if err != nil {
			return
		}
		reply, ok := v.([]any)
		if ok && len(reply) >= 3 && reply[0] == int64(1) {
			w.note(number, reply)
			if w.chance(&w.loses, &w.lost) {
				dead = true
				if w.coin() {
					_ = client.Close()
				}
			}
		}
		if !dead {
			_, err := client.Write(raw.Bytes())
			dead = err != nil
		}
	}
}

// note keeps when the server executed something. Too late is not executed.
func (w *way) note(number uint64, reply []any) {
	at, _ := reply[1].(int64)
	w.replies.Add(1)
	if reply[2] != int64(0) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.executed[number] = append(w.executed[number], at)
}

// chance draws whether a fault happens that does so perMille times of 1,000, and
// counts it.
func (w *way) chance(perMille *atomic.Int64, count *int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.rng.Int64N(1000) >= perMille.Load() {
		return false
	}
	*count++
	return true
}

func (w *way) coin() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rng.IntN(2) == 0
}

// log is when the server executed what came by which connection.
func (w *way) log() map[uint64][]int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.executed
}
