// Package service joins the layers: one replica of the payment service, whatever it is
// reached by and whatever its state lives in.
package service

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"google.golang.org/grpc"

	"github.com/holdfast-go/holdfast/classify"
	"github.com/holdfast-go/holdfast/examples/payment/application"
	"github.com/holdfast-go/holdfast/examples/payment/infrastructure"
	"github.com/holdfast-go/holdfast/examples/payment/presentation/graph"
	"github.com/holdfast-go/holdfast/examples/payment/presentation/rest"
	"github.com/holdfast-go/holdfast/examples/payment/presentation/rpc"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/orchestrator"
)

// A Config says what one replica runs on. Provider is required.
type Config struct {
	// Provider is the base address of the payment provider.
	Provider string
	// Redis is the address of the store that the replicas share. "" keeps everything in
	// this process.
	Redis string
	// Fleet is how the replica takes part in its fleet.
	Fleet fleet.Config
	// Watch stands between the doors and the use cases: for who counts what comes in.
	Watch func(rest.Payments) rest.Payments
}

// A Service is one replica.
type Service struct {
	// HTTP serves the use cases by REST and, under /graphql, by GraphQL.
	HTTP http.Handler
	// GRPC serves them by gRPC.
	GRPC *grpc.Server
	// Payments are the use cases.
	Payments *application.Payments
	// Orchestrator has the policies in force.
	Orchestrator *orchestrator.Orchestrator

	client *http.Client
	close  func() error // of the store
}

// New makes a replica. It starts nothing and calls nobody, so it works while Redis is
// down.
func New(c Config) (*Service, error) {
	stores, closeStores := infrastructure.Stores(c.Redis)
	orch, err := orchestrator.New(stores, orchestrator.Config{Fleet: c.Fleet, Classify: classify.Default})
	if err != nil {
		return nil, errors.Join(err, closeStores())
	}
	s := &Service{Orchestrator: orch, client: &http.Client{Transport: connections()}, close: closeStores}
	if err := s.build(c); err != nil {
		return nil, errors.Join(err, s.Close(context.Background()))
	}
	return s, nil
}

func (s *Service) build(c Config) error {
	provider, err := infrastructure.NewProvider(s.client, c.Provider)
	if err != nil {
		return err //nolint:wrapcheck // it says what is wrong
	}
	if s.Payments, err = application.New(s.Orchestrator, provider); err != nil {
		return err //nolint:wrapcheck // as above
	}
	door, err := application.Admission(s.Orchestrator)
	if err != nil {
		return fmt.Errorf("the door: %w", err)
	}
	var offered rest.Payments = s.Payments
	if c.Watch != nil {
		offered = c.Watch(offered)
	}
	mux := http.NewServeMux()
	mux.Handle("/", rest.New(offered, door))
	mux.Handle("/graphql", graph.New(offered, door))
	s.HTTP, s.GRPC = mux, rpc.New(offered, door)
	return nil
}

// connections keeps as many to the provider as there are calls at a time.
func connections() *http.Transport {
	return &http.Transport{MaxIdleConns: 256, MaxIdleConnsPerHost: 256}
}

// Close leaves the fleet and lets go of all connections.
func (s *Service) Close(ctx context.Context) error {
	err := s.Orchestrator.Close(ctx)
	s.client.CloseIdleConnections()
	return errors.Join(err, s.close())
}
