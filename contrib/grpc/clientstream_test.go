package holdfastgrpc_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	holdfastgrpc "github.com/holdfast-go/holdfast/contrib/grpc"
	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
)

// A line is a client's stream and what a test may do to it.
type line struct {
	pb.TestServiceClient

	conn   *grpc.ClientConn
	cancel func()
	stream duplexClient
}

// TestStreamOfAClient: it is one call, from its opening to its end, however it ends; then
// the breaker has heard of it and nothing is held or left running.
func TestStreamOfAClient(t *testing.T) {
	recv := func(l *line) error { _, err := l.stream.Recv(); return err }
	inTime := hold.Combine(hold.Timeout{Duration: time.Minute}, roomAndBreaker())
	fails := func(s duplexServer) error { _, _ = s.Recv(); return status.Error(codes.Unavailable, "x") }
	for _, tt := range []struct {
		name   string
		policy hold.Policy
		duplex func(duplexServer) error
		end    func(l *line) error
		code   codes.Code
		is     error
		want   hold.Outcome
	}{
		{"it is read to its end", roomAndBreaker(), echo, func(l *line) error { _ = l.stream.CloseSend(); return recv(l) }, codes.OK, io.EOF, hold.Success},
		{"the server fails", roomAndBreaker(), fails, recv, codes.Unavailable, nil, hold.Failure},
		{
			"the server says no", roomAndBreaker(),
			func(s duplexServer) error { _, _ = s.Recv(); return status.Error(codes.NotFound, "x") }, recv, codes.NotFound, nil, hold.Success,
		},
		{"the caller cancels it and reads", roomAndBreaker(), echo, func(l *line) error { l.cancel(); return recv(l) }, codes.Canceled, nil, hold.Ignored},
		{"the caller cancels it and goes away", roomAndBreaker(), echo, func(l *line) error { l.cancel(); return nil }, codes.OK, nil, hold.Ignored},
		{"the connection is closed and nobody reads", roomAndBreaker(), echo, func(l *line) error { return l.conn.Close() }, codes.OK, nil, hold.Ignored},
		{"its time is up while it is read", inTime, echo, recv, codes.DeadlineExceeded, hold.ErrTimeout, hold.Failure},
		{"its time is up and nobody reads", inTime, echo, func(*line) error { time.Sleep(time.Minute); return nil }, codes.OK, nil, hold.Failure},
		{"a message is too large to send", roomAndBreaker(), echo, func(l *line) error {
			return l.stream.Send(&pb.StreamingOutputCallRequest{Payload: &pb.Payload{Body: make([]byte, 2000)}})
		}, codes.ResourceExhausted, nil, hold.Ignored},
		{
			"the server fails, and the caller sends until it notices", roomAndBreaker(), fails, func(l *line) error {
				for {
					if err := l.stream.Send(&pb.StreamingOutputCallRequest{}); errors.Is(err, io.EOF) {
						return recv(l)
					}
					time.Sleep(time.Millisecond)
				}
			}, codes.Unavailable, nil, hold.Failure,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrchestrator(t)
				g := newGuard(t, o, tt.policy)
				duplex := func(s duplexServer) error {
					if _, err := s.Recv(); err != nil {
						return err
					}
					if err := s.Send(&pb.StreamingOutputCallResponse{}); err != nil {
						return err
					}
					return tt.duplex(s)
				}
				l := &line{conn: dial(t, serve(t, &service{duplex: duplex}), grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(1000)),
					grpc.WithChainStreamInterceptor(holdfastgrpc.StreamClient(g, holdfastgrpc.ClientConfig{}), streamWithout))}
				l.TestServiceClient = pb.NewTestServiceClient(l.conn)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				l.cancel = cancel
				l.stream = openDuplex(t, ctx, l)
				send(t, l.stream)
				receive(t, l.stream)
				wantRoom(t, o, 1)
				if tt.name == "the server fails" || tt.name == "the server says no" {
					send(t, l.stream)
				}
				err := tt.end(l)
				if got := status.Code(err); !errors.Is(err, io.EOF) && got != tt.code {
					t.Errorf("error %v; want %s", err, tt.code)
				}
				if tt.is != nil && !errors.Is(err, tt.is) {
					t.Errorf("error %v; want that it matches %v", err, tt.is)
				}
				synctest.Wait()
				wantRoom(t, o, 0)
				counts(t, o, tt.want)
			})
		})
	}
}

