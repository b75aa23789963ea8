package redisserver

import (
	"context"
	"errors"
	"os"
)

// TB is the part of [testing.TB] that ForTest and URLForTest use. It keeps the
// package testing out of the programs that import this one.
type TB interface {
	Cleanup(f func())
	Context() context.Context
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Helper()
	Skipf(format string, args ...any)
}

// ForTest starts a server for t alone and stops it when t ends. Where there is
// no server program it skips t; or fails it where [EnvRequire] is set, unless
// [EnvURL] names a server for the tests that need none of their own.
func ForTest(t TB, args ...string) *Server {
	t.Helper()
	server, err := Start(t.Context(), Config{Args: args})
	if errors.Is(err, ErrNotFound) && os.Getenv(EnvURL) != "" {
		t.Skipf("%v; the one that %s names must not be touched by this test", err, EnvURL)
	}
	giveUp(t, err)
	stopAfter(t, server)
	return server
}

// URLForTest returns the URL of the server that [EnvURL] names, or else of one
// started for t and stopped when t ends. Where there is neither, it skips t, or
// fails it where [EnvRequire] is set.
func URLForTest(t TB) string {
	t.Helper()
	url, own, err := Resolve(t.Context())
	giveUp(t, err)
	if own != nil {
		stopAfter(t, own)
	}
	return url
}

// giveUp ends t if err is not nil: a missing server skips it where none is
// required, anything else fails it.
func giveUp(t TB, err error) {
	t.Helper()
	switch {
	case err == nil:
	case errors.Is(err, ErrNotFound) && os.Getenv(EnvRequire) == "":
		t.Skipf("%v: skipped; `make test` gets one", err)
	default:
		t.Fatalf("a real Redis is needed here: %v", err)
	}
}

func stopAfter(t TB, server *Server) {
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Errorf("stop the server: %v", err)
		}
	})
}
