package holdfastgrpc_test

import (
	"context"
	"net"
	"testing"

	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	holdfastgrpc "github.com/holdfast-go/holdfast/contrib/grpc"
)

func TestKeys(t *testing.T) {
	incoming := func(pairs ...string) context.Context {
		return metadata.NewIncomingContext(t.Context(), metadata.Pairs(pairs...))
	}
	outgoing := func(pairs ...string) context.Context { return metadata.AppendToOutgoingContext(t.Context(), pairs...) }
	from := func(a net.Addr) context.Context { return peer.NewContext(t.Context(), &peer.Peer{Addr: a}) }
	header, sends := holdfastgrpc.HeaderKey("X-Tenant"), holdfastgrpc.OutgoingHeaderKey("X-Tenant")
	for _, tt := range []struct {
		name string
		key  holdfastgrpc.Key
		ctx  context.Context //nolint:containedctx // a row of a table
		want string
	}{
		{"a header", header, incoming("x-tenant", "a"), "a"},
		{"no header", header, incoming("other", "a"), ""},
		{"two of them: who added one?", header, incoming("x-tenant", "a", "x-tenant", "b"), ""},
		{"one that is sent, not received", header, outgoing("x-tenant", "a"), ""},
		{"outside of a call", header, t.Context(), ""},
		{"one to be sent", sends, outgoing("x-tenant", "a"), "a"},
		{"two to be sent", sends, outgoing("x-tenant", "a", "x-tenant", "b"), ""},
		{"none to be sent", sends, t.Context(), ""},
		{"a peer", holdfastgrpc.PeerKey, from(&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 4711}), "192.0.2.1"},
		{"one of IPv6", holdfastgrpc.PeerKey, from(&net.TCPAddr{IP: net.ParseIP("2001:db8::1"), Port: 4711}), "2001:db8::1"},
		{"one without a port", holdfastgrpc.PeerKey, from(&net.UnixAddr{Name: "/run/shop", Net: "unix"}), "/run/shop"},
		{"no peer", holdfastgrpc.PeerKey, t.Context(), ""},
		{"one without an address", holdfastgrpc.PeerKey, from(nil), ""},
		{"the method", holdfastgrpc.MethodKey, t.Context(), pb.TestService_UnaryCall_FullMethodName},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.key(tt.ctx, pb.TestService_UnaryCall_FullMethodName); got != tt.want {
				t.Errorf("the key is %q; want %q", got, tt.want)
			}
		})
	}
}
