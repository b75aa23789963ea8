package classify

import (
	"database/sql"
	"errors"
	"net/http"

	"github.com/holdfast-go/holdfast/domain"
)

// answered reads errors that stand for an answer of the dependency.
func answered(err error) (domain.Outcome, bool) {
	if errors.Is(err, sql.ErrNoRows) {
		return domain.Success, true
	}
	status, ok := statusOf(err)
	switch {
	case !ok, status < 100:
		return 0, false
	case status >= http.StatusInternalServerError:
		return domain.Failure, true
	case status == http.StatusTooManyRequests:
		return domain.Ignored, true
	default:
		return domain.Success, true
	}
}

// statusOf finds the HTTP status that client libraries attach to their errors.
func statusOf(err error) (int, bool) {
	if e, ok := errors.AsType[interface {
		error
		StatusCode() int
	}](err); ok {
		return e.StatusCode(), true
	}
	if e, ok := errors.AsType[interface {
		error
		HTTPStatusCode() int
	}](err); ok {
		return e.HTTPStatusCode(), true
	}
	return 0, false
}