// TestOtherStreamsOfAClient: those with many messages one way only, and one of nobody.
func TestOtherStreamsOfAClient(t *testing.T) {
	s := &service{
		out: func(_ *pb.StreamingOutputCallRequest, s grpc.ServerStreamingServer[pb.StreamingOutputCallResponse]) error {
			return s.Send(&pb.StreamingOutputCallResponse{})
		},
		in: func(s grpc.ClientStreamingServer[pb.StreamingInputCallRequest, pb.StreamingInputCallResponse]) error {
			for {
				if _, err := s.Recv(); errors.Is(err, io.EOF) {
					return s.SendAndClose(&pb.StreamingInputCallResponse{AggregatedPayloadSize: 7})
				} else if err != nil {
					return err
				}
			}
		},
	}
	noNetwork := func(context.Context, *grpc.StreamDesc, *grpc.ClientConn, string, grpc.Streamer, ...grpc.CallOption) (grpc.ClientStream, error) {
		return &ofNobody{}, nil
	}
	withAnswers := func(context.Context, *grpc.StreamDesc, *grpc.ClientConn, string, grpc.Streamer, ...grpc.CallOption) (grpc.ClientStream, error) {
		return &ofSomebody{}, nil
	}
	cannot := func(context.Context, *grpc.StreamDesc, *grpc.ClientConn, string, grpc.Streamer, ...grpc.CallOption) (grpc.ClientStream, error) {
		return nil, status.Error(codes.Unavailable, "x")
	}
	for _, tt := range []struct {
		name  string
		inner []grpc.StreamClientInterceptor
		dials int // that fail
		run   func(ctx context.Context, cancel func(), c pb.TestServiceClient) error
		code  codes.Code
		want  hold.Outcome
	}{
		{"many back", nil, 0, func(ctx context.Context, _ func(), c pb.TestServiceClient) error {
			stream, err := c.StreamingOutputCall(ctx, &pb.StreamingOutputCallRequest{})
			for err == nil {
				_, err = stream.Recv()
			}
			return err
		}, codes.OK, hold.Success},
		{"many there", nil, 0, func(ctx context.Context, _ func(), c pb.TestServiceClient) error {
			stream, err := c.StreamingInputCall(ctx)
			for range 3 {
				err = errors.Join(err, stream.Send(&pb.StreamingInputCallRequest{}))
			}
			if err != nil {
				return err
			}
			got, err := stream.CloseAndRecv() // after which nobody reads
			if err == nil && got.GetAggregatedPayloadSize() != 7 {
				return errors.New("another answer")
			}
			return err
		}, codes.OK, hold.Success},
		{"there is no connection", nil, 1000, func(ctx context.Context, _ func(), c pb.TestServiceClient) error {
			_, err := c.FullDuplexCall(ctx)
			return err
		}, codes.Unavailable, hold.LocalFailure},
		{"an interceptor cannot open it", []grpc.StreamClientInterceptor{cannot}, 0, func(ctx context.Context, _ func(), c pb.TestServiceClient) error {
			_, err := c.FullDuplexCall(ctx)
			return err
		}, codes.Unavailable, hold.Failure},
		{"it is not gRPC's, and is read", []grpc.StreamClientInterceptor{noNetwork}, 0, func(ctx context.Context, _ func(), c pb.TestServiceClient) error {
			stream, err := c.FullDuplexCall(ctx)
			if err == nil {
				_, err = stream.Recv()
			}
			return err
		}, codes.DataLoss, hold.Failure},
		{"it is not gRPC's, and has one answer", []grpc.StreamClientInterceptor{withAnswers}, 0, func(ctx context.Context, _ func(), c pb.TestServiceClient) error {
			stream, err := c.StreamingInputCall(ctx)
			if err == nil {
				_, err = stream.CloseAndRecv()
			}
			return err
		}, codes.OK, hold.Success},
		{"it is not gRPC's, and is left", []grpc.StreamClientInterceptor{noNetwork}, 0, func(ctx context.Context, cancel func(), c pb.TestServiceClient) error {
			_, err := c.FullDuplexCall(ctx)
			cancel()
			return err
		}, codes.OK, hold.Ignored},
		{"it is not gRPC's, and cannot send", []grpc.StreamClientInterceptor{noNetwork}, 0, func(ctx context.Context, _ func(), c pb.TestServiceClient) error {
			stream, err := c.FullDuplexCall(ctx)
			if err == nil {
				err = stream.Send(&pb.StreamingOutputCallRequest{})
			}
			return err
		}, codes.Internal, hold.Failure},
		{"it is not gRPC's, and has no header", []grpc.StreamClientInterceptor{noNetwork}, 0, func(ctx context.Context, _ func(), c pb.TestServiceClient) error {
			stream, err := c.FullDuplexCall(ctx)
			if err == nil {
				_, err = stream.Header()
			}
			return err
		}, codes.Unknown, hold.Failure},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var heard heard
				o := newOn(t, memory.New(memory.Options{}).Stores(), &heard)
				g := newGuard(t, o, hold.Combine(hold.Retry{}, roomAndBreaker()))
				chain := append([]grpc.StreamClientInterceptor{holdfastgrpc.StreamClient(g, holdfastgrpc.ClientConfig{})}, tt.inner...)
				client := pb.NewTestServiceClient(dial(t, unreachable(tt.dials, serve(t, s)), grpc.WithChainStreamInterceptor(chain...)))
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				start := time.Now()
				err := tt.run(ctx, cancel, client)
				if errors.Is(err, io.EOF) {
					err = nil
				}
				if got := status.Code(err); got != tt.code {
					t.Errorf("error %v; want %s", err, tt.code)
				}
				if took := time.Since(start); took > 0 {
					t.Errorf("it took %s; want that a stream is opened once", took)
				}
				synctest.Wait()
				wantRoom(t, o, 0)
				if got := heard.all(); len(got) != 1 || got[0] != tt.want {
					t.Errorf("the breaker heard %v; want one %s", got, tt.want)
				}
			})
		})
	}
}

