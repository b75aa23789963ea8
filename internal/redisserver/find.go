package redisserver

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
)

// The environment variables that decide which server is used.
const (
	// EnvURL names a server to use instead of starting one: a redis:// or
	// rediss:// URL, or host:port. It is never flushed, stopped or reconfigured. It is
	// not HOLDFAST_REDIS, by which the command is told the Redis of those who run a fleet.
	EnvURL = "HOLDFAST_TEST_REDIS"

	// EnvRequire makes tests fail instead of skip where no server is to be had.
	// Any value but the empty one sets it.
	EnvRequire = "HOLDFAST_REQUIRE_REDIS"
)

// ErrNotFound says that neither redis-server nor valkey-server is on the PATH.
var ErrNotFound = errors.New("redisserver: no redis-server or valkey-server on the PATH")

// Find returns the path of redis-server, or else of valkey-server, or
// [ErrNotFound].
func Find() (string, error) {
	for _, name := range []string{"redis-server", "valkey-server"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", ErrNotFound
}

// Resolve returns the URL of the server that [EnvURL] names, or else starts one,
// which is then returned too and must be stopped by the caller. It does not
// check that a server that was named answers.
//
// Its error matches [ErrNotFound] where there is neither.
func Resolve(ctx context.Context) (url string, own *Server, err error) {
	if named := os.Getenv(EnvURL); named != "" {
		return toURL(named), nil, nil
	}
	own, err = Start(ctx, Config{})
	if err != nil {
		return "", nil, err
	}
	return own.URL(), own, nil
}

// toURL turns host:port into a URL and leaves a URL as it is.
func toURL(address string) string {
	if strings.Contains(address, "://") {
		return address
	}
	return "redis://" + address
}
