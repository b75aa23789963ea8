package holdfastgrpc

import (
	"slices"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"
)

// A passage finds out whether a call ever got a connection to be sent on. gRPC does not
// say so by the error; but it tells the call's peer once there was a stream on a
// connection, and when the call is over. Over, and no peer: nothing was sent. Both are
// needed: an interceptor further in may keep our options from gRPC.
//
// Where gRPC itself repeats calls, as a retryPolicy in the service config lets it, what is
// known is that of the last attempt. Such a policy is somebody's word that the call may
// be repeated.
type passage struct {
	peer peer.Peer
	over atomic.Bool
}

// options adds to those of a call what the passage is told by.
func (p *passage) options(opts []grpc.CallOption) []grpc.CallOption {
	return append(slices.Clip(opts), grpc.Peer(&p.peer), grpc.OnFinish(func(error) { p.over.Store(true) }))
}

// unsent reports whether it is certain that nothing was sent. The call must have returned.
func (p *passage) unsent() bool { return p.over.Load() && p.peer.Addr == nil }
