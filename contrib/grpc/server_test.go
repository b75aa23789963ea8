package holdfastgrpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	holdfastgrpc "github.com/holdfast-go/holdfast/contrib/grpc"
	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
)

// secret is a key that nobody may be told.
const secret = "s3cr3t"

// told is what a client is told of a refusal.
type told struct {
	code     codes.Code
	reason   string
	name     string // of the part, in ErrorInfo
	quota    string // "-" where there is no QuotaFailure
	wait     time.Duration
	pushback string
}

// read returns what err and the trailer say.
func read(t *testing.T, err error, trailer metadata.MD) told {
	t.Helper()
	s, ok := status.FromError(err)
	if !ok {
		t.Fatalf("error %v has no status", err)
	}
	got := told{code: s.Code(), quota: "-", pushback: strings.Join(trailer.Get("grpc-retry-pushback-ms"), ",")}
	for _, detail := range s.Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			got.reason, got.name = d.GetReason(), d.GetMetadata()["name"]
			if d.GetDomain() != "holdfast" {
				t.Errorf("the domain is %q", d.GetDomain())
			}
		case *errdetails.QuotaFailure:
			got.quota = d.GetViolations()[0].GetQuotaId()
		case *errdetails.RetryInfo:
			got.wait = d.GetRetryDelay().AsDuration()
		default:
			t.Errorf("a detail that nobody expects: %v", d)
		}
	}
	if text := fmt.Sprint(err, s.Proto(), trailer); strings.Contains(text, secret) {
		t.Errorf("it tells the key: %s", text)
	}
	return got
}

// refusals are policies and what is to happen before a call that they then refuse.
func refusals() []struct {
	name   string
	policy hold.Policy
	before string // what the call before it does: "" there is none, "ok", "fails", "hangs", "close"
	want   told
	is     error
} {
	pass := hold.Limit{Tokens: 3, Period: 2 * time.Second, Burst: 1} // one each 666.667 ms
	return []struct {
		name   string
		policy hold.Policy
		before string
		want   told
		is     error
	}{
		{
			"a limit without tokens",
			hold.RateLimit{Name: "l", Keyed: true, Limit: pass},
			"ok",
			told{codes.ResourceExhausted, "RATE_LIMITED", "l", "l", 667 * time.Millisecond, "667"},
			hold.ErrRateLimited,
		},
		{
			"one for which the call is too large",
			hold.RateLimit{Limit: pass},
			"large",
			told{codes.ResourceExhausted, "COST_TOO_HIGH", "", "", 0, "-1"},
			hold.ErrCostTooHigh,
		},
		{
			"nobody said for whom the call is",
			hold.CircuitBreaker{Keyed: true},
			"nobody",
			told{codes.InvalidArgument, "KEY_MISSING", "", "-", 0, "-1"},
			hold.ErrKeyMissing,
		},
		{
			"an open breaker",
			hold.CircuitBreaker{Name: "b", FailureThreshold: 1},
			"fails",
			told{codes.Unavailable, "CIRCUIT_OPEN", "b", "-", 30 * time.Second, "30000"},
			hold.ErrCircuitOpen,
		},
		{
			"a full bulkhead",
			hold.Bulkhead{Name: "room", MaxConcurrent: 1},
			"hangs",
			told{codes.Unavailable, "BULKHEAD_FULL", "room", "-", 0, ""},
			hold.ErrBulkheadFull,
		},
		{
			"a lock that another call has",
			hold.Exclusive{Name: "x"},
			"hangs",
			told{codes.Unavailable, "HELD_ELSEWHERE", "x", "-", 0, ""},
			hold.ErrNotExclusive,
		},
		{
			"a store that does not answer",
			hold.RateLimit{Name: "l", Limit: pass, Outage: hold.OutageClosed},
			"broken",
			told{codes.Unavailable, "STORE_UNAVAILABLE", "l", "-", 0, ""},
			hold.ErrStoreUnavailable,
		},
		{
			"a replica that goes away",
			hold.RateLimit{Limit: pass},
			"close",
			told{codes.Unavailable, "CLOSED", "", "-", 0, ""},
			hold.ErrClosed,
		},
		{
			"a timeout",
			hold.Timeout{Duration: time.Second},
			"late",
			told{codes.DeadlineExceeded, "", "", "-", 0, ""},
			hold.ErrTimeout,
		},
		{
			"a retry of a refusal that did not help",
			hold.Combine(hold.Retry{MaxAttempts: 2, Backoff: hold.Fixed(time.Millisecond)}, hold.Bulkhead{MaxConcurrent: 1}), "hangs",
			told{codes.Unavailable, "BULKHEAD_FULL", "g", "-", 0, ""},
			hold.ErrRetryExhausted,
		},
	}
}

