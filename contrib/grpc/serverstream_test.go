package holdfastgrpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	holdfastgrpc "github.com/holdfast-go/holdfast/contrib/grpc"
	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/orchestrator"
)

type (
	duplexServer = grpc.BidiStreamingServer[pb.StreamingOutputCallRequest, pb.StreamingOutputCallResponse]
	duplexClient = grpc.BidiStreamingClient[pb.StreamingOutputCallRequest, pb.StreamingOutputCallResponse]
)

// echo answers each message with one.
func echo(s duplexServer) error {
	for {
		if _, err := s.Recv(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := s.Send(&pb.StreamingOutputCallResponse{}); err != nil {
			return err
		}
	}
}

func openDuplex(t *testing.T, ctx context.Context, c pb.TestServiceClient) duplexClient {
	t.Helper()
	stream, err := c.FullDuplexCall(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func send(t *testing.T, s duplexClient) {
	t.Helper()
	if err := s.Send(&pb.StreamingOutputCallRequest{}); err != nil {
		t.Fatal(err)
	}
}

func receive(t *testing.T, s duplexClient) {
	t.Helper()
	if _, err := s.Recv(); err != nil {
		t.Fatal(err)
	}
}

// wantRoom checks how many streams are in a bulkhead.
func wantRoom(t *testing.T, o *orchestrator.Orchestrator, running int) {
	t.Helper()
	b, err := o.Bulkhead(hold.Bulkhead{Name: "g", MaxConcurrent: 2})
	if err != nil {
		t.Fatal(err)
	}
	if got := b.Status().Running; got != running {
		t.Errorf("%d are in the bulkhead; want %d", got, running)
	}
}

func roomAndBreaker() hold.Policy {
	return hold.Combine(hold.CircuitBreaker{}, hold.Bulkhead{MaxConcurrent: 2})
}

// TestStreamOfAServer: it is one call, from its opening to the handler's return, whatever
// ends it.
func TestStreamOfAServer(t *testing.T) {
	for _, tt := range []struct {
		name   string
		policy hold.Policy
		end    func(t *testing.T, s duplexClient, cancel func())
		duplex func(duplexServer) error
		want   hold.Outcome
		code   codes.Code
	}{
		{
			"the handler returns", roomAndBreaker(),
			func(_ *testing.T, s duplexClient, _ func()) { _ = s.CloseSend() }, echo, hold.Success, codes.OK,
		},
		{
			"it fails", roomAndBreaker(),
			func(_ *testing.T, s duplexClient, _ func()) { _ = s.CloseSend() },
			func(s duplexServer) error { _ = echo(s); return status.Error(codes.DataLoss, "x") }, hold.Failure, codes.DataLoss,
		},
		{
			"it panics", roomAndBreaker(),
			func(_ *testing.T, s duplexClient, _ func()) { _ = s.CloseSend() },
			func(s duplexServer) error { _ = echo(s); panic("boom") }, hold.Failure, codes.Aborted,
		},
		{
			"the client goes away", roomAndBreaker(), func(_ *testing.T, _ duplexClient, cancel func()) { cancel() },
			echo, hold.Ignored, codes.Canceled,
		},
		{
			"its time is up", hold.Combine(hold.Timeout{Duration: time.Minute}, roomAndBreaker()),
			func(*testing.T, duplexClient, func()) { time.Sleep(time.Minute) },
			func(s duplexServer) error {
				_, _ = s.Recv()
				_ = s.Send(&pb.StreamingOutputCallResponse{})
				<-s.Context().Done()
				return s.Context().Err()
			}, hold.Failure, codes.DeadlineExceeded,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrchestrator(t)
				g := newGuard(t, o, tt.policy)
				recovers := func(srv any, s grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
					defer func() {
						if p := recover(); p != nil {
							err = status.Error(codes.Aborted, fmt.Sprint(p))
						}
					}()
					return handler(srv, s)
				}
				guarded := holdfastgrpc.StreamServer(g, holdfastgrpc.ServerConfig{})
				client := pb.NewTestServiceClient(dial(t, serve(t, &service{duplex: tt.duplex}, grpc.ChainStreamInterceptor(recovers, guarded))))
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				stream := openDuplex(t, ctx, client)
				send(t, stream)
				receive(t, stream)
				wantRoom(t, o, 1)
				tt.end(t, stream, cancel)
				_, err := stream.Recv()
				if errors.Is(err, io.EOF) {
					err = nil
				}
				if got := status.Code(err); got != tt.code {
					t.Errorf("the client gets %v; want %s", err, tt.code)
				}
				synctest.Wait()
				wantRoom(t, o, 0)

				counts(t, o, tt.want)
			})
		})
	}
}

