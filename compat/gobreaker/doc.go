// Package gobreaker has the surface of github.com/sony/gobreaker/v2 over the breakers
// of Holdfast, for programs that come from there: change the import and the
// constructor, and the rest compiles as it is.
//
//	import "github.com/holdfast-go/holdfast/compat/gobreaker"
//
//	cb, err := gobreaker.NewCircuitBreaker[[]byte](orch, gobreaker.Settings{Name: "geocoder"})
//	…
//	body, err := cb.Execute(func() ([]byte, error) { return fetch(url) })
//
// The constructors take an orchestrator beside the Settings, and return an error for
// Settings that cannot be meant. New programs should use a guard, whose breaker is
// declared as data, takes a context and says when to come back.
//
// # What is the same
//
// The types, their fields and their methods; the order of closed, open and half-open;
// that MaxRequests successes close it; that errors are ErrOpenState and
// ErrTooManyRequests themselves; that a panic is a failure and passes through.
//
// # What the fleet shares, and what stays local
//
// Where ReadyToTrip is nil the breaker opens after six failures in a row, and that is
// shared: it is a [domain.CircuitBreaker] with [domain.ShareQuorum]. Each replica opens its
// own layer by that rule, and the fleet opens by the votes of replicas. Half-open, at
// most MaxRequests calls, and at most 100, are out in the whole fleet at once.
//
// The closures are code of this process, so what they decide stays here. A breaker
// with a ReadyToTrip of its own opens, and closes again, for this replica alone; of the
// fleet it obeys only the overrides of operators. A call on trial that never ends keeps
// others out of it, as it did there. To share such a rule, declare it:
// FailureRatio and MinCalls of a [domain.CircuitBreaker] say what most of them do.
// IsSuccessful and IsExcluded are asked here, about this replica's calls; what they make of
// them is what the fleet hears.
//
// # What is different
//
//   - A name is required, and is that of the breaker in the fleet: ASCII letters,
//     digits, '.', '_' or '-'. Breakers of one name are one breaker, which differing
//     settings are refused for.
//   - Where neither IsSuccessful nor IsExcluded is given, errors are read by
//     [domain.Classify]: as failures, but for cancellations, and what says itself that
//     it is something else.
//   - Where ReadyToTrip is nil, failures in a row are counted until a success, whatever the
//     Interval, which is then for Counts only.
//   - Counts are of this replica's calls.
//   - A half-open breaker that the fleet shares reopens when more replicas saw probes
//     fail than succeed; and a probe that takes longer than 10 s counts as failed,
//     since its replica may be gone.
//   - OnStateChange is called when a call, State or Counts of this replica finds the
//     state changed, in order, one at a time, and with nothing locked: it may use the
//     breaker. Several breakers of one name each tell their own.
//   - Of a breaker with several buckets (BucketPeriod), the consecutive counts do not
//     shrink as buckets leave, until none is left.
//   - After the orchestrator was closed, calls are refused with [domain.ErrClosed].
//
// DistributedCircuitBreaker and its SharedDataStore are not here: every breaker is shared.
package gobreaker
