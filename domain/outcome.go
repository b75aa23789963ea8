package domain

import (
	"context"
	"errors"
	"time"
)

// An Outcome is what one call says about its dependency.
type Outcome uint8

// The outcomes. The zero value is Success.
const (
	Success      Outcome = iota // the dependency answered
	Failure                     // the dependency failed; counts for the fleet
	LocalFailure                // this replica's own trouble; counts for this replica only
	Ignored                     // says nothing: a cancellation, a refusal by an inner policy
)

// String returns "success", "failure", "local failure" or "ignored".
func (o Outcome) String() string {
	switch o {
	case Success:
		return "success"
	case Failure:
		return "failure"
	case LocalFailure:
		return "local failure"
	case Ignored:
		return "ignored"
	default:
		return "unknown"
	}
}

// Classify is the default reading of a call's error:
//
//   - nil is Success;
//   - an error in the tree with a method Outcome() Outcome says itself what it
//     is, the outermost one first: so do the marks and this package's errors
//     (a refusal by an inner policy is Ignored, a timeout a Failure);
//   - context.Canceled is Ignored, and so are [ErrCostTooHigh], [ErrKeyMissing] and
//     [ErrClosed], by which a guard further in refused;
//   - anything else is a Failure.
//
// Package classify knows more errors, those of net, os and databases.
func Classify(err error) Outcome {
	if err == nil {
		return Success
	}
	if said, ok := errors.AsType[interface {
		error
		Outcome() Outcome
	}](err); ok {
		return said.Outcome()
	}
	for _, silent := range []error{context.Canceled, ErrCostTooHigh, ErrKeyMissing, ErrClosed} {
		if errors.Is(err, silent) {
			return Ignored
		}
	}
	return Failure
}

// IsRetryable reports whether trying again may help. It is false for nil, for
// what [MarkPermanent] marked, a refusal by an open breaker, a cancellation, a
// policy or a store that is misconfigured, and misuse such as a missing key;
// an error in the tree may say so itself by a method Retryable() bool, the
// outermost one first. Anything else is retryable.
func IsRetryable(err error) bool {
	if err == nil {
		return false
	}
	if said, ok := errors.AsType[interface {
		error
		Retryable() bool
	}](err); ok {
		return said.Retryable()
	}
	for _, final := range []error{
		context.Canceled, ErrCircuitOpen, ErrCostTooHigh, ErrKeyMissing, ErrStoreConfig, ErrInvalidPolicy, ErrConflict, ErrClosed,
	} {
		if errors.Is(err, final) {
			return false
		}
	}
	return true
}

// saysFinal reports whether err says itself that trying again does not help.
func saysFinal(err error) bool {
	said, ok := errors.AsType[interface {
		error
		Retryable() bool
	}](err)
	return ok && !said.Retryable()
}

// RetryAfter returns how long err asks to wait before another attempt, and
// whether it asks at all: refusals by limits and breakers do, and what
// [MarkRetryAfter] marked. The outermost one in the tree answers.
func RetryAfter(err error) (time.Duration, bool) {
	if said, ok := errors.AsType[interface {
		error
		retryAfter() time.Duration
	}](err); ok {
		return said.retryAfter(), true
	}
	return 0, false
}

// MarkIgnored marks err so that no breaker counts it. It matches err still, and
// has its text; nil stays nil.
func MarkIgnored(err error) error { return markOutcome(err, Ignored) }

// MarkLocal marks err as this replica's own trouble, such as a full pool: it
// counts for this replica's layer of a breaker only. It matches err still, and
// has its text; nil stays nil.
func MarkLocal(err error) error { return markOutcome(err, LocalFailure) }

// MarkPermanent marks err so that it is not retried. It matches err still, and
// has its text; nil stays nil.
func MarkPermanent(err error) error {
	if err == nil {
		return nil
	}
	return permanentMark{err}
}

// MarkRetryAfter marks err with the time that the dependency asked to wait: a
// retry waits at least that long. It matches err still, and has its text; nil
// stays nil.
func MarkRetryAfter(err error, wait time.Duration) error {
	if err == nil {
		return nil
	}
	return waitMark{err, wait}
}

func markOutcome(err error, o Outcome) error {
	if err == nil {
		return nil
	}
	return outcomeMark{err, o}
}

//nolint:errname // a mark, not a kind of error
type outcomeMark struct {
	error
	outcome Outcome
}

func (m outcomeMark) Outcome() Outcome { return m.outcome }
func (m outcomeMark) Unwrap() error    { return m.error }

//nolint:errname // a mark, not a kind of error
type permanentMark struct{ error }

func (permanentMark) Retryable() bool { return false }
func (m permanentMark) Unwrap() error { return m.error }

//nolint:errname // a mark, not a kind of error
type waitMark struct {
	error
	wait time.Duration
}

func (m waitMark) retryAfter() time.Duration { return m.wait }
func (m waitMark) Unwrap() error             { return m.error }
