package telemetry

import (
	"context"
	"errors"
	"strings"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
)

// The types of error: all words that a label or attribute error.type has.
const (
	typeTimeout     = "timeout"
	typeLockLost    = "lock_lost"
	typeCanceled    = "canceled"
	typeDeadline    = "deadline_exceeded"
	typePanic       = "panic"
	typeStoreConfig = "store_config"
	typeStoreEntity = "store_entity"
	typeStoreDown   = "store_unavailable"
	typeOther       = "_OTHER" // as OpenTelemetry has it
)

// ErrorType says what kind of error err is, in one of few words: why a call was turned
// away, "timeout", "lock_lost", "canceled" or "deadline_exceeded" where the caller's own
// context ended, or "_OTHER", which is the function's own. It is "" for nil. That retries
// ran out is no type: what the last attempt ended with is.
func ErrorType(err error) string {
	if err == nil {
		return ""
	}
	if refusal, ok := orchestrator.RefusalOf(err); ok {
		if errors.Is(err, domain.ErrStoreConfig) {
			return typeStoreConfig
		}
		return strings.ToLower(refusal.Reason.String())
	}
	switch {
	case errors.Is(err, domain.ErrTimeout):
		return typeTimeout
	case errors.Is(err, domain.ErrLockLost):
		return typeLockLost
	case errors.Is(err, context.Canceled):
		return typeCanceled
	case errors.Is(err, context.DeadlineExceeded):
		return typeDeadline
	}
	return typeOther
}

// CallErrorType is [ErrorType] of a call, or "panic" where its function did not return.
func CallErrorType(s orchestrator.Summary) string {
	if s.Panicked {
		return typePanic
	}
	return ErrorType(s.Err)
}

// StoreErrorType says what kind of error a call of a store ended with: "timeout",
// "store_config", "store_entity" where the trouble is with the one thing that was asked
// about, or "store_unavailable". It is "" for nil.
func StoreErrorType(err error) string {
	if err == nil {
		return ""
	}
	if said, ok := errors.AsType[*domain.StoreError](err); ok {
		switch {
		case said.Config:
			return typeStoreConfig
		case said.Entity:
			return typeStoreEntity
		}
	}
	if late, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err); ok && late.Timeout() {
		return typeTimeout
	}
	return typeStoreDown
}
