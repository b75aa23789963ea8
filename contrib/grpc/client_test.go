package holdfastgrpc_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	holdfastgrpc "github.com/holdfast-go/holdfast/contrib/grpc"
	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
)

// TestClientRefuses: a refusal of the client's own side has the same status as a server's,
// and matches the errors of package domain.
func TestClientRefuses(t *testing.T) {
	for _, tt := range refusals() {
		for _, streams := range []bool{false, true} {
			t.Run(tt.name+map[bool]string{true: ", of a stream"}[streams], func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o := orchestratorFor(t, tt.before)
					g := newGuard(t, o, tt.policy)
					release := make(chan struct{})
					answer := func(ctx context.Context) error {
						switch tt.before {
						case "fails":
							return status.Error(codes.Internal, "down")
						case "hangs":
							<-release
						case "late":
							<-ctx.Done()
							return ctx.Err()
						}
						return nil
					}
					s := &service{
						unary: func(ctx context.Context, _ *pb.SimpleRequest) (*pb.SimpleResponse, error) {
							return &pb.SimpleResponse{}, answer(ctx)
						},
						duplex: func(s duplexServer) error { return answer(s.Context()) },
					}
					config := holdfastgrpc.ClientConfig{Key: keyOf(tt.before), Cost: costOf(tt.before)}
					client := pb.NewTestServiceClient(dial(t, serve(t, s),
						grpc.WithChainUnaryInterceptor(holdfastgrpc.UnaryClient(g, config), unaryWithout),
						grpc.WithChainStreamInterceptor(holdfastgrpc.StreamClient(g, config), streamWithout)))
					call := func() error {
						if !streams {
							_, err := client.UnaryCall(t.Context(), &pb.SimpleRequest{})
							return err
						}
						stream, err := client.FullDuplexCall(t.Context())
						if err == nil {
							_, err = stream.Recv()
						}
						return err
					}
					runs := 0
					switch tt.before {
					case "ok", "fails":
						_ = call()
						runs = 1
					case "hangs":
						go func() { _ = call() }()
						synctest.Wait()
						runs = 1
					case "late":
						runs = 1
					case "close":
						if err := o.Close(t.Context()); err != nil {
							t.Fatal(err)
						}
					}
					err := call()
					want := tt.want
					want.pushback = "" // that is between servers and gRPC
					if got := read(t, err, nil); got != want {
						t.Errorf("the caller is told %+v (%v);\nwant %+v", got, err, want)
					}
					if !errors.Is(err, tt.is) {
						t.Errorf("error %v; want that it matches %v", err, tt.is)
					}
					if wait, _ := hold.RetryAfter(err); want.wait > 0 && (wait == 0 || wait > want.wait) {
						t.Errorf("domain.RetryAfter says %s", wait)
					}
					close(release)
					synctest.Wait()
					s.wants(t, runs)
				})
			})
		}
	}
}

// asking is a status with a RetryInfo.
func asking(code codes.Code, wait time.Duration) error {
	s, err := status.New(code, "busy").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(wait)})
	if err != nil {
		panic(err)
	}
	return s.Err()
}

// answers are what the handler says, one after the other, the last one again and again.
func answers(errs ...error) *service {
	s := &service{}
	s.unary = func(context.Context, *pb.SimpleRequest) (*pb.SimpleResponse, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return &pb.SimpleResponse{}, errs[min(s.runs, len(errs))-1]
	}
	return s
}

