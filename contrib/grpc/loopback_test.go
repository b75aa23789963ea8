package holdfastgrpc_test

import (
	"context"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	holdfastgrpc "github.com/holdfast-go/holdfast/contrib/grpc"
	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/internal/leaktest"
)

// TestOverTCP: keys as they come over a real connection: each tenant has a bucket, and all
// connections from one address share one.
func TestOverTCP(t *testing.T) {
	for _, tt := range []struct {
		name    string
		key     holdfastgrpc.Key
		tenants []string // of calls, each on a connection of its own; "" sends no header
		want    []codes.Code
	}{
		{
			"by header", holdfastgrpc.HeaderKey("x-tenant"),
			[]string{"a", "b", "a", ""},
			[]codes.Code{codes.OK, codes.OK, codes.ResourceExhausted, codes.InvalidArgument},
		},
		{"by address", holdfastgrpc.PeerKey, []string{"a", "b"}, []codes.Code{codes.OK, codes.ResourceExhausted}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newGuard(t, newOrchestrator(t), hold.RateLimit{Keyed: true, Limit: hold.PerHour(1)})
			listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it does not wait
			if err != nil {
				t.Fatal(err)
			}
			server := grpc.NewServer(grpc.UnaryInterceptor(holdfastgrpc.UnaryServer(g, holdfastgrpc.ServerConfig{Key: tt.key})))
			pb.RegisterTestServiceServer(server, &service{})
			go func() { _ = server.Serve(listener) }()
			t.Cleanup(server.Stop)
			network := leaktest.Dialer(t)
			for i, tenant := range tt.tenants {
				conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()),
					grpc.WithContextDialer(func(ctx context.Context, at string) (net.Conn, error) { return network(ctx, "tcp", at) }))
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = conn.Close() }()
				ctx := t.Context()
				if tenant != "" {
					ctx = metadata.AppendToOutgoingContext(ctx, "x-tenant", tenant)
				}
				if _, err := pb.NewTestServiceClient(conn).UnaryCall(ctx, &pb.SimpleRequest{}); status.Code(err) != tt.want[i] {
					t.Errorf("call %d, of %q: %v; want %s", i, tenant, err, tt.want[i])
				}
			}
		})
	}
}
