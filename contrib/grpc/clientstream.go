package holdfastgrpc

import (
	"context"
	"io"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/holdfast-go/holdfast/orchestrator"
)

// StreamClient opens streams under g, each as one call that ends when the stream does, as
// [orchestrator.Open] says: when RecvMsg returned an error or io.EOF, or the only answer;
// when SendMsg or Header returned an error that is not io.EOF; when the context of the
// stream ended, or the connection was closed. That is also what gRPC asks of its users to
// free a stream. A stream is never opened again: a retry of g repeats only refusals.
func StreamClient(g *orchestrator.Guard, c ClientConfig) grpc.StreamClientInterceptor {
	s := c.side(g)
	return func(
		ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption,
	) (grpc.ClientStream, error) {
		guard, ok := s.guardOf(method)
		if !ok {
			return streamer(ctx, desc, cc, method, opts...)
		}
		by := s.caller(ctx, method, nil)
		stream, err := orchestrator.Open(ctx, guard, by.forKey, by.forTokens)
		if err != nil {
			return nil, explain(ctx, err, s.domain)
		}
		guarded := newClientStream(ctx, stream, desc, by.key, s.domain, c)
		if err := guarded.open(cc, method, streamer, opts); err != nil { //nolint:contextcheck // it has it
			return nil, err
		}
		return guarded, nil
	}
}

// A clientStream is a stream as its caller sees it.
type clientStream struct {
	grpc.ClientStream

	caller context.Context //nolint:containedctx // that of the stream, without what the guard adds
	ctx    context.Context //nolint:containedctx // in which it runs
	cancel context.CancelFunc

	stream         *orchestrator.Stream
	desc           *grpc.StreamDesc
	received, sent Messages
	key, domain    string
	way            passage
}

func newClientStream(
	ctx context.Context, stream *orchestrator.Stream, desc *grpc.StreamDesc, key, errorDomain string, c ClientConfig,
) *clientStream {
	s := &clientStream{caller: ctx, stream: stream, desc: desc, received: c.Received, key: key, domain: errorDomain}
	s.ctx, s.cancel = context.WithCancel(stream.Context())
	if desc.ClientStreams {
		s.sent = c.Sent
	}
	return s
}

func (s *clientStream) open(cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts []grpc.CallOption) error {
	returned := false
	defer func() {
		if !returned { // it panicked
			s.stream.Abandon()
			s.cancel()
		}
	}()
	under, err := streamer(s.ctx, s.desc, cc, method, s.way.options(append(slices.Clip(opts), grpc.OnFinish(s.finished)))...)
	returned = true
	if err != nil {
		return s.end(err)
	}
	s.ClientStream = under
	// gRPC tells of the end of its streams. This is for one that is not gRPC's, of an
	// interceptor further in.
	context.AfterFunc(s.ctx, func() { _ = s.end(s.ctx.Err()) })
	return nil
}

// finished is called by gRPC when the stream is over.
func (s *clientStream) finished(err error) {
	_ = s.stream.Close(answeredOn(err, s.way.peer.Addr == nil))
	s.cancel()
}

// end ends the stream with what its caller is to see, and returns that: an error of the
// guard's in place of what came of it.
func (s *clientStream) end(came error) error {
	var err error
	if came != io.EOF { //nolint:errorlint // that is what gRPC returns, and nothing that wraps it
		err = answered(came)
	}
	said := s.stream.Close(err)
	s.cancel()
	if _, ok := said.(*answer); ok || said == nil { //nolint:errorlint // as it came, and not what wraps it
		return came
	}
	return explain(s.caller, said, s.domain)
}

// admit takes a token for a message. Without one the stream is at its end: gRPC's streams
// end with the first error.
func (s *clientStream) admit(by Messages) error {
	err := by.admit(s.ctx, s.key)
	if err == nil {
		return nil
	}
	_ = s.stream.Close(err)
	s.cancel()
	return explain(s.caller, err, s.domain)
}

// Header waits for the header.
func (s *clientStream) Header() (metadata.MD, error) {
	header, err := s.ClientStream.Header()
	if err != nil {
		return header, s.end(err)
	}
	if header != nil {
		s.stream.Answered()
	}
	return header, nil
}

// SendMsg sends a message that the limit lets pass.
func (s *clientStream) SendMsg(m any) error {
	if err := s.admit(s.sent); err != nil {
		return err
	}
	err := s.ClientStream.SendMsg(m)
	if err == nil || err == io.EOF { //nolint:errorlint // as above; RecvMsg has the reason
		return err
	}
	return s.end(err)
}

// RecvMsg receives a message that the limit lets pass.
func (s *clientStream) RecvMsg(m any) error {
	if err := s.ClientStream.RecvMsg(m); err != nil {
		return s.end(err)
	}
	s.stream.Answered()
	if !s.desc.ServerStreams {
		_ = s.end(nil)
		return nil
	}
	return s.admit(s.received)
}
