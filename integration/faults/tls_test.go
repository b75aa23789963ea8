package faults

import (
	"crypto/tls"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/redisserver"
)

// certificateIsReplaced: the server shows one that the replica cannot believe,
// as after a rotation that forgot its clients.
func certificateIsReplaced(t *testing.T) {
	port, err := redisserver.FreePort(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	known, strange := newAuthority(t), newAuthority(t)
	server := redisserver.ForTest(t)
	settle(t, server, append(certificate(t, known), "tls-port", port, "tls-auth-clients", "no"))
	r := joinRig(t, server, plan{
		addr:    net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
		options: func(o *redis.Options) { o.TLSConfig = &tls.Config{RootCAs: known.Pool()} },
	})
	r.goThrough(outage{
		breaks: func() {
			settle(t, server, certificate(t, strange))
			r.must(r.admin.Do(r.Context(), "client", "kill", "type", "normal", "skipme", "yes").Err()) // who is in stays in, else
		},
		mends:  func() { settle(t, server, certificate(t, known)) },
		config: true, inDoubt: true, atOnce: true, says: "certificate",
	})
}

func newAuthority(t *testing.T) *redisserver.Authority {
	t.Helper()
	a, err := redisserver.NewAuthority(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// certificate is the settings of a server that shows a new one.
func certificate(t *testing.T, a *redisserver.Authority) (words []any) {
	t.Helper()
	settings, err := a.Certify(t.TempDir(), time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range settings {
		words = append(words, word)
	}
	return words
}

// settle changes settings of a server, all at once.
func settle(t *testing.T, server *redisserver.Server, words []any) {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer client.Close()
	if err := client.Do(t.Context(), append([]any{"config", "set"}, words...)...).Err(); err != nil {
		t.Fatal(err)
	}
}
