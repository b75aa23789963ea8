package bench

import (
	"context"
	"fmt"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/store/memory"
)

func memoryLimiter(b testing.TB, limit domain.Limit) *fleet.Limiter {
	b.Helper()
	replica, err := fleet.Join(memory.New(memory.Options{}).Stores(), fleet.Config{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = replica.Close(context.Background()) })
	l, err := replica.Limiter(domain.RateLimit{Name: "api", Limit: limit})
	if err != nil {
		b.Fatal(err)
	}
	return l
}

// BenchmarkMemory: one limit in one process, against golang.org/x/time/rate, by
// one caller and by several at once. A round is a hundred thousand decisions of
// each side.
//
//	go test -run '^$' -bench Memory -benchtime 20x
func BenchmarkMemory(b *testing.B) {
	for _, row := range []struct {
		name  string
		limit domain.Limit
	}{
		{"allowed", domain.PerSecond(1_000_000_000)},
		{"denied", domain.PerHour(1)},
	} {
		theirs := rate.NewLimiter(rate.Limit(float64(row.limit.Tokens)/row.limit.Period.Seconds()), int(row.limit.Tokens))
		ours := memoryLimiter(b, row.limit)
		for _, callers := range []int{1, 2, 8} {
			b.Run(fmt.Sprintf("%s/callers=%d", row.name, callers), func(b *testing.B) {
				const long = 20 * time.Millisecond
				var all rounds
				for b.Loop() {
					all.add(
						measure(b, callers, long, func(context.Context, int, int) (bool, error) { return theirs.Allow(), nil }, nil),
						measure(b, callers, long, func(ctx context.Context, _, _ int) (bool, error) {
							d, err := ours.Allow(ctx, "")
							return d.Allowed, err
						}, nil),
					)
				}
				all.report(b)
			})
		}
	}
}

// BenchmarkAllow is what one call costs, and allocates, on the memory store.
func BenchmarkAllow(b *testing.B) {
	for name, limit := range map[string]domain.Limit{"allowed": domain.PerSecond(1_000_000_000), "denied": domain.PerHour(1)} {
		b.Run("ours/"+name, func(b *testing.B) {
			l := memoryLimiter(b, limit)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := l.Allow(context.Background(), ""); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("xtime/"+name, func(b *testing.B) {
			l := rate.NewLimiter(rate.Limit(float64(limit.Tokens)/limit.Period.Seconds()), int(limit.Tokens))
			for b.Loop() {
				l.Allow()
			}
		})
	}
}