func orchestratorFor(t *testing.T, before string) *orchestrator.Orchestrator {
	t.Helper()
	if before != "broken" {
		return newOrchestrator(t)
	}
	stores := memory.New(memory.Options{}).Stores()
	stores.Buckets = broken{}
	return newOn(t, stores, nil)
}

// costOf is what the call before the one that counts, and that itself, cost.
func costOf(before string) func(context.Context, string, any) int64 {
	if before == "large" {
		return func(context.Context, string, any) int64 { return 2 }
	}
	return nil
}

func keyOf(before string) holdfastgrpc.Key {
	if before == "nobody" {
		return nil
	}
	return func(context.Context, string) string { return secret }
}

// TestServerRefuses: each reason has its code and details, and gRPC's own retries are told
// when to come back.
func TestServerRefuses(t *testing.T) {
	for _, tt := range refusals() {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := orchestratorFor(t, tt.before)
				g := newGuard(t, o, tt.policy)
				release := make(chan struct{})
				s := &service{unary: func(ctx context.Context, _ *pb.SimpleRequest) (*pb.SimpleResponse, error) {
					switch tt.before {
					case "fails":
						return nil, status.Error(codes.Internal, "down")
					case "hangs":
						<-release
					case "late":
						<-ctx.Done()
						return nil, ctx.Err()
					}
					return &pb.SimpleResponse{}, nil
				}}
				var seen error
				watch := func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
					resp, err := handler(ctx, req)
					seen = err
					return resp, err
				}
				config := holdfastgrpc.ServerConfig{Key: keyOf(tt.before), Cost: costOf(tt.before)}
				client := pb.NewTestServiceClient(dial(t, serve(t, s, grpc.ChainUnaryInterceptor(watch, holdfastgrpc.UnaryServer(g, config)))))
				call := func() (metadata.MD, error) {
					var trailer metadata.MD
					_, err := client.UnaryCall(t.Context(), &pb.SimpleRequest{}, grpc.Trailer(&trailer))
					return trailer, err
				}
				switch tt.before {
				case "ok", "fails":
					_, _ = call()
				case "hangs":
					go func() { _, _ = call() }()
					synctest.Wait()
				case "close":
					if err := o.Close(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				trailer, err := call()
				if got := read(t, err, trailer); got != tt.want {
					t.Errorf("the client is told %+v (%v);\nwant %+v", got, err, tt.want)
				}
				if !errors.Is(seen, tt.is) {
					t.Errorf("an interceptor further out sees %v; want that it matches %v", seen, tt.is)
				}
				close(release)
				synctest.Wait()
			})
		})
	}
}

// TestStreamServerRefuses: the same of streams, which are refused before they begin.
func TestStreamServerRefuses(t *testing.T) {
	for _, tt := range refusals() {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := orchestratorFor(t, tt.before)
				g := newGuard(t, o, tt.policy)
				s := &service{duplex: func(s grpc.BidiStreamingServer[pb.StreamingOutputCallRequest, pb.StreamingOutputCallResponse]) error {
					switch tt.before {
					case "fails":
						return status.Error(codes.Internal, "down")
					case "hangs":
						_, _ = s.Recv()
					case "late":
						<-s.Context().Done()
						return s.Context().Err()
					}
					return nil
				}}
				config := holdfastgrpc.ServerConfig{Key: keyOf(tt.before), Cost: costOf(tt.before)}
				client := pb.NewTestServiceClient(dial(t, serve(t, s, grpc.StreamInterceptor(holdfastgrpc.StreamServer(g, config)))))
				open := func() grpc.BidiStreamingClient[pb.StreamingOutputCallRequest, pb.StreamingOutputCallResponse] {
					stream, err := client.FullDuplexCall(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					return stream
				}
				runs := 0
				switch tt.before {
				case "ok", "fails":
					_, _ = open().Recv()
					runs = 1
				case "hangs":
					stream := open()
					synctest.Wait()
					defer func() { _ = stream.CloseSend(); _, _ = stream.Recv() }()
					runs = 1
				case "late":
					runs = 1
				case "close":
					if err := o.Close(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				stream := open()
				_, err := stream.Recv()
				if got := read(t, err, stream.Trailer()); got != tt.want {
					t.Errorf("the client is told %+v (%v);\nwant %+v", got, err, tt.want)
				}
				s.wants(t, runs)
			})
		})
	}
}