// ofNobody is a stream that an interceptor made up.
type ofNobody struct{ grpc.ClientStream }

func (*ofNobody) Header() (metadata.MD, error) { return nil, status.Error(codes.Unknown, "x") }
func (*ofNobody) SendMsg(any) error            { return status.Error(codes.Internal, "x") }
func (*ofNobody) RecvMsg(any) error            { return status.Error(codes.DataLoss, "x") }

// ofSomebody is one that works.
type ofSomebody struct{ grpc.ClientStream }

func (*ofSomebody) CloseSend() error  { return nil }
func (*ofSomebody) RecvMsg(any) error { return nil }

// TestMessagesOfAClient: each takes a token, and waits for it or ends the stream, on both
// sides of the connection.
func TestMessagesOfAClient(t *testing.T) {
	for _, tt := range []struct {
		name     string
		received bool
		wait     bool
		took     time.Duration
	}{
		{"received, and refused", true, false, 0},
		{"sent, and refused", false, false, 0},
		{"received, in time", true, true, 2 * time.Minute},
		{"sent, in time", false, true, 2 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrchestrator(t)
				g := newGuard(t, o, roomAndBreaker())
				config := holdfastgrpc.ClientConfig{Key: everybody}
				by := holdfastgrpc.Messages{Limiter: limiter(t, o), Wait: tt.wait}
				if tt.received {
					config.Received = by
				} else {
					config.Sent = by
				}
				var served error
				s := &service{duplex: func(s duplexServer) error { served = echo(s); return served }}
				client := pb.NewTestServiceClient(dial(t, serve(t, s), grpc.WithStreamInterceptor(holdfastgrpc.StreamClient(g, config))))
				stream, start := openDuplex(t, t.Context(), client), time.Now()
				for range 2 {
					send(t, stream)
					receive(t, stream)
				}
				if tt.wait {
					for range 2 {
						send(t, stream)
						receive(t, stream)
					}
					_ = stream.CloseSend()
					if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
						t.Errorf("in the end: %v", err)
					}
					synctest.Wait()
					counts(t, o, hold.Success)
				} else {
					err := stream.Send(&pb.StreamingOutputCallRequest{})
					if tt.received {
						_, err = stream.Recv()
					}
					want := told{codes.ResourceExhausted, "RATE_LIMITED", "messages", "messages", time.Minute, ""}
					if got := read(t, err, nil); got != want || !errors.Is(err, hold.ErrRateLimited) {
						t.Errorf("the caller is told %+v (%v);\nwant %+v", got, err, want)
					}
					if _, err := stream.Recv(); !errors.Is(err, hold.ErrRateLimited) {
						t.Errorf("afterwards: %v; want why the stream ended", err)
					}
					synctest.Wait()
					if status.Code(served) != codes.Canceled {
						t.Errorf("the server's end: %v; want that it was cancelled", served)
					}
					counts(t, o, hold.Ignored)
				}
				if took := time.Since(start); took != tt.took {
					t.Errorf("it took %s; want %s", took, tt.took)
				}
				wantRoom(t, o, 0)
			})
		})
	}
}