// limiter makes a limit of messages: burst 2, then one a minute.
func limiter(t *testing.T, o *orchestrator.Orchestrator) *fleet.Limiter {
	t.Helper()
	l, err := o.Limiter(hold.RateLimit{Name: "messages", Keyed: true, Limit: hold.Per(1, time.Minute).WithBurst(2)})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func everybody(context.Context, string) string { return secret }

// TestMessagesOfAServer: each takes a token, and waits for it or ends the stream.
func TestMessagesOfAServer(t *testing.T) {
	for _, tt := range []struct {
		name     string
		received bool
		wait     bool
		took     time.Duration
		want     told
	}{
		{"received, and refused", true, false, 0, told{codes.ResourceExhausted, "RATE_LIMITED", "messages", "messages", time.Minute, "60000"}},
		{"sent, and refused", false, false, 0, told{codes.ResourceExhausted, "RATE_LIMITED", "messages", "messages", time.Minute, "60000"}},
		{"received, in time", true, true, 2 * time.Minute, told{}},
		{"sent, in time", false, true, 2 * time.Minute, told{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrchestrator(t)
				g := newGuard(t, o, roomAndBreaker())
				config := holdfastgrpc.ServerConfig{Key: everybody}
				by := holdfastgrpc.Messages{Limiter: limiter(t, o), Wait: tt.wait}
				if tt.received {
					config.Received = by
				} else {
					config.Sent = by
				}
				client := pb.NewTestServiceClient(dial(t, serve(t, &service{duplex: echo}, grpc.StreamInterceptor(holdfastgrpc.StreamServer(g, config)))))
				stream, start := openDuplex(t, t.Context(), client), time.Now()
				for range 2 {
					send(t, stream)
					receive(t, stream)
				}
				if took := time.Since(start); took != 0 {
					t.Errorf("the first two took %s", took)
				}
				if tt.wait {
					for range 2 {
						send(t, stream)
						receive(t, stream)
					}
					_ = stream.CloseSend()
					if _, err := stream.Recv(); !errors.Is(err, io.EOF) { // which took no token
						t.Errorf("in the end: %v", err)
					}
				} else {
					send(t, stream)
					_, err := stream.Recv()
					if got := read(t, err, stream.Trailer()); got != tt.want {
						t.Errorf("the client is told %+v;\nwant %+v", got, tt.want)
					}
				}
				if took := time.Since(start); took != tt.took {
					t.Errorf("it took %s; want %s", took, tt.took)
				}
				synctest.Wait()
				if tt.wait {
					counts(t, o, hold.Success)
				} else {
					counts(t, o, hold.Ignored)
				}
			})
		})
	}
}

// TestMessagesWhereThereIsOne: a direction with one message is not limited beside the call.
func TestMessagesWhereThereIsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t)
		g := newGuard(t, o, hold.None{})
		both := holdfastgrpc.Messages{Limiter: limiter(t, o)} // Keyed, and nobody says for whom: it refuses all
		s := &service{
			out: func(_ *pb.StreamingOutputCallRequest, s grpc.ServerStreamingServer[pb.StreamingOutputCallResponse]) error {
				return s.Send(&pb.StreamingOutputCallResponse{})
			},
			in: func(s grpc.ClientStreamingServer[pb.StreamingInputCallRequest, pb.StreamingInputCallResponse]) error {
				if _, err := s.Recv(); err != nil {
					return err
				}
				return s.SendAndClose(&pb.StreamingInputCallResponse{})
			},
		}
		for _, tt := range []struct {
			server holdfastgrpc.ServerConfig
			client holdfastgrpc.ClientConfig
			out    codes.Code
			in     codes.Code
		}{
			{server: holdfastgrpc.ServerConfig{Received: both}, in: codes.InvalidArgument},
			{server: holdfastgrpc.ServerConfig{Sent: both}, out: codes.InvalidArgument},
			{client: holdfastgrpc.ClientConfig{Received: both}, out: codes.InvalidArgument},
			{client: holdfastgrpc.ClientConfig{Sent: both}, in: codes.InvalidArgument},
		} {
			client := pb.NewTestServiceClient(dial(t, serve(t, s, grpc.StreamInterceptor(holdfastgrpc.StreamServer(g, tt.server))),
				grpc.WithStreamInterceptor(holdfastgrpc.StreamClient(g, tt.client))))
			out, err := client.StreamingOutputCall(t.Context(), &pb.StreamingOutputCallRequest{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := out.Recv(); status.Code(err) != tt.out {
				t.Errorf("one to the server, many back: %v; want %s", err, tt.out)
			}
			_, _ = out.Recv()
			in, err := client.StreamingInputCall(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			err = in.Send(&pb.StreamingInputCallRequest{})
			if err == nil {
				_, err = in.CloseAndRecv()
			}
			if status.Code(err) != tt.in {
				t.Errorf("many to the server, one back: %v; want %s", err, tt.in)
			}
		}
	})
}

// TestAProbeOfAServer: a stream that outlives its probe's lease closes the breaker, if it
// sent anything by then.
func TestAProbeOfAServer(t *testing.T) {
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
		client := pb.NewTestServiceClient(dial(t, serve(t, s, grpc.StreamInterceptor(holdfastgrpc.StreamServer(g, holdfastgrpc.ServerConfig{})))))
		_, _ = openDuplex(t, t.Context(), client).Recv()
		fails = false
		time.Sleep(hold.DefaultRecoveryTimeout)
		stream := openDuplex(t, t.Context(), client)
		send(t, stream)
		receive(t, stream)
		time.Sleep(hold.DefaultProbeLease)
		b, _ := o.CircuitBreaker("g")
		if got := b.Status().State; got != hold.StateClosed {
			t.Errorf("the breaker is %s", got)
		}
		send(t, stream)
		receive(t, stream)
		_ = stream.CloseSend()
		if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
			t.Error(err)
		}
	})
}
