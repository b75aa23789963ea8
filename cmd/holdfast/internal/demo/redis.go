package demo

import (
	"context"
	crand "crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/holdfast-go/holdfast/domain/port"
	redisstore "github.com/holdfast-go/holdfast/store/redis"
)

// ErrUnreachable says that the Redis that was named does not answer.
var ErrUnreachable = errors.New("cannot reach Redis")

// reachTimeout is how long Redis may take for its first answer.
const reachTimeout = 3 * time.Second

// A shared store is the Redis of one run: the one that was named, under a
// namespace of its own, or one in this process. The replicas reach it through
// the door, the parent directly.
type sharedStore struct {
	name     string // for people
	fleet    string // the namespace
	options  *redis.Options
	embedded *miniredis.Miniredis // nil: the one that was named
	client   *redis.Client        // the parent's
	ports    port.Stores          // over client
	relay    *relay               // nil: embedded
	door     *door                // nil: it was never reached
}

// openStore reaches the Redis at url, or starts one for "". It must be closed.
func openStore(ctx context.Context, url string) (s *sharedStore, err error) {
	redis.SetLogger(silent{})
	s = &sharedStore{name: "Redis", fleet: newNamespace()}
	if url == "" {
		s.name = "embedded"
		s.embedded = miniredis.NewMiniRedis()
		s.options = &redis.Options{Dialer: func(context.Context, string, string) (net.Conn, error) { return s.embedded.Dial() }}
	} else if s.options, err = parseURL(url); err != nil {
		return nil, err
	}
	s.options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	s.client = redis.NewClient(s.options)
	s.ports = redisstore.New(s.client, s.fleet, redisstore.Options{}).Stores()
	if err = s.reach(ctx); err == nil {
		s.door, err = openDoor(ctx, s.server(ctx))
	}
	if err != nil {
		return nil, errors.Join(err, s.close(ctx))
	}
	return s, nil
}

// server is what serves those who come in by the door.
func (s *sharedStore) server(ctx context.Context) func(net.Conn) {
	if s.embedded != nil {
		return s.embedded.Server().ServeConn
	}
	s.relay = newRelay(ctx, s.options.Network, s.options.Addr, s.options.TLSConfig)
	return s.relay.serve
}

// commands is how many commands the replicas have sent.
func (s *sharedStore) commands() int64 { return s.door.commands.Load() }

// parseURL reads a URL, or host:port. It does not repeat the URL in errors,
// since that may hold a password.
func parseURL(url string) (*redis.Options, error) {
	if !strings.Contains(url, "://") {
		url = "redis://" + url
	}
	options, err := redis.ParseURL(url)
	if err != nil {
		return nil, errors.New("--redis: not a URL such as redis://user:password@host:6379/0")
	}
	return options, nil
}

func (s *sharedStore) reach(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	if err := s.client.Time(ctx).Err(); err != nil {
		return fmt.Errorf("%w at %s: %w", ErrUnreachable, s.options.Addr, err)
	}
	return nil
}

// forReplicas says how replicas reach the store.
func (s *sharedStore) forReplicas() store {
	return store{
		Addr: s.door.addr(), Username: s.options.Username, Password: s.options.Password,
		DB: s.options.DB, Protocol: s.options.Protocol,
	}
}

// close removes what the run left behind, its own keys only, and ends the rest.
func (s *sharedStore) close(ctx context.Context) error {
	var errs []error
	if s.door != nil {
		errs = append(errs, s.door.close(), s.clean(ctx))
	}
	if s.relay != nil {
		s.relay.close()
	}
	errs = append(errs, s.client.Close())
	if s.embedded != nil {
		s.embedded.Close()
	}
	return errors.Join(errs...)
}

// cleanTimeout bounds the search for the run's keys among all others.
const cleanTimeout = 10 * time.Second

// clean deletes the keys of the run's namespace. They expire by themselves too.
func (s *sharedStore) clean(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTimeout)
	defer cancel()
	keys := s.client.Scan(ctx, 0, s.fleet+":*", 1000).Iterator()
	var own []string
	for keys.Next(ctx) {
		own = append(own, keys.Val())
	}
	err := keys.Err()
	if len(own) > 0 {
		err = errors.Join(err, s.client.Unlink(ctx, own...).Err())
	}
	if err != nil {
		return fmt.Errorf("the keys %s:* could not be removed, and expire by themselves: %w", s.fleet, err)
	}
	return nil
}

// newNamespace is a fleet's name that no other run has.
func newNamespace() string {
	var id [6]byte
	_, _ = crand.Read(id[:]) // never fails
	return "demo-" + hex.EncodeToString(id[:])
}

// silent takes the lines that go-redis would write to the terminal.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}
