package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/holdfast-go/holdfast/examples/payment/infrastructure"
	"github.com/holdfast-go/holdfast/examples/payment/service"
	"github.com/holdfast-go/holdfast/fleet"
)

// addresses are where a replica is reached.
type addresses struct{ http, grpc, admin string }

func runServe(ctx context.Context, args []string, out, errs io.Writer) error {
	flags := flag.NewFlagSet("payment", flag.ContinueOnError)
	flags.SetOutput(errs)
	var at addresses
	flags.StringVar(&at.http, "http", "127.0.0.1:8080", "where to serve REST and, under /graphql, GraphQL")
	flags.StringVar(&at.grpc, "grpc", "127.0.0.1:9090", "where to serve gRPC")
	flags.StringVar(&at.admin, "admin", "127.0.0.1:8081", "where to serve health and the changes of limits")
	redis := flags.String("redis", "", "address of the Redis that the replicas share; in memory otherwise")
	provider := flags.String("provider", "", "base address of the payment provider; a simulator otherwise")
	if err := flags.Parse(args); err != nil {
		return errors.Join(errMisuse, err)
	}
	if *provider == "" {
		simulator := httptest.NewServer(infrastructure.NewSimulator())
		defer simulator.Close()
		*provider = simulator.URL
	}
	s, err := service.New(service.Config{ //nolint:contextcheck // a replica's log lines have no context
		Provider: *provider, Redis: *redis, Fleet: fleet.Config{Logger: slog.New(slog.NewTextHandler(errs, nil))},
	})
	if err != nil {
		return err //nolint:wrapcheck // it says what is wrong
	}
	return errors.Join(serveAll(ctx, s, at, out), s.Close(context.WithoutCancel(ctx)))
}

// serveAll serves until ctx ends.
func serveAll(ctx context.Context, s *service.Service, at addresses, out io.Writer) error {
	var listen net.ListenConfig
	listeners := make([]net.Listener, 0, 3)
	for _, address := range []string{at.http, at.admin, at.grpc} {
		l, err := listen.Listen(ctx, "tcp", address)
		if err != nil {
			return fmt.Errorf("serve: %w", err)
		}
		defer l.Close()
		listeners = append(listeners, l)
	}
	doors := []*http.Server{
		{Handler: s.HTTP, ReadHeaderTimeout: 5 * time.Second},
		{Handler: s.Admin(), ReadHeaderTimeout: 5 * time.Second},
	}
	rpc := s.GRPC
	var serving sync.WaitGroup
	for i, door := range doors {
		serving.Go(func() { _ = door.Serve(listeners[i]) })
	}
	serving.Go(func() { _ = rpc.Serve(listeners[2]) })
	fmt.Fprintf(out, "REST and GraphQL on %s, gRPC on %s, admin on %s\n", listeners[0].Addr(), listeners[2].Addr(), listeners[1].Addr())
	<-ctx.Done()
	err := shutDown(context.WithoutCancel(ctx), doors, rpc)
	serving.Wait()
	return err
}

// patience is how long requests that run already may take.
const patience = 10 * time.Second

func shutDown(ctx context.Context, doors []*http.Server, rpc *grpc.Server) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	stop := context.AfterFunc(ctx, rpc.Stop)
	defer stop()
	var failed error
	for _, door := range doors {
		failed = errors.Join(failed, door.Shutdown(ctx))
	}
	rpc.GracefulStop()
	return failed
}
