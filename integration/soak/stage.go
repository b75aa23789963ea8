package main

import (
	"context"
	"errors"
	"strings"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/holdfast-go/holdfast/internal/redisserver"
)

// A stage is a Redis and a way to it, both of which can be broken.
type stage struct {
	server *redisserver.Server
	way    *toxiproxy.Proxy
	admin  *redis.Client // straight to the server
}

// raise starts a stage. The server writes down what it is told, so that its keys
// outlive it, as those of a real one do.
func raise(ctx context.Context) (*stage, error) {
	server, err := redisserver.Start(ctx, redisserver.Config{Args: []string{
		"--appendonly", "yes", "--appendfsync", "everysec", "--auto-aof-rewrite-min-size", "16mb",
	}})
	if err != nil {
		return nil, err
	}
	owner := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	s := &stage{
		server: server,
		way:    toxiproxy.NewProxy(owner, "way", "127.0.0.1:0", server.Addr()),
		admin:  redis.NewClient(&redis.Options{Addr: server.Addr(), PoolSize: 1}),
	}
	if err := s.way.Start(); err != nil {
		return nil, errors.Join(err, s.lower())
	}
	return s, nil
}

// lower takes a stage down.
func (s *stage) lower() error {
	s.way.Stop()
	return errors.Join(s.admin.Close(), s.server.Stop())
}

// poison makes things go wrong on the way, as toxiproxy's JSON says.
func (s *stage) poison(toxic string) error {
	_, err := s.way.Toxics.AddToxicJson(strings.NewReader(toxic))
	return err
}

func (s *stage) heal(ctx context.Context) { s.way.Toxics.ResetToxics(ctx) }
