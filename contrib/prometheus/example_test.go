package holdfastprom_test

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	holdfastprom "github.com/holdfast-go/holdfast/contrib/prometheus"
	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
)

// One Telemetry measures one orchestrator, and is a collector as any other.
func Example() {
	measured, err := holdfastprom.New(holdfastprom.Config{})
	if err != nil {
		panic(err)
	}
	registry := prometheus.NewRegistry() // or prometheus.MustRegister
	registry.MustRegister(measured)
	orch, err := orchestrator.New(memory.New(memory.Options{}).Stores(), orchestrator.Config{
		Observer: measured,
		Fleet:    fleet.Config{OnEvent: measured.Event, OnStore: measured.StoreCall},
	})
	if err != nil {
		panic(err)
	}
	defer func() { _ = orch.Close(context.Background()) }()
	stop, err := measured.Watch(orch)
	if err != nil {
		panic(err)
	}
	defer stop()

	guard, err := orch.Guard("sms", hold.RateLimit{Limit: hold.PerHour(1)})
	if err != nil {
		panic(err)
	}
	for range 3 {
		_ = orchestrator.Run(context.Background(), guard, func(context.Context) error { return nil })
	}

	families, err := registry.Gather()
	if err != nil {
		panic(err)
	}
	for _, family := range families {
		if family.GetName() == "holdfast_calls_total" {
			for _, m := range family.GetMetric() {
				fmt.Println(family.GetName(), m.GetLabel()[0].GetValue(), m.GetCounter().GetValue())
			}
		}
	}
	// Unordered output:
	// holdfast_calls_total  1
	// holdfast_calls_total rate_limited 2
}
