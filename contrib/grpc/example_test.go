package holdfastgrpc_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	holdfastgrpc "github.com/holdfast-go/holdfast/contrib/grpc"
	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
)

// A limit for each tenant, on a server.
func ExampleUnaryServer() {
	orch, err := orchestrator.New(memory.New(memory.Options{}).Stores(), orchestrator.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = orch.Close(context.Background()) }()
	guard, err := orch.Guard("api", hold.RateLimit{Keyed: true, Limit: hold.PerHour(1)})
	if err != nil {
		fmt.Println(err)
		return
	}
	server := grpc.NewServer(grpc.UnaryInterceptor(
		holdfastgrpc.UnaryServer(guard, holdfastgrpc.ServerConfig{Key: holdfastgrpc.HeaderKey("x-tenant")}),
	))
	healthpb.RegisterHealthServer(server, health.NewServer())
	address := listen(server)
	defer server.Stop()

	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = conn.Close() }()
	for _, tenant := range []string{"a", "a", "b"} {
		ctx := metadata.AppendToOutgoingContext(context.Background(), "x-tenant", tenant)
		_, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
		fmt.Println(tenant, status.Code(err))
	}
	// Output:
	// a OK
	// a ResourceExhausted
	// b OK
}

// A breaker and retries, on a client whose server is not there.
func ExampleUnaryClient() {
	orch, err := orchestrator.New(memory.New(memory.Options{}).Stores(), orchestrator.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = orch.Close(context.Background()) }()
	guard, err := orch.Guard("stock", hold.Combine(
		hold.Retry{Backoff: hold.Fixed(time.Millisecond)},
		hold.CircuitBreaker{FailureThreshold: 2},
	))
	if err != nil {
		fmt.Println(err)
		return
	}
	conn, err := grpc.NewClient("passthrough:///nowhere",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return nil, errors.New("nobody is there") }),
		grpc.WithUnaryInterceptor(holdfastgrpc.UnaryClient(guard, holdfastgrpc.ClientConfig{})),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = conn.Close() }()
	_, err = healthpb.NewHealthClient(conn).Check(context.Background(), &healthpb.HealthCheckRequest{})
	fmt.Println(status.Code(err), errors.Is(err, hold.ErrCircuitOpen)) // the third attempt
	// Output:
	// Unavailable true
}

// listen has a server listen on a port of its own.
func listen(server *grpc.Server) (address string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it does not wait
	if err != nil {
		panic(err)
	}
	go func() { _ = server.Serve(listener) }()
	return listener.Addr().String()
}
