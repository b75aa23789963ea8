// Package orchestrator runs operations under the policies that a domain
// declares. It compiles a policy into a [Guard] once; [Do] then walks the
// guard's layers in the order in which they were written.
//
//	orch, err := orchestrator.New(memory.New(memory.Options{}).Stores(), orchestrator.Config{})
//	…
//	guard, err := orch.Guard("payments", hold.Combine(
//		hold.Timeout{Duration: 2 * time.Second},
//		hold.Retry{},
//		hold.CircuitBreaker{},
//		hold.RateLimit{Limit: hold.PerSecond(100)},
//	))
//	…
//	receipt, err := orchestrator.Do(ctx, guard, func(ctx context.Context) (Receipt, error) {
//		return client.Charge(ctx, order)
//	})
//
// One Orchestrator serves a process: it is one replica of its fleet. What runs
// how often, for every order of two policies, is in docs/composition.md.
//
// [Open] is for calls whose end is not the return of a function: streams, and answers that
// are read bit by bit.
//
// # Errors
//
// A function's own error comes back as it came. Otherwise the error matches one
// of [domain.ErrTimeout], [domain.ErrRetryExhausted] (and the last attempt's
// error), [domain.ErrCircuitOpen], [domain.ErrRateLimited],
// [domain.ErrCostTooHigh], [domain.ErrKeyMissing], [domain.ErrBulkheadFull],
// [domain.ErrNotExclusive], [domain.ErrLockLost] (and the function's own),
// [domain.ErrStoreUnavailable], [domain.ErrStoreConfig] or [domain.ErrClosed]; or, where the caller's context
// ended, its error and its cause. A series of attempts that the context cut
// short matches both that and the last attempt's error.
//
// # Contexts
//
// A caller whose context is done before the call starts nothing: the function
// does not run, nothing is counted and no token is taken. One whose context
// ends during the call gets its own error back, and breakers ignore the call.
package orchestrator
