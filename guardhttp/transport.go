package guardhttp

import (
	"context"
	"errors"
	"net/http"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
)

// A Transport sends the requests of an HTTP client under a guard. Guard is required; all
// else may be zero. It is to be filled in before use, and not changed afterwards.
//
// To the guard a response of 500 or above, or of 429, is an error (a [*StatusError]):
// breakers count it, and retries try again where the request may be repeated, no earlier
// than the server's Retry-After or RateLimit field asks for. The client gets the last
// response all the same, with a nil error; an error is for requests that got none, and
// tells refusals from the rest by errors.Is, through http.Client too.
//
// The guard sees a request until its response's header is there. A Timeout ends there,
// and the body is read in the request's own context.
type Transport struct {
	// Guard is the policy to send requests under.
	Guard *orchestrator.Guard
	// Next sends them. Defaults to http.DefaultTransport.
	Next http.RoundTripper
	// Key says whose request it is, for keyed limits and breakers; see [Host]. Defaults
	// to none.
	Key func(*http.Request) string
	// Cost is how many tokens a request takes from each limit. Defaults to 1.
	Cost func(*http.Request) int64
	// Repeatable says whether a request may be sent again after it may have reached the
	// server, and hedged; one with a body needs GetBody besides. Defaults to [Repeatable].
	Repeatable func(*http.Request) bool
}

// Host is the host that a request goes to, as a key: of a breaker for each host.
func Host(r *http.Request) string { return r.URL.Host }

// Repeatable reports whether a request may be sent twice, by its method (GET, HEAD,
// OPTIONS, TRACE, PUT or DELETE) or because it has a header Idempotency-Key.
func Repeatable(r *http.Request) bool {
	switch r.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	default:
		return len(r.Header["Idempotency-Key"]) > 0 || len(r.Header["X-Idempotency-Key"]) > 0
	}
}

// RoundTrip sends one request under the guard.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	s := &sending{transport: t, request: r, again: t.repeatable(r)}
	response, err := s.run(append(t.calls(r), orchestrator.RepeatIf(s.repeat))) //nolint:contextcheck // the request has it
	s.closeBody()
	if err == nil {
		return s.keep(response), nil
	}
	if answer, ok := errors.AsType[*StatusError](err); ok && answer.response != nil && r.Context().Err() == nil {
		return s.keep(answer.response), nil
	}
	s.keep(nil)
	return nil, err
}

// CloseIdleConnections is for http.Client.
func (t *Transport) CloseIdleConnections() {
	if next, ok := t.next().(interface{ CloseIdleConnections() }); ok {
		next.CloseIdleConnections()
	}
}

func (s *sending) run(calls []orchestrator.Call) (*http.Response, error) {
	ctx := s.request.Context()
	if s.again { // the only requests that a hedge may send beside themselves
		return orchestrator.DoIdempotent(ctx, s.transport.Guard, s.once, calls...)
	}
	return orchestrator.Do(ctx, s.transport.Guard, s.once, calls...)
}

func (t *Transport) next() http.RoundTripper {
	if t.Next == nil {
		return http.DefaultTransport
	}
	return t.Next
}

func (t *Transport) calls(r *http.Request) []orchestrator.Call {
	calls := make([]orchestrator.Call, 0, 3)
	if t.Key != nil {
		calls = append(calls, orchestrator.Key(t.Key(r)))
	}
	if t.Cost != nil {
		calls = append(calls, orchestrator.Cost(t.Cost(r)))
	}
	return calls
}

func (t *Transport) repeatable(r *http.Request) bool {
	if !rewindable(r) {
		return false
	}
	if t.Repeatable != nil {
		return t.Repeatable(r)
	}
	return Repeatable(r)
}

// rewindable reports whether the body, if any, can be read a second time.
func rewindable(r *http.Request) bool {
	return r.Body == nil || r.Body == http.NoBody || r.GetBody != nil
}

// once sends the request one time.
func (s *sending) once(ctx context.Context) (*http.Response, error) {
	request, trip, err := s.prepare(ctx)
	if err != nil {
		return nil, err
	}
	defer s.landed()
	response, err := s.transport.next().RoundTrip(request)
	if err = trip.arrived(response, err); err != nil {
		return nil, err
	}
	response.Request = s.request
	trip.own(response)
	s.note(response)
	if answer := (&StatusError{Code: response.StatusCode, response: response}); answer.Outcome() != domain.Success {
		return nil, answered(answer)
	}
	return response, nil
}
