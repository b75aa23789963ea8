package orchestrator_test

import (
	"context"
	"testing"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
)

// plenty is a limit that a benchmark does not reach.
const plenty = 1_000_000_000

func retryBreakerLimit() []hold.Policy {
	return []hold.Policy{hold.Retry{}, hold.CircuitBreaker{}, hold.RateLimit{Limit: hold.PerSecond(plenty)}}
}

// costRows are the guards whose cost is promised: see TestAllocationsPerCall.
func costRows() []struct {
	name   string
	policy hold.Policy
	call   []orchestrator.Call
	allocs float64
} {
	parts := retryBreakerLimit()
	keyed := hold.RateLimit{Name: "keyed", Keyed: true, Limit: hold.PerSecond(plenty)}
	return []struct {
		name   string
		policy hold.Policy
		call   []orchestrator.Call
		allocs float64
	}{
		{"none", hold.None{}, nil, 0},
		{"retry", parts[0], nil, 0},
		{"breaker", parts[1], nil, 0},
		{"limit", parts[2], nil, 0},
		{"keyed limit", keyed, []orchestrator.Call{orchestrator.Key("tenant"), orchestrator.Cost(2)}, 0},
		{"retry, breaker, limit", hold.Combine(parts[0], parts[1:]...), nil, 0},
		{"timeout", hold.Timeout{Duration: time.Second}, nil, 5},
		{"timeout, retry, breaker, limit", hold.Combine(hold.Timeout{Duration: time.Second}, parts...), nil, 5},
		{"retry, breaker, limit, timeout", hold.Combine(parts[0], parts[1], parts[2], hold.Timeout{Duration: time.Second}), nil, 5},
	}
}

func BenchmarkDo(b *testing.B) {
	for _, row := range costRows() {
		b.Run(row.name, func(b *testing.B) {
			g := newGuard(b, newOrchestrator(b, orchestrator.Config{}), "g", row.policy)
			ctx := b.Context()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := orchestrator.Do(ctx, g, answer, row.call...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// wait looks at its context's end, as a network client does before it waits.
func wait(ctx context.Context) (int, error) {
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	default:
		return 42, nil
	}
}

// BenchmarkWaiting has a function that waits for its context's end: a timeout
// then needs a timer.
func BenchmarkWaiting(b *testing.B) {
	policy := hold.Combine(hold.Timeout{Duration: time.Second}, retryBreakerLimit()...)
	g := newGuard(b, newOrchestrator(b, orchestrator.Config{}), "g", policy)
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := orchestrator.Do(ctx, g, wait); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkByHand does what the guard "retry, breaker, limit" does, without it.
func BenchmarkByHand(b *testing.B) {
	o := newOrchestrator(b, orchestrator.Config{})
	breaker, err := o.Breaker(hold.CircuitBreaker{Name: "b"})
	if err != nil {
		b.Fatal(err)
	}
	limiter, err := o.Limiter(hold.RateLimit{Name: "l", Limit: hold.PerSecond(plenty)})
	if err != nil {
		b.Fatal(err)
	}
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		permit, err := breaker.Acquire(ctx)
		if err != nil {
			b.Fatal(err)
		}
		if d, err := limiter.Allow(ctx, ""); err != nil || !d.Allowed {
			b.Fatal(d, err)
		}
		_, err = answer(ctx)
		permit.Report(hold.Classify(err))
	}
}

func BenchmarkExecuteWithPolicy(b *testing.B) {
	o := newOrchestrator(b, orchestrator.Config{})
	p := hold.Combine(hold.Retry{}, hold.CircuitBreaker{Name: "b"}, hold.RateLimit{Name: "l", Limit: hold.PerSecond(plenty)})
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := orchestrator.ExecuteWithPolicy(ctx, o, p, answer); err != nil {
			b.Fatal(err)
		}
	}
}

// TestAllocationsPerCall holds what the design promises: nothing without a
// timeout, and at most 5 with one.
func TestAllocationsPerCall(t *testing.T) {
	for _, row := range costRows() {
		t.Run(row.name, func(t *testing.T) {
			g := newGuard(t, newOrchestrator(t, orchestrator.Config{}), "g", row.policy)
			got := testing.AllocsPerRun(1000, func() {
				if _, err := orchestrator.Do(t.Context(), g, answer, row.call...); err != nil {
					t.Fatal(err)
				}
			})
			if got > row.allocs {
				t.Errorf("%g allocations a call; want at most %g", got, row.allocs)
			}
		})
	}
}
