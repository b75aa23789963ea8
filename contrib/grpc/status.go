package holdfastgrpc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
)

// A failure is an error of a guard that has a status. It matches what it is made of, and
// its text has no key, unlike that: interceptors further out may send it.
type failure struct {
	err    error
	status *status.Status
}

func (e *failure) Error() string              { return e.status.String() }
func (e *failure) GRPCStatus() *status.Status { return e.status }
func (e *failure) Unwrap() error              { return e.err }

// ToStatus gives an error of a guard the status that the interceptors give it, with
// DefaultDomain: for a handler that runs a guard of its own, whose refusals would
// otherwise reach the client as UNKNOWN. The error that it returns matches err still. What
// is no error of a guard, or has a status already, comes back as it is, and so does nil.
func ToStatus(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	if s, ok := statusOf(err, DefaultDomain); ok {
		return newFailure(err, s)
	}
	return err
}

// newFailure gives err a status. Where that is a refusal, nobody was called, and so a
// breaker further out has nothing to count.
func newFailure(err error, s *status.Status) error {
	if _, refused := orchestrator.RefusalOf(err); refused {
		err = domain.MarkIgnored(err)
	}
	return &failure{err, s}
}

// statusOf reads the errors of a guard; false when err is none.
func statusOf(err error, errorDomain string) (*status.Status, bool) {
	if r, ok := orchestrator.RefusalOf(err); ok {
		return refusalStatus(r, errorDomain), true
	}
	switch {
	case errors.Is(err, domain.ErrTimeout):
		return status.New(codes.DeadlineExceeded, timeoutText(err)), true
	case errors.Is(err, domain.ErrLockLost):
		return status.New(codes.Aborted, domain.ErrLockLost.Error()), true
	case errors.Is(err, domain.ErrInvalidPolicy):
		return status.New(codes.Internal, err.Error()), true
	}
	return nil, false
}

func timeoutText(err error) string {
	if e, ok := errors.AsType[*domain.TimeoutError](err); ok {
		return e.Error()
	}
	return domain.ErrTimeout.Error()
}

// explain gives what came out of a guard to who called: an answer as it came, all else with
// a status, and nil as nil. ctx is the caller's own.
func explain(ctx context.Context, err error, errorDomain string) error {
	if err == nil {
		return nil
	}
	if a, ok := err.(*answer); ok { //nolint:errorlint // as it came, and not what wraps it
		return a.came
	}
	if end := ctx.Err(); end != nil {
		return &failure{err, status.FromContextError(end)}
	}
	if s, ok := statusOf(err, errorDomain); ok {
		return newFailure(err, s)
	}
	if a, ok := errors.AsType[*answer](err); ok { // of the last of several attempts
		return &failure{err, status.Convert(a.came)}
	}
	if s := status.FromContextError(err); s.Code() != codes.Unknown {
		return &failure{err, s}
	}
	return &failure{err, status.New(codes.Internal, "the guard cannot decide")}
}

// refusalStatus tells the other side why it was turned away, and what to do.
func refusalStatus(r orchestrator.Refusal, errorDomain string) *status.Status {
	k := kindOf(r.Reason)
	text := k.text
	if r.Name != "" {
		text = fmt.Sprintf("%s: %q", text, r.Name)
	}
	wait := wholeMillis(r.RetryAfter)
	if wait > 0 {
		text = fmt.Sprintf("%s, retry after %s", text, wait)
	}
	s := status.New(k.code, text)
	detailed, err := s.WithDetails(details(r, k, wait, errorDomain)...)
	if err != nil { // a message that cannot be packed: there is none
		return s
	}
	return detailed
}

// A kind is how one reason is told.
type kind struct {
	code  codes.Code
	text  string
	final bool // no wait helps
}

func kindOf(r orchestrator.Reason) kind {
	switch r {
	case orchestrator.ReasonRateLimited:
		return kind{codes.ResourceExhausted, "rate limited", false}
	case orchestrator.ReasonCostTooHigh:
		return kind{codes.ResourceExhausted, "cost above burst", true}
	case orchestrator.ReasonKeyMissing:
		return kind{codes.InvalidArgument, "key missing", true}
	case orchestrator.ReasonCircuitOpen:
		return kind{codes.Unavailable, "circuit open", false}
	case orchestrator.ReasonBulkheadFull:
		return kind{codes.Unavailable, "bulkhead full", false}
	case orchestrator.ReasonHeldElsewhere:
		return kind{codes.Unavailable, "held elsewhere", false}
	case orchestrator.ReasonStoreUnavailable:
		return kind{codes.Unavailable, "store unavailable", false}
	case orchestrator.ReasonClosed:
		return kind{codes.Unavailable, "closed", false}
	default:
		return kind{codes.Unavailable, "refused", false}
	}
}

// wholeMillis rounds a wait up, so that nobody comes too early.
func wholeMillis(d time.Duration) time.Duration {
	if part := d % time.Millisecond; part > 0 {
		return d - part + time.Millisecond
	}
	return d
}
