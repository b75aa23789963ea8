// Package holdfast is the landing page of a library for services that run on
// many replicas and call things that fail. The whole fleet shares one circuit
// breaker and one rate limit, because their state lives in Redis behind atomic
// scripts; and a call costs what it would cost in one process, because no call
// waits for Redis that does not have to.
//
// This package holds no code. Start with these, from the inside out:
//
//   - [github.com/holdfast-go/holdfast/domain] is what a team declares: retry,
//     breaker, limit and timeout as plain, comparable data, and the errors and
//     outcomes that come back. It imports a handful of standard packages, so
//     that a domain layer stays clean. Programs import it as hold.
//   - [github.com/holdfast-go/holdfast/orchestrator] compiles a policy into a
//     guard and runs functions under it.
//   - [github.com/holdfast-go/holdfast/store/memory] keeps the state in one
//     process: for tests, and for services that are one process.
//   - [github.com/holdfast-go/holdfast/store/redis] keeps it in Redis, for a
//     fleet. Nothing else in a program changes.
//   - [github.com/holdfast-go/holdfast/classify] tells the dependency's failures
//     from this replica's own.
//   - [github.com/holdfast-go/holdfast/fleet] has the limiters and breakers that
//     guards are made of, for calls whose end is not the return of a function.
//
// The examples below are whole programs, one for each question that a newcomer
// asks.
//
// # A guard in three lines
//
//	orch, err := orchestrator.New(memory.New(memory.Options{}).Stores(), orchestrator.Config{})
//	guard, err := orch.Guard("payments", hold.Combine(hold.Retry{}, hold.CircuitBreaker{}))
//	receipt, err := orchestrator.Do(ctx, guard, charge)
//
// # What is promised
//
// A limit is a limit: in any interval t the fleet admits at most burst + rate·t,
// whatever the number of replicas, their clocks, and lost replies. A breaker
// opens for the fleet by votes, so that one sick replica does not take the
// others down, and closes by a bounded number of probes in the whole fleet. And
// Redis is a dependency too: a call waits for it for 100 ms at most, all its
// policies and retries together, and what happens without it is a choice that
// each policy declares. README.md has the table of bounds, docs/protocol.md how
// they are kept.
package holdfast