// TestHandlersErrorIsUnchanged: what a handler returns is what the client gets, and the
// handler runs once, whatever the policy says now or later.
func TestHandlersErrorIsUnchanged(t *testing.T) {
	detailed, err := status.New(codes.Unavailable, "mine").WithDetails(&errdetails.Help{Links: []*errdetails.Help_Link{{Url: "a"}}})
	if err != nil {
		t.Fatal(err)
	}
	again := hold.Combine(hold.Retry{MaxAttempts: 5}, hold.Timeout{Duration: time.Minute}, hold.Hedge{Delay: time.Millisecond})
	always := orchestrator.RetryIf(func(error) bool { return true })
	for _, tt := range []struct {
		name   string
		policy hold.Policy
		update hold.Policy
		opts   []orchestrator.GuardOption
		came   error
		want   *status.Status
	}{
		{"with its details", hold.None{}, nil, nil, detailed.Err(), detailed},
		{"under a policy that would repeat it", again, nil, nil, detailed.Err(), detailed},
		{"under one with a rule of its own", again, nil, []orchestrator.GuardOption{always}, detailed.Err(), detailed},
		{"under one that came later", hold.None{}, again, nil, detailed.Err(), detailed},
		{
			"a refusal of its own client", again, nil, nil, fmt.Errorf("upstream: %w", &hold.CircuitOpenError{Name: "b"}),
			status.New(codes.Unknown, `upstream: circuit open: "b" (replica), retry after 0s`),
		},
		{"the same, with a status", again, nil, nil, holdfastgrpc.ToStatus(hold.ErrClosed), status.Convert(holdfastgrpc.ToStatus(hold.ErrClosed))},
		{"a context's", again, nil, nil, context.DeadlineExceeded, status.New(codes.DeadlineExceeded, "context deadline exceeded")},
		{"no status at all", again, nil, nil, io.ErrUnexpectedEOF, status.New(codes.Unknown, "unexpected EOF")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrchestrator(t)
				g := newGuard(t, o, tt.policy, tt.opts...)
				if tt.update != nil {
					if err := o.Update("g", tt.update); err != nil {
						t.Fatal(err)
					}
				}
				s := &service{
					unary: func(context.Context, *pb.SimpleRequest) (*pb.SimpleResponse, error) { return nil, tt.came },
					duplex: func(grpc.BidiStreamingServer[pb.StreamingOutputCallRequest, pb.StreamingOutputCallResponse]) error {
						return tt.came
					},
				}
				client := pb.NewTestServiceClient(dial(t, serve(t, s,
					grpc.UnaryInterceptor(holdfastgrpc.UnaryServer(g, holdfastgrpc.ServerConfig{})),
					grpc.StreamInterceptor(holdfastgrpc.StreamServer(g, holdfastgrpc.ServerConfig{})),
				)))
				start := time.Now()
				var trailer metadata.MD
				_, err := client.UnaryCall(t.Context(), &pb.SimpleRequest{}, grpc.Trailer(&trailer))
				if got := status.Convert(err); !proto.Equal(got.Proto(), tt.want.Proto()) {
					t.Errorf("the client gets %v; want %v", got.Proto(), tt.want.Proto())
				}
				if len(trailer.Get("grpc-retry-pushback-ms")) > 0 {
					t.Errorf("the trailer is %v; want the handler's", trailer)
				}
				s.wants(t, 1)
				stream, err := client.FullDuplexCall(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				_, err = stream.Recv()
				if got := status.Convert(err); !proto.Equal(got.Proto(), tt.want.Proto()) {
					t.Errorf("the client of a stream gets %v; want %v", got.Proto(), tt.want.Proto())
				}
				s.wants(t, 2)
				if took := time.Since(start); took > 0 {
					t.Errorf("it took %s; want no pause", took)
				}
			})
		})
	}
}

