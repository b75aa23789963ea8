package redisserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"
)

const (
	startTimeout = 10 * time.Second // for one attempt; a loaded machine needs a second
	portAttempts = 5                // another process may take a free port before the server does
	loopback     = "127.0.0.1"
)

// A Config says how to start a server. The zero Config is ready to use.
type Config struct {
	// Args are further arguments of the server, such as "--maxmemory", "5mb".
	// They win over the default of no persistence, but not over Port and Dir.
	// Defaults to none.
	Args []string

	// Dir is the working folder of the server, where it keeps its files if Args
	// make it keep any. Defaults to a new temporary folder that Stop removes.
	Dir string

	// Path is the program to run. Defaults to what Find finds.
	Path string

	// Port is the port to listen on. Defaults to a free one.
	Port int
}

// A Server is a real Redis or Valkey server, run by this process on a loopback
// port. Make one with [Start]. Addr and URL are safe for concurrent use; the
// other methods may be called by one goroutine at a time.
type Server struct {
	config  Config
	ownsDir bool
	process *process // nil while the server is down
}

// Start starts a server and waits until it answers. Stop must be called in the
// end. ctx bounds the start, not the server's life.
//
// Its error matches [ErrNotFound] where no server program is to be had. Start
// must not be called in a testing/synctest bubble, which would wait for the
// process forever.
func Start(ctx context.Context, config Config) (*Server, error) {
	s := &Server{config: config}
	if err := s.complete(); err != nil {
		return nil, err
	}
	if err := s.startOnSomePort(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// complete fills in the defaults, the port excepted.
func (s *Server) complete() (err error) {
	if s.config.Path == "" {
		if s.config.Path, err = Find(); err != nil {
			return err
		}
	}
	if s.config.Dir == "" {
		if s.config.Dir, err = os.MkdirTemp("", "redisserver-"); err != nil {
			return fmt.Errorf("redisserver: %w", err)
		}
		s.ownsDir = true
	}
	return nil
}

// startOnSomePort starts the server on the configured port or, where there is
// none, on a free one.
func (s *Server) startOnSomePort(ctx context.Context) error {
	if s.config.Port != 0 {
		return s.start(ctx)
	}
	var err error
	for range portAttempts {
		if s.config.Port, err = FreePort(ctx); err != nil {
			return err
		}
		if err = s.start(ctx); err == nil || ctx.Err() != nil {
			return err
		}
	}
	return err
}

// start starts the process and waits until it answers.
func (s *Server) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()

	p, err := startProcess(ctx, s.config.Path, s.arguments())
	if err != nil {
		return err
	}
	if err := awaitAnswer(ctx, p, s.Addr()); err != nil {
		p.kill()
		return err
	}
	s.process = p
	return nil
}

// arguments puts what the caller may change first and what must hold last: of
// two values for one setting, the server takes the second.
func (s *Server) arguments() []string {
	args := []string{"--save", "", "--appendonly", "no"}
	args = append(args, s.config.Args...)
	return append(args,
		"--bind", loopback,
		"--port", strconv.Itoa(s.config.Port),
		"--dir", s.config.Dir,
		"--daemonize", "no",
		"--logfile", "", // standard output, which errors quote
	)
}

// Addr returns host:port of the server. It stays the same over a Restart.
func (s *Server) Addr() string {
	return net.JoinHostPort(loopback, strconv.Itoa(s.config.Port))
}

// URL returns the redis:// URL of the server.
func (s *Server) URL() string {
	return "redis://" + s.Addr()
}

// Pause stops the server as SIGSTOP does: connections stay open, and nothing is
// answered until Resume. On Linux it returns when the server has stopped.
func (s *Server) Pause() error {
	if s.process == nil {
		return errDown
	}
	return s.process.pause()
}

// Resume lets a paused server go on. What was sent to it meanwhile is executed.
func (s *Server) Resume() error {
	if s.process == nil {
		return errDown
	}
	return s.process.resume()
}

// Kill ends the server as a crash does, and waits until it is gone. Restart
// brings it back. A server that is down already stays so.
func (s *Server) Kill() {
	if s.process != nil {
		s.process.kill()
		s.process = nil
	}
}

// Restart kills the server, if it is up, and starts it again on the same port
// and with the same arguments. Its data is gone unless Args keep it.
func (s *Server) Restart(ctx context.Context) error {
	s.Kill()
	return s.start(ctx)
}

// Stop ends the server, waits until it is gone and removes its temporary
// folder. A second Stop does nothing. There is nothing to save, so it does not
// ask politely.
func (s *Server) Stop() error {
	s.Kill()
	if !s.ownsDir {
		return nil
	}
	if err := os.RemoveAll(s.config.Dir); err != nil {
		return fmt.Errorf("redisserver: %w", err)
	}
	return nil
}

// FreePort returns a port of the loopback on which nothing listens now.
func FreePort(ctx context.Context) (int, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(loopback, "0"))
	if err != nil {
		return 0, fmt.Errorf("redisserver: %w", err)
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err = errors.Join(err, listener.Close()); err != nil {
		return 0, fmt.Errorf("redisserver: %w", err)
	}
	return strconv.Atoi(port)
}
