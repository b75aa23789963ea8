package holdfastgrpc

import (
	"context"
	"net"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

// A Key says for whom a call is (which tenant, user or address), for limits and breakers
// that are Keyed. method is the full one, such as "/shop.Cart/Add". "" is a missing key,
// with which no such limit lets a call pass. It must be quick and safe for concurrent use.
type Key func(ctx context.Context, method string) string

// HeaderKey is the value of one header of an incoming call. A header that is not there, or
// that has several values, is a missing key: who could add a second one could choose.
//
// Clients write headers as they please. Take one that something before this interceptor
// has checked or set.
func HeaderKey(header string) Key {
	return func(ctx context.Context, _ string) string {
		return only(metadata.ValueFromIncomingContext(ctx, header))
	}
}

// OutgoingHeaderKey is [HeaderKey] for a header that the call is about to send, for
// clients.
func OutgoingHeaderKey(header string) Key {
	return func(ctx context.Context, _ string) string {
		sends, _ := metadata.FromOutgoingContext(ctx)
		return only(sends.Get(header))
	}
}

func only(values []string) string {
	if len(values) != 1 {
		return ""
	}
	return values[0]
}

// PeerKey is the address that a server sees a call come from, without the port. Behind a
// proxy that is the proxy's; and one client may have many addresses, in IPv6 above all.
func PeerKey(ctx context.Context, _ string) string {
	from, ok := peer.FromContext(ctx)
	if !ok || from.Addr == nil {
		return ""
	}
	address := from.Addr.String()
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}

// MethodKey is the method: each has a bucket, or a breaker, of its own.
func MethodKey(_ context.Context, method string) string { return method }
