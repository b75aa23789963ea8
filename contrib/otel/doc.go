// Package holdfastotel tells OpenTelemetry what Holdfast does: metrics for every policy
// and for the store, and a span for each call of a guard.
//
//	t, err := holdfastotel.New(holdfastotel.Config{})
//	…
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
// with a function that calls both. Only the API of OpenTelemetry is used: with no SDK
// nothing is measured, and nothing breaks.
//
// # Metrics
//
// Their names are those of package telemetry, "holdfast.calls" for one, and docs/telemetry.md
// has them all. Through the exporter for Prometheus they are the names that
// contrib/prometheus has, so that one dashboard serves both.
//
// # Spans
//
// A call of the guard payments is a span "holdfast payments" around all its attempts, of
// kind internal, with how many there were, its outcome, and who refused it. It has an event
// for each thing that a part did, but for what is as it should be: an attempt that was let
// through, and a success that a breaker was told. Calls of the store are spans of their own
// where [Config].StoreSpans asks for them. They say what Holdfast asked for; what is Redis's
// (db.system.name and the like) is for the instrumentation of its client to say.
//
// No span, and no label, has a key or the text of an error, which may hold one.
package holdfastotel
