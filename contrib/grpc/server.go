package holdfastgrpc

import (
	"context"

	"google.golang.org/grpc"

	"github.com/holdfast-go/holdfast/orchestrator"
)

// UnaryServer runs the handlers of unary calls under g. A handler runs once at most,
// whatever g's policy says: its retries repeat only what was refused before the handler
// ran, and its hedges do nothing. What the handler returns reaches the client as it is;
// what g refuses has the status that the package documentation lists.
func UnaryServer(g *orchestrator.Guard, c ServerConfig) grpc.UnaryServerInterceptor {
	s := c.side(g)
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		return s.serve(ctx, req, info.FullMethod, handler)
	}
}

// serve runs one handler. It is a method of its own because what UnaryServer returns may be
// compiled where it is used, and would then allocate.
func (s *side) serve(ctx context.Context, req any, method string, handler grpc.UnaryHandler) (any, error) {
	guard, ok := s.guardOf(method)
	if !ok {
		return handler(ctx, req)
	}
	by := s.caller(ctx, method, req)
	resp, err := orchestrator.Do(ctx, guard, func(ctx context.Context) (any, error) {
		resp, err := handler(ctx, req)
		return resp, answered(err)
	}, orchestrator.RepeatIf(orchestrator.Never), by.forKey, by.forTokens)
	if err == nil {
		return resp, nil
	}
	if trailer := pushback(err); trailer != nil {
		_ = grpc.SetTrailer(ctx, trailer) // fails where there is no connection, as in a test of a handler
	}
	return resp, explain(ctx, err, s.domain)
}

// StreamServer runs the handlers of streams under g, each as one call that ends when the
// handler returns, as [orchestrator.Open] says. A timeout of g ends the stream's context;
// a handler that waits in RecvMsg is not woken by that.
func StreamServer(g *orchestrator.Guard, c ServerConfig) grpc.StreamServerInterceptor {
	s := c.side(g)
	return func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		guard, ok := s.guardOf(info.FullMethod)
		if !ok {
			return handler(srv, ss)
		}
		ctx := ss.Context()
		by := s.caller(ctx, info.FullMethod, nil)
		stream, err := orchestrator.Open(ctx, guard, by.forKey, by.forTokens)
		if err != nil {
			ss.SetTrailer(pushback(err))
			return explain(ctx, err, s.domain)
		}
		defer stream.Abandon() // where the handler panics
		guarded := &serverStream{ServerStream: ss, stream: stream, key: by.key, domain: s.domain}
		if info.IsClientStream {
			guarded.received = c.Received
		}
		if info.IsServerStream {
			guarded.sent = c.Sent
		}
		return explain(ctx, stream.Close(answered(handler(srv, guarded))), s.domain)
	}
}

// A serverStream is a stream as its handler sees it.
type serverStream struct {
	grpc.ServerStream

	stream         *orchestrator.Stream
	received, sent Messages
	key, domain    string
}

// Context is that of the guard.
func (s *serverStream) Context() context.Context { return s.stream.Context() }

// SendMsg sends a message that the limit lets pass.
func (s *serverStream) SendMsg(m any) error {
	if err := s.admit(s.sent); err != nil {
		return err
	}
	err := s.ServerStream.SendMsg(m)
	if err == nil {
		s.stream.Answered()
	}
	return err
}

// RecvMsg hands over a message that the limit lets pass. It has come by then: as long as
// it waits, gRPC's flow control slows the client down.
func (s *serverStream) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	return s.admit(s.received)
}

func (s *serverStream) admit(by Messages) error {
	err := by.admit(s.Context(), s.key)
	if err == nil {
		return nil
	}
	s.SetTrailer(pushback(err))
	return explain(s.ServerStream.Context(), err, s.domain)
}
