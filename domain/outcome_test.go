package domain_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
)

var errBackend = errors.New("backend")

func wrapped(err error) error { return fmt.Errorf("reading the balance: %w", err) }

// TestCase23Classification: errors are read through any wrapping.
func TestCase23Classification(t *testing.T) {
	t.Parallel()
	open := &hold.CircuitOpenError{Name: "b", RetryAfter: time.Second}
	limited := &hold.RateLimitedError{Name: "l", RetryAfter: 2 * time.Second}
	down := &hold.StoreError{Op: "bucket take", Name: "l", Err: errBackend}
	late := &hold.TimeoutError{After: time.Second, Err: context.DeadlineExceeded}
	marked := hold.MarkRetryAfter(errBackend, time.Minute)
	type wait struct {
		after time.Duration
		asked bool
	}
	for _, tt := range []struct {
		name      string
		err       error
		outcome   hold.Outcome
		retryable bool
		wait      wait
	}{
		{"no error", nil, hold.Success, false, wait{}},
		{"any error", errBackend, hold.Failure, true, wait{}},
		{"a cancellation", context.Canceled, hold.Ignored, false, wait{}},
		{"a deadline that the function made", context.DeadlineExceeded, hold.Failure, true, wait{}},
		{"a policy's timeout", late, hold.Failure, true, wait{}},
		{"even of a function that says it was cancelled", &hold.TimeoutError{Err: context.Canceled}, hold.Failure, true, wait{}},
		{"unless it says that it is final", &hold.TimeoutError{Err: hold.MarkPermanent(errBackend)}, hold.Failure, false, wait{}},
		{"or has no budget for more", &hold.TimeoutError{Err: &hold.BudgetExhaustedError{Err: errBackend}}, hold.Failure, false, wait{}},
		{"a lock that was lost by what is final", &hold.LockLostError{Err: hold.MarkPermanent(errBackend)}, hold.Ignored, false, wait{}},
		{"a refusal by an open breaker", open, hold.Ignored, false, wait{time.Second, true}},
		{"a refusal by a limit", limited, hold.Ignored, true, wait{2 * time.Second, true}},
		{"a store that is down", down, hold.Ignored, true, wait{}},
		{"a store that is misconfigured", &hold.StoreError{Config: true, Err: errBackend}, hold.Ignored, false, wait{}},
		{"attempts that ran out", &hold.RetryExhaustedError{Attempts: 3, Err: limited}, hold.Ignored, true, wait{2 * time.Second, true}},
		{"a lock that another has", &hold.ExclusiveError{Name: "x"}, hold.Ignored, true, wait{}},
		{"a lock that was lost, whatever the function says", &hold.LockLostError{Err: context.Canceled}, hold.Ignored, true, wait{}},
		{"a lock that was lost as the replica closed", &hold.LockLostError{Why: hold.ErrClosed}, hold.Ignored, false, wait{}},
		{"a missing key", hold.ErrKeyMissing, hold.Ignored, false, wait{}},
		{"a cost above the burst", hold.ErrCostTooHigh, hold.Ignored, false, wait{}},
		{"something closed", hold.ErrClosed, hold.Ignored, false, wait{}},
		{"an invalid policy", hold.Timeout{}.Validate(), hold.Failure, false, wait{}},
		{"two settings for one name", hold.ErrConflict, hold.Failure, false, wait{}},
		{"marked ignored", hold.MarkIgnored(errBackend), hold.Ignored, true, wait{}},
		{"marked local", hold.MarkLocal(errBackend), hold.LocalFailure, true, wait{}},
		{"marked permanent", hold.MarkPermanent(errBackend), hold.Failure, false, wait{}},
		{"marked with a wait", marked, hold.Failure, true, wait{time.Minute, true}},
		{"marked with all", hold.MarkLocal(hold.MarkPermanent(marked)), hold.LocalFailure, false, wait{time.Minute, true}},
		{"the outermost mark wins", hold.MarkLocal(hold.MarkIgnored(errBackend)), hold.LocalFailure, true, wait{}},
		{"the outermost wait wins", hold.MarkRetryAfter(limited, time.Hour), hold.Ignored, true, wait{time.Hour, true}},
		{"a mark beats what the error says", hold.MarkPermanent(late), hold.Failure, false, wait{}},
		{"one of two errors says it", errors.Join(errBackend, hold.MarkLocal(errBackend)), hold.LocalFailure, true, wait{}},
		{"an error of the user's own says it", ownError{}, hold.Ignored, false, wait{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, err := range []error{tt.err, wrapIfAny(tt.err), wrapIfAny(wrapIfAny(tt.err))} {
				if got := hold.Classify(err); got != tt.outcome {
					t.Errorf("Classify(%v) = %s; want %s", err, got, tt.outcome)
				}
				if got := hold.IsRetryable(err); got != tt.retryable {
					t.Errorf("IsRetryable(%v) = %t; want %t", err, got, tt.retryable)
				}
				if after, asked := hold.RetryAfter(err); (wait{after, asked}) != tt.wait {
					t.Errorf("RetryAfter(%v) = %s, %t; want %s, %t", err, after, asked, tt.wait.after, tt.wait.asked)
				}
			}
		})
	}
}

func wrapIfAny(err error) error {
	if err == nil {
		return nil
	}
	return wrapped(err)
}

// ownError is an error of a user who knows nothing of the marks.
type ownError struct{}

func (ownError) Error() string         { return "own" }
func (ownError) Outcome() hold.Outcome { return hold.Ignored }
func (ownError) Retryable() bool       { return false }

// TestCase23MarksKeepTheError: a marked error has the text of the original and
// matches it, and what is not there stays not there.
func TestCase23MarksKeepTheError(t *testing.T) {
	t.Parallel()
	for name, mark := range map[string]func(error) error{
		"MarkIgnored":    hold.MarkIgnored,
		"MarkLocal":      hold.MarkLocal,
		"MarkPermanent":  hold.MarkPermanent,
		"MarkRetryAfter": func(err error) error { return hold.MarkRetryAfter(err, time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := mark(nil); got != nil {
				t.Errorf("%s(nil) = %v; want nil", name, got)
			}
			if got := mark(errBackend); !errors.Is(got, errBackend) || got.Error() != errBackend.Error() {
				t.Errorf("%s = %v; want it to match %v and to have its text", name, got, errBackend)
			}
			typed := mark(wrapped(&hold.StoreError{Op: "x", Err: errBackend}))
			if found, ok := errors.AsType[*hold.StoreError](typed); !ok || found.Op != "x" {
				t.Errorf("%s hides the typed error inside", name)
			}
		})
	}
}
