// Package holdfastprom tells Prometheus what Holdfast does: metrics for every policy and
// for the store, for programs that use the client of Prometheus itself.
//
//	t, err := holdfastprom.New(holdfastprom.Config{})
//	…
//	prometheus.MustRegister(t)
//	orch, err := orchestrator.New(stores, orchestrator.Config{
//		Observer: t,
//		Fleet:    fleet.Config{OnEvent: t.Event, OnStore: t.StoreCall},
//	})
//	…
//	stop, err := t.Watch(orch) // the gauges
//	…
//	defer stop()
//
// An observer of your own goes beside it with orchestrator.Observers(t, mine), a listener
// with a function that calls both.
//
// The names, labels and what they mean are in docs/telemetry.md, a dashboard for Grafana in
// docs/dashboard.json, and rules for alerts in docs/alerts.yml. They are the names that the
// exporter of OpenTelemetry makes of those of contrib/otel, so that both serve either.
//
// No label has a key or the text of an error: there are as many series as policies make.
package holdfastprom