// TestRetriesOfAClient: what may be repeated is, when its code is worth it, and not before
// the server wants it.
func TestRetriesOfAClient(t *testing.T) {
	retry := hold.Retry{MaxAttempts: 3, Backoff: hold.Fixed(time.Second)}
	code := func(c codes.Code) error { return status.Error(c, "x") }
	all := func(string) bool { return true }
	always := orchestrator.RetryIf(func(error) bool { return true })
	late := code(codes.Canceled) // stands for: it hangs until its context ends
	for _, tt := range []struct {
		name       string
		policy     hold.Policy
		opts       []orchestrator.GuardOption
		idempotent func(string) bool
		came       []error
		runs       int
		took       time.Duration
		want       codes.Code
	}{
		{"it worked", retry, nil, all, []error{nil}, 1, 0, codes.OK},
		{"nobody said that it may be repeated", retry, nil, nil, []error{code(codes.Unavailable)}, 1, 0, codes.Unavailable},
		{"even where the guard says so", retry, []orchestrator.GuardOption{always}, nil, []error{code(codes.Unavailable)}, 1, 0, codes.Unavailable},
		{"nor this one of all", retry, nil, holdfastgrpc.Methods("/shop.Cart/List"), []error{code(codes.Unavailable)}, 1, 0, codes.Unavailable},
		{
			"this one", retry, nil, holdfastgrpc.Methods("/shop.Cart/List", pb.TestService_UnaryCall_FullMethodName),
			[]error{code(codes.Unavailable), nil},
			2, time.Second, codes.OK,
		},
		{"again and again", retry, nil, all, []error{code(codes.Unavailable)}, 3, 2 * time.Second, codes.Unavailable},
		{"not for want of a quota", retry, nil, all, []error{code(codes.ResourceExhausted)}, 1, 0, codes.ResourceExhausted},
		{"unless it says when", retry, nil, all, []error{asking(codes.ResourceExhausted, time.Minute), nil}, 2, time.Minute, codes.OK},
		{"no earlier than it says", retry, nil, all, []error{asking(codes.Unavailable, time.Minute), nil}, 2, time.Minute, codes.OK},
		{"nor than the backoff", retry, nil, all, []error{asking(codes.Unavailable, time.Millisecond), nil}, 2, time.Second, codes.OK},
		{"somebody ran out of time", retry, nil, all, []error{code(codes.DeadlineExceeded), nil}, 2, time.Second, codes.OK},
		{"no use", retry, nil, all, []error{code(codes.NotFound)}, 1, 0, codes.NotFound},
		{"nobody knows", retry, nil, all, []error{code(codes.Internal)}, 1, 0, codes.Internal},
		{"unless the guard does", retry, []orchestrator.GuardOption{always}, all, []error{code(codes.Internal)}, 3, 2 * time.Second, codes.Internal},
		{
			"an attempt took too long", hold.Combine(retry, hold.Timeout{Duration: time.Minute}), nil, all,
			[]error{late, nil},
			2, time.Minute + time.Second, codes.OK,
		},
		{
			"and may have been done", hold.Combine(retry, hold.Timeout{Duration: time.Minute}), nil, nil,
			[]error{late},
			1, time.Minute, codes.DeadlineExceeded,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGuard(t, newOrchestrator(t), tt.policy, tt.opts...)
				s := answers(tt.came...)
				answer := s.unary
				s.unary = func(ctx context.Context, req *pb.SimpleRequest) (*pb.SimpleResponse, error) {
					resp, err := answer(ctx, req)
					if err == late { //nolint:errorlint // that one
						<-ctx.Done()
					}
					return resp, err
				}
				config := holdfastgrpc.ClientConfig{Idempotent: tt.idempotent}
				client := pb.NewTestServiceClient(dial(t, serve(t, s),
					grpc.WithChainUnaryInterceptor(holdfastgrpc.UnaryClient(g, config), unaryWithout)))
				start := time.Now()
				_, err := client.UnaryCall(t.Context(), &pb.SimpleRequest{})
				if status.Code(err) != tt.want || time.Since(start) != tt.took {
					t.Errorf("after %s: %v; want %s, %s", time.Since(start), err, tt.took, tt.want)
				}
				s.wants(t, tt.runs)
				if tt.runs == 3 && !errors.Is(err, hold.ErrRetryExhausted) {
					t.Errorf("error %v; want that it says that the attempts ran out", err)
				}
			})
		})
	}
}

// TestAnswersThatSayWhatTheyAre: an interceptor further in knows better than the code.
func TestAnswersThatSayWhatTheyAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t)
		g := newGuard(t, o, hold.Combine(hold.Retry{}, hold.CircuitBreaker{}))
		marks := func(
			ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption,
		) error {
			return hold.MarkIgnored(hold.MarkPermanent(invoker(ctx, method, req, reply, cc, opts...)))
		}
		config := holdfastgrpc.ClientConfig{Idempotent: func(string) bool { return true }}
		s := answers(status.Error(codes.Unavailable, "x"))
		client := pb.NewTestServiceClient(dial(t, serve(t, s), grpc.WithChainUnaryInterceptor(holdfastgrpc.UnaryClient(g, config), marks)))
		_, err := client.UnaryCall(t.Context(), &pb.SimpleRequest{})
		if status.Code(err) != codes.Unavailable || hold.Classify(err) != hold.Ignored {
			t.Errorf("error %v; want it as it came", err)
		}
		s.wants(t, 1)
		counts(t, o, hold.Ignored)
	})
}

