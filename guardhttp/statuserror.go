package guardhttp

import (
	"fmt"
	"net/http"

	"github.com/holdfast-go/holdfast/domain"
)

// A StatusError stands for a response inside a guard: breakers read it as an outcome,
// and retries as a reason to try again. A client of [Transport] sees the response
// itself.
type StatusError struct {
	Code int // the status

	response *http.Response // of a transport
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("status %d %s", e.Code, http.StatusText(e.Code))
}

// StatusCode returns the status, as other clients' errors do.
func (e *StatusError) StatusCode() int { return e.Code }

// Outcome is a Failure for a status of 500 or above, Ignored for 429, which says that we
// are too fast and not that the server is unwell, and a Success else: it has answered.
func (e *StatusError) Outcome() domain.Outcome {
	switch {
	case e.Code >= http.StatusInternalServerError:
		return domain.Failure
	case e.Code == http.StatusTooManyRequests:
		return domain.Ignored
	default:
		return domain.Success
	}
}

// Retryable reports whether the same request may fare better: after 408, 425, 429, 500,
// 502, 503 and 504.
func (e *StatusError) Retryable() bool {
	switch e.Code {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests,
		http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	default:
		return false
	}
}
