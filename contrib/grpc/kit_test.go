package holdfastgrpc_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/test/bufconn"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/internal/leaktest"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
)

// A service is a server whose handlers a test writes. It counts the calls that reach them.
type service struct {
	pb.UnimplementedTestServiceServer

	unary  func(ctx context.Context, req *pb.SimpleRequest) (*pb.SimpleResponse, error)
	out    func(req *pb.StreamingOutputCallRequest, s grpc.ServerStreamingServer[pb.StreamingOutputCallResponse]) error
	in     func(s grpc.ClientStreamingServer[pb.StreamingInputCallRequest, pb.StreamingInputCallResponse]) error
	duplex func(s grpc.BidiStreamingServer[pb.StreamingOutputCallRequest, pb.StreamingOutputCallResponse]) error

	mu   sync.Mutex
	runs int
}

func (s *service) run() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs++
}

func (s *service) wants(t *testing.T, runs int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.runs != runs {
		t.Errorf("the handler ran %d times; want %d", s.runs, runs)
	}
}

func (s *service) UnaryCall(ctx context.Context, req *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	s.run()
	if s.unary == nil {
		return &pb.SimpleResponse{Username: "alice"}, nil
	}
	return s.unary(ctx, req)
}

func (s *service) StreamingOutputCall(
	req *pb.StreamingOutputCallRequest, stream grpc.ServerStreamingServer[pb.StreamingOutputCallResponse],
) error {
	s.run()
	return s.out(req, stream)
}

func (s *service) StreamingInputCall(
	stream grpc.ClientStreamingServer[pb.StreamingInputCallRequest, pb.StreamingInputCallResponse],
) error {
	s.run()
	return s.in(stream)
}

func (s *service) FullDuplexCall(
	stream grpc.BidiStreamingServer[pb.StreamingOutputCallRequest, pb.StreamingOutputCallResponse],
) error {
	s.run()
	return s.duplex(stream)
}

// serve runs s until the test ends, and returns what dials it.
func serve(t *testing.T, s *service, opts ...grpc.ServerOption) func(context.Context, string) (net.Conn, error) {
	t.Helper()
	leaktest.Check(t)
	listener := bufconn.Listen(1 << 16)
	server := grpc.NewServer(opts...)
	pb.RegisterTestServiceServer(server, s)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			t.Error(err)
		}
	})
	return func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }
}

// dial connects a client to what serve returned.
func dial(t *testing.T, to func(context.Context, string) (net.Conn, error), opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///buffer", append([]grpc.DialOption{
		grpc.WithContextDialer(to), grpc.WithTransportCredentials(insecure.NewCredentials()),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func newOrchestrator(tb testing.TB) *orchestrator.Orchestrator {
	tb.Helper()
	return newOn(tb, memory.New(memory.Options{}).Stores(), nil)
}

func newOn(tb testing.TB, stores port.Stores, observer orchestrator.Observer) *orchestrator.Orchestrator {
	tb.Helper()
	leaktest.Check(tb)
	o, err := orchestrator.New(stores, orchestrator.Config{Observer: observer})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := o.Close(context.WithoutCancel(tb.Context())); err != nil {
			tb.Error(err)
		}
	})
	return o
}

// without returns a context that ends with ctx and does not say when: a server that knows
// a deadline may answer at the very instant at which it passes here.
func without(ctx context.Context) (context.Context, context.CancelFunc) {
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	context.AfterFunc(ctx, cancel)
	return own, cancel
}

func unaryWithout(
	ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption,
) error {
	own, cancel := without(ctx)
	defer cancel()
	return invoker(own, method, req, reply, cc, opts...)
}

func streamWithout(
	ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption,
) (grpc.ClientStream, error) {
	own, _ := without(ctx) // it ends with ctx
	return streamer(own, desc, cc, method, opts...)
}

// heard is an observer that writes down what breakers are told.
type heard struct {
	mu   sync.Mutex
	list []domain.Outcome
}

func (*heard) Start(ctx context.Context, _ string) context.Context { return ctx }
func (*heard) End(context.Context, orchestrator.Summary)           {}

func (h *heard) Observe(_ context.Context, s orchestrator.Step) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.Result == orchestrator.ResultReported {
		h.list = append(h.list, s.Outcome)
	}
}

func (h *heard) all() []domain.Outcome {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.list)
}

// broken is a store that cannot decide.
type broken struct{}

func (broken) Take(_ context.Context, in []port.TakeRequest, out []port.TakeReply) {
	for i := range in {
		out[i] = port.TakeReply{Err: &domain.StoreError{Op: "bucket take", Name: in[i].Bucket.Name, Err: errors.New("down")}}
	}
}

func newGuard(tb testing.TB, o *orchestrator.Orchestrator, p domain.Policy, opts ...orchestrator.GuardOption) *orchestrator.Guard {
	tb.Helper()
	g, err := o.Guard("g", p, opts...)
	if err != nil {
		tb.Fatal(err)
	}
	return g
}
