package orchestrator

import (
	"context"
	"errors"
	"fmt"
)

// ended is the error for a context that is done. It matches ctx.Err(), which
// callers know, and the cause that whoever ended it may have given.
func ended(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return cause
	}
	return &bothError{fmt.Sprintf("%v: %v", err, cause), [2]error{err, cause}}
}

// cutShort is the error for a series of attempts that the end of its context,
// come or sure to come, ended after the error last.
func cutShort(end, last error) error {
	return &bothError{fmt.Sprintf("%v; last attempt: %v", end, last), [2]error{end, last}}
}

// A bothError matches two errors, of which neither caused the other.
type bothError struct {
	text string
	both [2]error
}

func (e *bothError) Error() string { return e.text }

func (e *bothError) Unwrap() []error { return e.both[:] }