// TestServersAnswerIsUnchanged: status and details, also of the last of several attempts.
func TestServersAnswerIsUnchanged(t *testing.T) {
	for _, idempotent := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			g := newGuard(t, newOrchestrator(t), hold.Combine(hold.Retry{Backoff: hold.Fixed(time.Second)}, hold.CircuitBreaker{}))
			came := asking(codes.Unavailable, time.Second)
			config := holdfastgrpc.ClientConfig{Idempotent: func(string) bool { return idempotent }}
			client := pb.NewTestServiceClient(dial(t, serve(t, answers(came)), grpc.WithUnaryInterceptor(holdfastgrpc.UnaryClient(g, config))))
			_, err := client.UnaryCall(t.Context(), &pb.SimpleRequest{})
			if !proto.Equal(status.Convert(err).Proto(), status.Convert(came).Proto()) {
				t.Errorf("repeated: %t: it is %v; want %v", idempotent, status.Convert(err).Proto(), came)
			}
			if want := map[bool]error{true: hold.ErrRetryExhausted}[idempotent]; want != nil && !errors.Is(err, want) {
				t.Errorf("error %v; want that it matches %v", err, want)
			}
		})
	}
}

// TestWhatABreakerOfAClientCounts: by the code of the server's answer.
func TestWhatABreakerOfAClientCounts(t *testing.T) {
	for code, want := range codesAndOutcomes() {
		t.Run(code.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrchestrator(t)
				g := newGuard(t, o, hold.CircuitBreaker{})
				client := pb.NewTestServiceClient(dial(t, serve(t, answers(status.Error(code, "x"))),
					grpc.WithUnaryInterceptor(holdfastgrpc.UnaryClient(g, holdfastgrpc.ClientConfig{}))))
				_, err := client.UnaryCall(t.Context(), &pb.SimpleRequest{})
				if status.Code(err) != code {
					t.Errorf("error %v; want %s", err, code)
				}
				counts(t, o, want)
			})
		})
	}
}

// TestCallersEnd: what the caller gave up says nothing about the server.
func TestCallersEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t)
		g := newGuard(t, o, hold.Combine(hold.Retry{}, hold.CircuitBreaker{}))
		s := &service{unary: func(ctx context.Context, _ *pb.SimpleRequest) (*pb.SimpleResponse, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		config := holdfastgrpc.ClientConfig{Idempotent: func(string) bool { return true }}
		client := pb.NewTestServiceClient(dial(t, serve(t, s), grpc.WithUnaryInterceptor(holdfastgrpc.UnaryClient(g, config))))
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		for range 2 { // in the call, and before it
			if _, err := client.UnaryCall(ctx, &pb.SimpleRequest{}); status.Code(err) != codes.Canceled {
				t.Errorf("error %v; want that it was cancelled", err)
			}
		}
		late, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		time.Sleep(2 * time.Second)
		if _, err := client.UnaryCall(late, &pb.SimpleRequest{}); status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("error %v; want that the deadline passed", err)
		}
		counts(t, o, hold.Ignored)
		s.wants(t, 1)
	})
}

// TestCallersEndInAPause: the caller gets its own error, which says what it waited for.
func TestCallersEndInAPause(t *testing.T) {
	for _, tt := range []struct {
		name   string
		limits func(ctx context.Context) (context.Context, context.CancelFunc)
		want   codes.Code
	}{
		{"it is cancelled", func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(time.Minute, cancel)
			return ctx, cancel
		}, codes.Canceled},
		{"the token would come too late", func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, time.Minute)
		}, codes.ResourceExhausted},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGuard(t, newOrchestrator(t), hold.Combine(hold.Retry{}, hold.RateLimit{Limit: hold.PerHour(1)}))
				client := pb.NewTestServiceClient(dial(t, serve(t, &service{}),
					grpc.WithUnaryInterceptor(holdfastgrpc.UnaryClient(g, holdfastgrpc.ClientConfig{}))))
				ctx, cancel := tt.limits(t.Context())
				defer cancel()
				if _, err := client.UnaryCall(ctx, &pb.SimpleRequest{}); err != nil {
					t.Fatal(err)
				}
				_, err := client.UnaryCall(ctx, &pb.SimpleRequest{})
				if status.Code(err) != tt.want || !errors.Is(err, hold.ErrRateLimited) {
					t.Errorf("error %v; want %s, and that it matches the limit's", err, tt.want)
				}
			})
		})
	}
}

