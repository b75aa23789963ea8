package demo

import (
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

func TestRelayPassesOnAndCountsEveryCommand(t *testing.T) {
	server := miniredis.RunT(t)
	r, err := startRelay(t.Context(), "tcp", server.Addr(), nil)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{Addr: r.addr()})
	long := strings.Repeat("x", 100_000) // more than any buffer on the way
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
	if err := r.close(); err != nil {
		t.Fatal(err)
	}
	if got, want := r.count(), int64(server.CommandCount()); got != want || got < 11 {
		t.Errorf("counted %d commands; the server had %d", got, want)
	}
}

func TestRelayEndsItsConnections(t *testing.T) {
	r, err := startRelay(t.Context(), "tcp", "127.0.0.1:1", nil) // nobody is there
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{Addr: r.addr(), MaxRetries: -1})
	defer client.Close()
	if err := client.Ping(t.Context()).Err(); err == nil {
		t.Error("a relay without a server answered")
	}
	if err := r.close(); err != nil {
		t.Error(err)
	}
}
