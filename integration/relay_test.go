package integration

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/holdfast-go/holdfast/integration/internal/resp"
)

// A relay stands between one process and Redis. It reads what passes, so that a
// test knows what the server did, also where nobody else learns it, and it loses
// replies: a command whose reply it loses was executed.
type relay struct {
	server   string
	listener net.Listener
	lose     atomic.Int64 // of 1,000 replies to scripts
	mute     atomic.Bool  // lose all of them

	mu    sync.Mutex
	rng   *rand.Rand
	takes []taken
	stats relayStats
}

// A taken is one script that decided about tokens.
type taken struct {
	atMicro int64 // the server's clock, as the script read it
	tokens  int64
	lost    bool // its reply was not delivered
}

type relayStats struct {
	decided int // scripts that were executed and decided something, or beat
	stale   int // that came too late, and so did nothing
	unknown int // NOSCRIPT
	lost    int // replies that were not delivered
	clocks  int // requests that bring a clock of the caller's
	odd     int // requests that this relay does not understand
}

// startRelay starts a relay to the server. It ends with the test.
func startRelay(t *testing.T, server string, seed uint64) *relay {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{server: server, listener: listener, rng: rand.New(rand.NewPCG(seed, 7))}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var all sync.WaitGroup
	all.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() { r.serve(ctx, client) })
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = listener.Close()
		all.Wait()
	})
	return r
}

func (r *relay) addr() string { return r.listener.Addr().String() }

// serve relays one connection, both ways, until one side or the relay ends.
func (r *relay) serve(ctx context.Context, client net.Conn) {
	defer client.Close()
	server, err := new(net.Dialer).DialContext(ctx, "tcp", r.server)
	if err != nil {
		return
	}
	defer server.Close()
	defer context.AfterFunc(ctx, func() { _, _ = client.Close(), server.Close() })()

	asked := make(chan command, 1024) // in the order in which they are answered
	var up sync.WaitGroup
	up.Go(func() {
		defer close(asked)
		// What was sent is executed and answered, though nobody may hear it.
		defer func() { _ = server.(*net.TCPConn).CloseWrite() }()
		from := bufio.NewReader(client)
		for {
			raw := &bytes.Buffer{}
			v, err := resp.Read(from, raw)
			if err != nil {
				return
			}
			asked <- readCommand(v)
			if _, err := server.Write(raw.Bytes()); err != nil {
				return
			}
		}
	})
	r.answers(client, bufio.NewReader(server), asked)
	_ = client.Close()
	for range asked { //nolint:revive // lets the other side end
	}
	up.Wait()
}

// answers passes replies on. Where it loses one, the connection is dead from
// there on: either closed, or nothing comes any more; what the server answers is
// still noted.
func (r *relay) answers(client io.WriteCloser, from *bufio.Reader, asked <-chan command) {
	silent := false
	for {
		raw := &bytes.Buffer{}
		v, err := resp.Read(from, raw)
		if err != nil {
			return
		}
		c, ok := <-asked
		if !ok {
			return
		}
		lost, closes := r.fate(c)
		silent = silent || lost
		r.note(c, v, silent)
		switch {
		case lost && closes:
			_ = client.Close()
		case silent:
		default:
			if _, err := client.Write(raw.Bytes()); err != nil {
				silent = true // the client is gone; the server may not be done
			}
		}
	}
}

// fate decides what becomes of the reply to c.
func (r *relay) fate(c command) (lost, closes bool) {
	if !c.script {
		return false, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mute.Load() {
		return true, false
	}
	return r.rng.Int64N(1000) < r.lose.Load(), r.rng.IntN(2) == 0
}

// note keeps what the server did.
func (r *relay) note(c command, reply any, lost bool) {
	if !c.script {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if lost {
		r.stats.lost++
	}
	if c.clock {
		r.stats.clocks++
	}
	if c.odd {
		r.stats.odd++
	}
	switch items := reply.(type) {
	case resp.Error:
		r.stats.unknown++
	case []any:
		if number(items, 2) != 0 && len(c.costs) > 0 {
			r.stats.stale++
			return
		}
		r.stats.decided++
		if tokens := c.tokens(items); tokens > 0 {
			r.takes = append(r.takes, taken{number(items, 1), tokens, lost})
		}
	}
}

// log returns all that was noted so far.
func (r *relay) log() ([]taken, relayStats) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]taken(nil), r.takes...), r.stats
}

// A command is what a relay has to know of a request.
type command struct {
	script bool
	clock  bool    // it brings a time to decide at
	odd    bool    // it has not the form that is described
	costs  [][]ask // of bucket_take: for each key, its asks
}

type ask struct {
	cost, count int64
	bill        bool
}

// readCommand reads EVALSHA and EVAL: verb, script, number of keys, the keys
// themselves, and what the header of bucket_take.lua describes.
func readCommand(v any) command {
	words, _ := v.([]any)
	text := func(i int) (s string) {
		if i < len(words) {
			s, _ = words[i].(string)
		}
		return s
	}
	n := func(i int) int64 { x, _ := strconv.ParseInt(text(i), 10, 64); return x }
	if len(words) < 5 || !strings.HasPrefix(strings.ToLower(text(0)), "eval") {
		return command{}
	}
	keys := int(n(2))
	at := 3 + keys
	c := command{script: true, clock: text(at) != "0"}
	if !strings.Contains(text(3), ":{b") {
		return c
	}
	at += 2
	for len(c.costs) < keys && at < len(words) {
		same, asks := n(at+1), make([]ask, n(at+2))
		at += 3
		for i := range asks {
			asks[i] = ask{cost: n(at), count: n(at + 1), bill: n(at+1) == 0}
			at += 2
			if asks[i].bill {
				at++
			}
		}
		c.costs = append(c.costs, slices.Repeat([][]ask{asks}, int(same))...)
	}
	c.odd = at != len(words) || len(c.costs) != keys
	return c
}

// tokens is how many tokens a reply grants. What is billed was admitted before.
func (c command) tokens(reply []any) (tokens int64) {
	at := 3
	for _, asks := range c.costs {
		if number(reply, at) < 0 { // granted whole
			tokens += asks[0].cost * max(asks[0].count, -asks[0].count)
			at++
			continue
		}
		at += 2
		for _, a := range asks {
			if !a.bill {
				tokens += a.cost * number(reply, at)
			}
			at += 4
		}
	}
	return tokens
}

func number(items []any, i int) int64 {
	if i >= len(items) {
		return 0
	}
	x, _ := items[i].(int64)
	return x
}
