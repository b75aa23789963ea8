package guardhttp

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/domain"
)

// longestWait is the longest that a server can make a retry wait. One that asks for more
// is not asked again.
const longestWait = 5 * time.Minute

// A sending is one request of a client on its way through a guard, however often it is
// sent. Hedges send it several times at once.
type sending struct {
	transport *Transport
	request   *http.Request
	again     bool // it may be sent again, even if it may have arrived

	mu        sync.Mutex
	tries     int
	flying    int              // of these
	last      error            // of a try that must not be followed by another
	responses []*http.Response // that somebody has to close
}

// prepare returns the request for one more try. Only the first one may have the body that
// the client gave; a RoundTripper leaves the client's request as it was.
func (s *sending) prepare(ctx context.Context) (*http.Request, *trip, error) {
	first, err := s.begin()
	if err != nil {
		return nil, nil, err
	}
	t := newTrip(ctx, s.request.Context())
	request := s.request.WithContext(t.ctx) //nolint:contextcheck // it follows both
	if !first && s.request.GetBody != nil {
		again, err := s.request.GetBody()
		if err != nil {
			t.end()
			s.landed()
			return nil, nil, s.final(err)
		}
		request.Body = again
	}
	return request, t, nil
}

// begin counts one more try, and reports whether it is the first. One that must not be
// made gets the error of the last that was.
func (s *sending) begin() (first bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last != nil {
		return false, s.last // a guard's own RetryIf may want more than can be
	}
	if s.flying == 0 { // it is a retry, and not a hedge: nobody wants what came before
		s.discard(nil)
	}
	s.flying++
	s.tries++
	return s.tries == 1, nil
}

// landed is the end of a try.
func (s *sending) landed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flying--
}

// failed is the error of a try that got no response.
func (s *sending) failed(err error) error {
	if s.again || neverSent(err) && rewindable(s.request) {
		return err
	}
	return s.final(err)
}

// answered is the error that stands for a response inside the guard.
func (s *sending) answered(response *http.Response) error {
	s.note(response)
	var err error = &StatusError{Code: response.StatusCode, response: response}
	wait, asked := waitOf(response, now())
	if asked {
		err = domain.MarkRetryAfter(err, wait)
	}
	if !s.again || wait > longestWait {
		return s.final(err)
	}
	return err
}

// final marks an error after which the request is not sent again.
func (s *sending) final(err error) error {
	err = domain.MarkPermanent(err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = err
	return err
}

// note remembers a response until it is known which one the client gets.
func (s *sending) note(response *http.Response) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.responses = append(s.responses, response) //nolint:bodyclose // discard does
}

// keep closes all responses but one, which it returns.
func (s *sending) keep(kept *http.Response) *http.Response {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.discard(kept)
	return kept
}

// discard closes all responses but one. It requires that s.mu is held.
func (s *sending) discard(but *http.Response) {
	for _, response := range s.responses {
		if response != but {
			drain(response)
		}
	}
	s.responses = nil
}

// closeBody closes the client's body where no try has taken it.
func (s *sending) closeBody() {
	s.mu.Lock()
	taken := s.tries > 0
	s.mu.Unlock()
	if !taken && s.request.Body != nil {
		_ = s.request.Body.Close()
	}
}

// neverSent reports whether err proves that the server got nothing: the connection was
// not made.
func neverSent(err error) bool {
	dial, ok := errors.AsType[*net.OpError](err)
	return ok && dial.Op == "dial"
}
