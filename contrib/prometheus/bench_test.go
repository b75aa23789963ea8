package holdfastprom_test

import (
	"context"
	"testing"

	holdfastprom "github.com/holdfast-go/holdfast/contrib/prometheus"
	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
)

// BenchmarkCall is a call of a guard with a retry, a breaker and a limit, which make three
// steps: bare, and measured.
func BenchmarkCall(b *testing.B) {
	for _, name := range []string{"bare", "measured"} {
		b.Run(name, func(b *testing.B) {
			var c orchestrator.Config
			if name == "measured" {
				t, err := holdfastprom.New(holdfastprom.Config{})
				if err != nil {
					b.Fatal(err)
				}
				c.Observer = t
				c.Fleet.OnEvent, c.Fleet.OnStore = t.Event, t.StoreCall
			}
			orch, err := orchestrator.New(memory.New(memory.Options{}).Stores(), c)
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = orch.Close(context.Background()) }()
			g, err := orch.Guard("payments", hold.Combine(hold.Retry{}, hold.CircuitBreaker{}, hold.RateLimit{Limit: hold.PerSecond(1_000_000_000)}))
			if err != nil {
				b.Fatal(err)
			}
			ctx := context.Background()
			b.ReportAllocs()
			for b.Loop() {
				if err := orchestrator.Run(ctx, g, succeed); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
