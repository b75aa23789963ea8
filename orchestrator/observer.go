package orchestrator

import (
	"context"
	"time"

	"github.com/holdfast-go/holdfast/domain"
)

// An Observer sees every call of every guard, synchronously: for spans,
// latencies and counts of attempts. What it does is added to the call's time,
// and its panics are the caller's. For what changes rarely, such as a breaker
// that opens, use fleet.Config.OnEvent, which cannot slow a call.
//
// Its methods are called concurrently. One that is a [PartObserver] also hears what
// each part of a guard does. [Observers] joins several.
type Observer interface {
	// Start is called before anything else. The call runs in the context that
	// it returns, so that a span can travel along; nil means ctx.
	Start(ctx context.Context, guard string) context.Context
	// End is called once, after everything was released, also when the
	// function panicked. ctx is the context that Start returned, or, where there
	// are several [Observers], one that others made of it.
	End(ctx context.Context, s Summary)
}

// A Summary says how one call went.
type Summary struct {
	// Guard is the guard's name; "" under ExecuteWithPolicy and Execute.
	Guard string
	// Attempts is how often the function ran: 0 when the call was refused.
	Attempts int
	// Duration is the whole call's, pauses included.
	Duration time.Duration
	// Outcome is what the call says about its dependency, by the guard's
	// classifier. It is Ignored when the function did not run, and a Failure
	// when it panicked.
	Outcome domain.Outcome
	// Err is what the caller gets.
	Err error
	// RefusedBy and RefusedName say which part turned the last attempt away;
	// PartNone when the function ran in it.
	RefusedBy   Part
	RefusedName string
	// ShadowedBy names the innermost limit that would have turned the last
	// attempt away, were it not in Shadow; "" is none.
	ShadowedBy string
	// Panicked says that the function did not return: it panicked, or ended
	// its goroutine.
	Panicked bool
}
