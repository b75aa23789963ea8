package holdfastgrpc_test

import (
	"context"
	"testing"

	"google.golang.org/grpc"

	holdfastgrpc "github.com/holdfast-go/holdfast/contrib/grpc"
	hold "github.com/holdfast-go/holdfast/domain"
)

// plenty is a limit that a benchmark does not reach.
const plenty = 1_000_000_000

func handle(context.Context, any) (any, error) { return struct{}{}, nil }

func benchRows() []struct {
	name   string
	policy hold.Policy
	config holdfastgrpc.ServerConfig
} {
	keyed := holdfastgrpc.ServerConfig{Key: everybody}
	limit := hold.RateLimit{Limit: hold.PerSecond(plenty)}
	tenants := limit
	tenants.Keyed = true
	return []struct {
		name   string
		policy hold.Policy
		config holdfastgrpc.ServerConfig
	}{
		{"none", hold.None{}, holdfastgrpc.ServerConfig{}},
		{"limit", limit, holdfastgrpc.ServerConfig{}},
		{"keyed limit", tenants, keyed},
		{"breaker, keyed limit", hold.Combine(hold.CircuitBreaker{}, tenants), keyed},
	}
}

// BenchmarkUnaryServer is what the interceptor adds to a handler that is called directly:
// compare it with the row "bare".
func BenchmarkUnaryServer(b *testing.B) {
	info := &grpc.UnaryServerInfo{FullMethod: "/shop.Cart/Add"}
	b.Run("bare", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := handle(b.Context(), info); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, row := range benchRows() {
		b.Run(row.name, func(b *testing.B) {
			intercept := holdfastgrpc.UnaryServer(newGuard(b, newOrchestrator(b), row.policy), row.config)
			ctx := b.Context()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := intercept(ctx, info, info, handle); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("refused", func(b *testing.B) {
		g := newGuard(b, newOrchestrator(b), hold.RateLimit{Limit: hold.PerHour(1)})
		intercept := holdfastgrpc.UnaryServer(g, holdfastgrpc.ServerConfig{})
		ctx := b.Context()
		_, _ = intercept(ctx, info, info, handle)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := intercept(ctx, info, info, handle); err == nil {
				b.Fatal("it passed")
			}
		}
	})
}

// TestAllocationsOfAServer: a call that passes allocates nothing.
func TestAllocationsOfAServer(t *testing.T) {
	info := &grpc.UnaryServerInfo{FullMethod: "/shop.Cart/Add"}
	for _, row := range benchRows() {
		t.Run(row.name, func(t *testing.T) {
			intercept := holdfastgrpc.UnaryServer(newGuard(t, newOrchestrator(t), row.policy), row.config)
			ctx := t.Context()
			got := testing.AllocsPerRun(1000, func() {
				if _, err := intercept(ctx, info, info, handle); err != nil {
					t.Fatal(err)
				}
			})
			if got > 0 {
				t.Errorf("%g allocations a call; want none", got)
			}
		})
	}
}