// codesAndOutcomes are how each code is read.
func codesAndOutcomes() map[codes.Code]hold.Outcome {
	all := make(map[codes.Code]hold.Outcome)
	for code := codes.OK; code <= codes.Unauthenticated; code++ {
		all[code] = hold.Success
	}
	for _, code := range []codes.Code{codes.Unavailable, codes.Internal, codes.Unknown, codes.DataLoss, codes.DeadlineExceeded} {
		all[code] = hold.Failure
	}
	all[codes.ResourceExhausted], all[codes.Canceled] = hold.Ignored, hold.Ignored
	return all
}

// counts checks what a breaker counted.
func counts(t *testing.T, o *orchestrator.Orchestrator, want hold.Outcome) {
	t.Helper()
	b, ok := o.CircuitBreaker("g")
	if !ok {
		t.Fatal("there is no breaker")
	}
	wants := map[hold.Outcome][2]int64{hold.Success: {1, 0}, hold.Failure: {1, 1}, hold.Ignored: {0, 0}}[want]
	if s := b.Status(); s.Calls != wants[0] || s.Failures != wants[1] {
		t.Errorf("it counted %d calls, %d failures; want %s", s.Calls, s.Failures, want)
	}
}

// TestWhatABreakerOfAServerCounts: by the code of the handler's error.
func TestWhatABreakerOfAServerCounts(t *testing.T) {
	for code, want := range codesAndOutcomes() {
		t.Run(code.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, streams := range []bool{false, true} {
					o := newOrchestrator(t)
					g := newGuard(t, o, hold.CircuitBreaker{})
					s := &service{
						unary: func(context.Context, *pb.SimpleRequest) (*pb.SimpleResponse, error) {
							return &pb.SimpleResponse{}, status.Error(code, "x")
						},
						duplex: func(grpc.BidiStreamingServer[pb.StreamingOutputCallRequest, pb.StreamingOutputCallResponse]) error {
							return status.Error(code, "x")
						},
					}
					client := pb.NewTestServiceClient(dial(t, serve(t, s,
						grpc.UnaryInterceptor(holdfastgrpc.UnaryServer(g, holdfastgrpc.ServerConfig{})),
						grpc.StreamInterceptor(holdfastgrpc.StreamServer(g, holdfastgrpc.ServerConfig{})),
					)))
					if streams {
						stream, err := client.FullDuplexCall(t.Context())
						if err != nil {
							t.Fatal(err)
						}
						_, _ = stream.Recv()
					} else {
						_, _ = client.UnaryCall(t.Context(), &pb.SimpleRequest{})
					}
					synctest.Wait()
					counts(t, o, want)
				}
			})
		})
	}
}

// retrying is a service config in which gRPC itself tries again.
func retrying() grpc.DialOption {
	return grpc.WithDefaultServiceConfig(`{"methodConfig": [{"name": [{}], "retryPolicy": {
		"maxAttempts": 3, "initialBackoff": "0.001s", "maxBackoff": "0.001s", "backoffMultiplier": 1,
		"retryableStatusCodes": ["RESOURCE_EXHAUSTED", "UNAVAILABLE", "INVALID_ARGUMENT"]}}]}`)
}

