package demo

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// TestTheDoorCountsWhatTheServerGets: no more, no less, relayed or not.
func TestTheDoorCountsWhatTheServerGets(t *testing.T) {
	server := miniredis.RunT(t)
	relay := newRelay(t.Context(), "tcp", server.Addr(), nil)
	d, err := openDoor(t.Context(), relay.serve)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{Addr: d.addr()})
	long := strings.Repeat("*1\r\n$4\r\n", 10_000) // looks like commands, and is longer than any buffer on the way
	if err := client.Set(t.Context(), "a", long, 0).Err(); err != nil {
		t.Fatal(err)
	}
	pipe := client.Pipeline()
	var last *redis.StringCmd
	for range 10 {
		last = pipe.Get(t.Context(), "a")
	}
	if _, err := pipe.Exec(t.Context()); err != nil || last.Val() != long {
		t.Fatalf("the pipeline failed, or changed on its way: %v", err)
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	if err := d.close(); err != nil {
		t.Fatal(err)
	}
	relay.close()
	if got, want := d.commands.Load(), int64(server.CommandCount()); got != want || got < 11 {
		t.Errorf("counted %d commands; the server had %d", got, want)
	}
}

func TestCommandsAreCountedInWhateverPiecesTheyCome(t *testing.T) {
	const sent = "*2\r\n$3\r\nGET\r\n$8\r\n*1\r\n$1\r\n\r\n" + "*1\r\n$0\r\n\r\n" + "*1\r\n$4\r\nPING\r\n"
	for size := 1; size <= len(sent); size++ {
		var total atomic.Int64
		c := commandCounter{total: &total}
		for rest := sent; rest != ""; {
			n := min(size, len(rest))
			c.saw([]byte(rest[:n]))
			rest = rest[n:]
		}
		if got := total.Load(); got != 3 {
			t.Errorf("in pieces of %d: counted %d; want 3", size, got)
		}
	}
}

func TestARelayWithoutAServerEndsItsConnections(t *testing.T) {
	relay := newRelay(t.Context(), "tcp", "127.0.0.1:1", nil) // nobody is there
	d, err := openDoor(t.Context(), relay.serve)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{Addr: d.addr(), MaxRetries: -1})
	defer client.Close()
	if err := client.Ping(t.Context()).Err(); err == nil {
		t.Error("a relay without a server answered")
	}
	if err := d.close(); err != nil {
		t.Error(err)
	}
	relay.close()
}
