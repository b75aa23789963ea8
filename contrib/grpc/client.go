package holdfastgrpc

import (
	"context"

	"google.golang.org/grpc"

	"github.com/holdfast-go/holdfast/orchestrator"
)

// UnaryClient makes unary calls under g. What the server answers comes back as gRPC gave
// it; what g refuses has a status as a server's refusal does, and matches the errors of
// package domain.
//
// A retry of g repeats a call that c.Idempotent says may be repeated, if the server
// answered UNAVAILABLE or DEADLINE_EXCEEDED, or RESOURCE_EXHAUSTED with a RetryInfo, or a
// timeout of g inside the retry cut the call off. It waits at least as long as a RetryInfo
// says. Any call is repeated that was refused by g, or that got no connection to be sent
// on. gRPC does not tell whether a server has begun with a call that it did not answer, so
// nothing else is. Hedges of g do nothing.
func UnaryClient(g *orchestrator.Guard, c ClientConfig) grpc.UnaryClientInterceptor {
	s := c.side(g)
	return func(
		ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption,
	) error {
		guard, ok := s.guardOf(method)
		if !ok {
			return invoker(ctx, method, req, reply, cc, opts...)
		}
		by := s.caller(ctx, method, req)
		again := c.Idempotent != nil && c.Idempotent(method)
		unsent := false
		err := orchestrator.Run(ctx, guard, func(ctx context.Context) error {
			var way passage
			err := invoker(ctx, method, req, reply, cc, way.options(opts)...)
			if err == nil {
				return nil
			}
			unsent = way.unsent()
			return answeredOn(err, unsent)
		}, orchestrator.RepeatIf(func(error) bool { return again || unsent }), by.forKey, by.forTokens)
		return explain(ctx, err, s.domain)
	}
}
