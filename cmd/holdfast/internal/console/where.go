package console

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	redisstore "github.com/holdfast-go/holdfast/store/redis"
)

// where is the fleet that a command is about.
type where struct {
	redis   string
	cluster bool
	fleet   string
}

// The environment that stands in for flags.
const (
	envRedis = "HOLDFAST_REDIS"
	envFleet = "HOLDFAST_FLEET"

	nearRedis = "redis://127.0.0.1:6379"
)

func (w *where) flags(f *flag.FlagSet, getenv func(string) string) {
	f.StringVar(&w.redis, "redis", cmp.Or(getenv(envRedis), nearRedis),
		"the `URL` of the fleet's Redis; "+envRedis+" in the environment stands in for it")
	f.BoolVar(&w.cluster, "cluster", false, "the URL is that of a cluster's node")
	f.StringVar(&w.fleet, "fleet", getenv(envFleet), "the fleet's `name`, as given to redisstore.New; "+envFleet+" stands in for it")
}

// open connects, and is sure that somebody answers.
func (w *where) open(ctx context.Context) (stores port.Stores, stop func(), err error) {
	if w.fleet == "" {
		return stores, nil, misused("which fleet? give --fleet, or %s in the environment", envFleet)
	}
	if err := domain.ValidateName("fleet", w.fleet); err != nil {
		return stores, nil, misused("--fleet %q cannot be a name", w.fleet)
	}
	redis.SetLogger(silent{})
	client, err := w.client()
	if err != nil {
		return stores, nil, err
	}
	within, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := client.Ping(within).Err(); err != nil {
		_ = client.Close()
		return stores, nil, fmt.Errorf("cannot reach Redis: %w", err)
	}
	return redisstore.New(client, w.fleet, redisstore.Options{}).Stores(), func() { _ = client.Close() }, nil
}

func (w *where) client() (redis.UniversalClient, error) {
	url := w.redis
	if !strings.Contains(url, "://") {
		url = "redis://" + url
	}
	if w.cluster {
		o, err := redis.ParseClusterURL(url)
		if err != nil {
			return nil, misused("--redis is no URL of Redis") // not err: it may show a password
		}
		o.ContextTimeoutEnabled, o.MaxRetries, o.DialTimeout = true, 1, time.Second
		return redis.NewClusterClient(o), nil
	}
	o, err := redis.ParseURL(url)
	if err != nil {
		return nil, misused("--redis is no URL of Redis")
	}
	o.ContextTimeoutEnabled, o.MaxRetries, o.DialTimeout = true, 1, time.Second
	return redis.NewClient(o), nil
}

// silent keeps the client's own lines out of the command's output: errors are told by
// the command.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// idOf reads NAME or NAME=KEY.
func idOf(arg string) (port.ID, error) {
	id := port.ID{}
	id.Name, id.Key, _ = strings.Cut(arg, "=")
	if err := domain.ValidateName("breaker", id.Name); err != nil {
		return id, misused("%q cannot be a breaker's name", arg)
	}
	return id, nil
}