// TestRetriesOfGRPC: gRPC's own retries come back when a refusal says that it helps, and not
// at all where none does.
func TestRetriesOfGRPC(t *testing.T) {
	for _, tt := range []struct {
		name   string
		config holdfastgrpc.ServerConfig
		policy hold.Policy
		asks   int
		took   time.Duration
		code   codes.Code
	}{
		{"when there is a token", holdfastgrpc.ServerConfig{}, hold.RateLimit{Limit: hold.Per(1, time.Minute)}, 2, time.Minute, codes.OK},
		{
			"not where the call is too large",
			holdfastgrpc.ServerConfig{Cost: func(context.Context, string, any) int64 { return 2 }},
			hold.RateLimit{Limit: hold.Per(1, time.Minute)},
			1, 0, codes.ResourceExhausted,
		},
		{"nor where the key is missing", holdfastgrpc.ServerConfig{}, hold.RateLimit{Keyed: true, Limit: hold.PerHour(9)}, 1, 0, codes.InvalidArgument},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGuard(t, newOrchestrator(t), tt.policy)
				s, asks := &service{}, 0
				count := func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
					asks++
					return handler(ctx, req)
				}
				guarded := holdfastgrpc.UnaryServer(g, tt.config)
				client := pb.NewTestServiceClient(dial(t, serve(t, s, grpc.ChainUnaryInterceptor(count, guarded)), retrying()))
				if tt.code == codes.OK { // there is a token for one
					if _, err := client.UnaryCall(t.Context(), &pb.SimpleRequest{}); err != nil {
						t.Fatal(err)
					}
					asks = 0
				}
				start := time.Now()
				_, err := client.UnaryCall(t.Context(), &pb.SimpleRequest{})
				if status.Code(err) != tt.code || asks != tt.asks || time.Since(start) != tt.took {
					t.Errorf("after %d attempts, in %s: %v; want %d, %s, %s", asks, time.Since(start), err, tt.asks, tt.took, tt.code)
				}
			})
		})
	}
}

// TestGuardFor: methods have guards of their own, or none.
func TestGuardFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t)
		none := newGuard(t, o, hold.RateLimit{Keyed: true, Limit: hold.PerHour(1)}) // refuses all, for want of a key
		once, err := o.Guard("once", hold.RateLimit{Limit: hold.PerHour(1)})
		if err != nil {
			t.Fatal(err)
		}
		own := map[string]*orchestrator.Guard{
			pb.TestService_UnaryCall_FullMethodName:          once,
			pb.TestService_StreamingInputCall_FullMethodName: nil,
		}
		config := holdfastgrpc.ServerConfig{GuardFor: func(method string) (*orchestrator.Guard, bool) {
			g, ok := own[method]
			return g, ok
		}}
		s := &service{
			in: func(s grpc.ClientStreamingServer[pb.StreamingInputCallRequest, pb.StreamingInputCallResponse]) error {
				return s.SendAndClose(&pb.StreamingInputCallResponse{})
			},
		}
		client := pb.NewTestServiceClient(dial(t, serve(t, s,
			grpc.UnaryInterceptor(holdfastgrpc.UnaryServer(none, config)), grpc.StreamInterceptor(holdfastgrpc.StreamServer(none, config)))))
		unary := func() error {
			_, err := client.UnaryCall(t.Context(), &pb.SimpleRequest{})
			return err
		}
		bare := func() error {
			stream, err := client.StreamingInputCall(t.Context())
			if err == nil {
				_, err = stream.CloseAndRecv()
			}
			return err
		}
		others := func() error {
			stream, err := client.FullDuplexCall(t.Context())
			if err == nil {
				_, err = stream.Recv()
			}
			return err
		}
		for i, want := range []codes.Code{codes.OK, codes.ResourceExhausted} {
			if got := status.Code(unary()); got != want {
				t.Errorf("call %d of the method with a guard of its own: %s; want %s", i, got, want)
			}
			if got := status.Code(bare()); got != codes.OK {
				t.Errorf("call %d of the method without one: %s", i, got)
			}
			if got := status.Code(others()); got != codes.InvalidArgument {
				t.Errorf("call %d of another method: %s; want the interceptor's guard", i, got)
			}
		}
	})
}

// TestNoGuard: an interceptor that was given none lets nothing pass.
func TestNoGuard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{}
		client := pb.NewTestServiceClient(dial(t, serve(t, s, grpc.UnaryInterceptor(holdfastgrpc.UnaryServer(nil, holdfastgrpc.ServerConfig{})))))
		if _, err := client.UnaryCall(t.Context(), &pb.SimpleRequest{}); status.Code(err) != codes.Internal {
			t.Errorf("error %v; want INTERNAL", err)
		}
		s.wants(t, 0)
	})
}
