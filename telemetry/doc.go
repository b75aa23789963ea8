// Package telemetry says what there is to measure of a fleet: the names of all metrics,
// and which of them each call, step, event and call of a store counts for.
//
// It exports nothing itself. contrib/otel and contrib/prometheus do, each in a module of
// its own, and most programs want one of them. This package is for whoever exports to
// something else: give [NewRecorder] a [Meter], hand the Recorder to an orchestrator as
// its observer and as its listener, and call [Read] for the gauges.
//
//	r := telemetry.NewRecorder(meter)
//	orch, err := orchestrator.New(stores, orchestrator.Config{
//		Observer: r,
//		Fleet:    fleet.Config{OnEvent: r.Event, OnStore: r.StoreCall},
//	})
//
// # Labels
//
// What a label says is a name that a policy gives, or a word of a closed list; see
// docs/telemetry.md. It is never a key, nor the text of an error, so that there are as
// many series as policies make, and no user's name is among them.
package telemetry