// TestAProbeOfAClient: a stream that outlives its probe's lease closes the breaker, if the
// server answered anything by then, if only with a header.
func TestAProbeOfAClient(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer func(t *testing.T, s duplexClient)
		want   hold.State
	}{
		{"a message", func(t *testing.T, s duplexClient) { t.Helper(); send(t, s); receive(t, s) }, hold.StateClosed},
		{"a header", func(t *testing.T, s duplexClient) {
			t.Helper()
			send(t, s)
			if _, err := s.Header(); err != nil {
				t.Error(err)
			}
		}, hold.StateClosed},
		{"nothing", func(*testing.T, duplexClient) {}, hold.StateHalfOpen},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrchestrator(t)
				g := newGuard(t, o, hold.CircuitBreaker{FailureThreshold: 1, SuccessThreshold: 1})
				fails := true
				s := &service{duplex: func(s duplexServer) error {
					if fails {
						return status.Error(codes.Internal, "down")
					}
					return echo(s)
				}}
				client := pb.NewTestServiceClient(dial(t, serve(t, s), grpc.WithStreamInterceptor(holdfastgrpc.StreamClient(g, holdfastgrpc.ClientConfig{}))))
				_, _ = openDuplex(t, t.Context(), client).Recv()
				fails = false
				time.Sleep(hold.DefaultRecoveryTimeout)
				stream := openDuplex(t, t.Context(), client)
				tt.answer(t, stream)
				time.Sleep(hold.DefaultProbeLease)
				b, _ := o.CircuitBreaker("g")
				if got := b.Status().State; got != tt.want {
					t.Errorf("the breaker is %s; want it %s", got, tt.want)
				}
				send(t, stream) // it goes on
				receive(t, stream)
			})
		})
	}
}

// TestAStreamerThatPanics: nothing is held, and the panic goes on.
func TestAStreamerThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t)
		g := newGuard(t, o, roomAndBreaker())
		panics := func(context.Context, *grpc.StreamDesc, *grpc.ClientConn, string, grpc.Streamer, ...grpc.CallOption) (grpc.ClientStream, error) {
			panic("boom")
		}
		client := pb.NewTestServiceClient(dial(t, serve(t, &service{}),
			grpc.WithChainStreamInterceptor(holdfastgrpc.StreamClient(g, holdfastgrpc.ClientConfig{}), panics)))
		func() {
			defer func() {
				if p := recover(); p != "boom" {
					t.Errorf("it panicked with %v", p)
				}
			}()
			_, _ = client.FullDuplexCall(t.Context())
		}()
		wantRoom(t, o, 0)
		counts(t, o, hold.Failure)
	})
}

// TestToStatus: what a handler that runs a guard of its own may say of its refusals.
func TestToStatus(t *testing.T) {
	plain, own := errors.New("plain"), status.Error(codes.NotFound, "mine")
	for _, tt := range []struct {
		err  error
		code codes.Code
		text string
	}{
		{nil, codes.OK, ""},
		{plain, codes.Unknown, "plain"},
		{own, codes.NotFound, "mine"},
		{&hold.RateLimitedError{Name: "l", Key: secret, RetryAfter: 1500 * time.Microsecond}, codes.ResourceExhausted, `rate limited: "l", retry after 2ms`},
		{&hold.CircuitOpenError{Name: "b", Key: secret, Reason: "INC-7"}, codes.Unavailable, `circuit open: "b"`},
		{&hold.StoreError{Op: "bucket take", Config: true, Err: plain}, codes.Unavailable, "store unavailable"},
		{hold.ErrCostTooHigh, codes.ResourceExhausted, "cost above burst"},
		{&hold.TimeoutError{After: time.Second, Err: errors.New(secret)}, codes.DeadlineExceeded, "timeout after 1s"},
		{&hold.LockLostError{Name: "x", Err: errors.New(secret)}, codes.Aborted, "lock lost"},
		{&hold.RetryExhaustedError{Attempts: 3, Err: &hold.BulkheadFullError{Name: "room"}}, codes.Unavailable, `bulkhead full: "room"`},
	} {
		got := holdfastgrpc.ToStatus(tt.err)
		if s := status.Convert(got); s.Code() != tt.code || s.Message() != tt.text {
			t.Errorf("%v: %s, %q; want %s, %q", tt.err, s.Code(), s.Message(), tt.code, tt.text)
		}
		if _, refused := orchestrator.RefusalOf(tt.err); refused && hold.Classify(got) != hold.Ignored {
			t.Errorf("%v became %v; want that a breaker further out ignores it", tt.err, got)
		}
		if !errors.Is(got, tt.err) || got != nil && strings.Contains(got.Error(), secret) {
			t.Errorf("%v became %v; want that it matches still, without a key", tt.err, got)
		}
	}
}