// TestABreakerWaitsAsTheServerAsks: it stays open as long as the RetryInfo says.
func TestABreakerWaitsAsTheServerAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, newOrchestrator(t), hold.CircuitBreaker{FailureThreshold: 1})
		client := pb.NewTestServiceClient(dial(t, serve(t, answers(asking(codes.Unavailable, 3*time.Minute), nil)),
			grpc.WithUnaryInterceptor(holdfastgrpc.UnaryClient(g, holdfastgrpc.ClientConfig{}))))
		_, _ = client.UnaryCall(t.Context(), &pb.SimpleRequest{})
		_, err := client.UnaryCall(t.Context(), &pb.SimpleRequest{})
		if got := read(t, err, nil); got.reason != "CIRCUIT_OPEN" || got.wait != 3*time.Minute {
			t.Errorf("it says %+v; want that it is open for three minutes", got)
		}
		time.Sleep(3 * time.Minute)
		if _, err := client.UnaryCall(t.Context(), &pb.SimpleRequest{}); err != nil {
			t.Error(err)
		}
	})
}

// unreachable is a network that is down for a number of dials.
func unreachable(dials int, to func(context.Context, string) (net.Conn, error)) func(context.Context, string) (net.Conn, error) {
	return func(ctx context.Context, at string) (net.Conn, error) {
		if dials--; dials >= 0 {
			return nil, errors.New("connection refused")
		}
		return to(ctx, at)
	}
}

// TestCallsThatWereNotSent: they are repeated, whatever the method, and are this replica's
// own trouble; but only if it is certain that nothing was sent.
func TestCallsThatWereNotSent(t *testing.T) {
	dropsOptions := func(
		ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, _ ...grpc.CallOption,
	) error {
		return invoker(ctx, method, req, reply, cc)
	}
	retry := hold.Retry{MaxAttempts: 3, Backoff: hold.Fixed(3 * time.Second)}
	policy := hold.Combine(retry, hold.CircuitBreaker{Sharing: hold.ShareAny, FailureThreshold: 2})
	for _, tt := range []struct {
		name  string
		inner []grpc.UnaryClientInterceptor
		dials int
		came  error
		runs  int
		want  codes.Code
		fleet hold.State
	}{
		{"the second attempt gets through", nil, 1, nil, 1, codes.OK, hold.StateClosed},
		{"none does", nil, 1000, nil, 0, codes.Unavailable, hold.StateClosed},
		{"somebody hides what gRPC tells", []grpc.UnaryClientInterceptor{dropsOptions}, 1, nil, 0, codes.Unavailable, hold.StateClosed},
		{"the server itself says so", nil, 0, status.Error(codes.Unavailable, "x"), 1, codes.Unavailable, hold.StateClosed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOrchestrator(t)
				g := newGuard(t, o, policy)
				s := answers(tt.came)
				chain := append([]grpc.UnaryClientInterceptor{holdfastgrpc.UnaryClient(g, holdfastgrpc.ClientConfig{})}, tt.inner...)
				client := pb.NewTestServiceClient(dial(t, unreachable(tt.dials, serve(t, s)), grpc.WithChainUnaryInterceptor(chain...)))
				_, err := client.UnaryCall(t.Context(), &pb.SimpleRequest{})
				if got := status.Code(err); got != tt.want {
					t.Errorf("error %v; want %s", err, tt.want)
				}
				s.wants(t, tt.runs)
				time.Sleep(2 * time.Second)
				b, _ := o.CircuitBreaker("g")
				if got := b.Status().Fleet; got != tt.fleet {
					t.Errorf("the fleet's layer is %s; want it %s", got, tt.fleet)
				}
				if tt.dials == 1000 && b.Status().Local == hold.StateClosed {
					t.Error("this replica's own layer is closed; want it open")
				}
			})
		})
	}
}

// TestAClientWithoutAGuard: a method that has none is not touched.
func TestAClientWithoutAGuard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, newOrchestrator(t), hold.RateLimit{Keyed: true, Limit: hold.PerHour(1)}) // it refuses all, for want of a key
		config := holdfastgrpc.ClientConfig{GuardFor: func(method string) (*orchestrator.Guard, bool) {
			return nil, method != pb.TestService_EmptyCall_FullMethodName
		}}
		client := pb.NewTestServiceClient(dial(t, serve(t, &service{duplex: echo}),
			grpc.WithUnaryInterceptor(holdfastgrpc.UnaryClient(g, config)), grpc.WithStreamInterceptor(holdfastgrpc.StreamClient(g, config))))
		if _, err := client.UnaryCall(t.Context(), &pb.SimpleRequest{}); err != nil {
			t.Error(err)
		}
		stream := openDuplex(t, t.Context(), client)
		_ = stream.CloseSend()
		if _, err := stream.Recv(); status.Code(err) == codes.InvalidArgument {
			t.Error(err)
		}
		if _, err := client.EmptyCall(t.Context(), &pb.Empty{}); !errors.Is(err, hold.ErrKeyMissing) {
			t.Errorf("error %v; want that the key is missing", err)
		}
	})
}
