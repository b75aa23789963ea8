package histories

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/redisserver"
)

// lag is how many replies the server gives that its replica hears nothing of.
const lag = 50

// failOver: the replica follows, then hears nothing any more; the server goes on
// answering, and is killed; the replica takes its place. So there is a moment of
// which it is known that all before it was kept, and one of which it is known
// that all after it was lost.
func failOver(f *fleet) {
	l := startLink(f.t, f.server.Addr())
	next := f.join(l)
	f.await(100)
	had := f.follows()
	l.cut()
	cut := serverNow()
	f.await(lag)
	from := monotonic()
	f.loseServer()
	at := serverNow()
	f.pass(next, "REPLICAOF", "NO", "ONE")
	f.history.lost(at, from, monotonic(), loss{hadMicro: had, cutMicro: cut})
	f.server = next
	f.lead()
	f.await(200)
}

// join starts a replica, and waits until it follows by the link.
func (f *fleet) join(l *link) *redisserver.Server {
	f.t.Helper()
	host, port, err := net.SplitHostPort(l.listener.Addr().String())
	if err != nil {
		f.t.Fatal(err)
	}
	f.pass(f.server, "CONFIG", "SET", "repl-diskless-sync-delay", "0") // no other one will join
	next := redisserver.ForTest(f.t)
	f.pass(next, "REPLICAOF", host, port)
	f.follows()
	return next
}

// follows waits until the replica has all that was executed up to a moment, and
// returns that: one that is not long ago, so that few states are in question.
func (f *fleet) follows() (hadMicro int64) {
	f.t.Helper()
	const longest = 20 * time.Second
	for start := time.Now(); time.Since(start) < longest; f.nextRound() { // it may take a second, and histories stay short
		hadMicro = serverNow()
		if f.followers(20*time.Millisecond) == 1 {
			return hadMicro
		}
	}
	f.t.Fatalf("the replica does not follow after %v", longest)
	return 0
}

// followers is how many replicas have, within a while, all that was executed up
// to now.
func (f *fleet) followers(within time.Duration) int64 {
	f.t.Helper()
	client := redis.NewClient(&redis.Options{Addr: f.server.Addr(), ReadTimeout: 2 * patience})
	defer client.Close()
	if err := client.Set(f.t.Context(), "mark", "", 0).Err(); err != nil {
		f.t.Fatal(err)
	}
	n, err := client.Wait(f.t.Context(), 1, within).Result()
	if err != nil {
		f.t.Fatal(err)
	}
	return n
}

// pass has a server do a command.
func (f *fleet) pass(server *redisserver.Server, words ...any) {
	f.t.Helper()
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer client.Close()
	if err := client.Do(f.t.Context(), words...).Err(); err != nil {
		f.t.Fatal(err)
	}
}

// A link is the way from a replica to its server, until it is cut: then both
// find it still there, and nothing comes by it.
type link struct {
	listener net.Listener
	mu       sync.Mutex
	isCut    bool
}

// startLink starts a link to the server. It ends with the test.
func startLink(t *testing.T, server string) *link {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &link{listener: listener}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var all sync.WaitGroup
	all.Go(func() {
		for {
			replica, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() { l.serve(ctx, replica, server) })
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = listener.Close()
		all.Wait()
	})
	return l
}

func (l *link) serve(ctx context.Context, replica net.Conn, server string) {
	defer replica.Close()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", server)
	if err != nil {
		return
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _, _ = replica.Close(), conn.Close() })()
	var up sync.WaitGroup
	up.Go(func() {
		_, _ = io.Copy(conn, replica)
		_ = conn.Close()
	})
	_, _ = io.Copy(whileWhole{l, replica}, conn)
	_ = replica.Close()
	up.Wait()
}

// cut cuts the link. When it returns, nothing comes by it any more.
func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isCut = true
}

// whileWhole writes what comes by a link that is not cut, and throws the rest away.
type whileWhole struct {
	link *link
	to   io.Writer
}

func (w whileWhole) Write(b []byte) (int, error) {
	w.link.mu.Lock()
	defer w.link.mu.Unlock()
	if w.link.isCut {
		return len(b), nil
	}
	return w.to.Write(b)
}
