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
	responses []*http.Response // that somebody has to close
}

// prepare returns the request for one more try. Only the first one may have the body that
// the client gave; a RoundTripper leaves the client's request as it was.
func (s *sending) prepare(ctx context.Context) (*http.Request, *trip, error) {
	first := s.begin()
	t := newTrip(ctx, s.request.Context())
	request := s.request.WithContext(t.ctx) //nolint:contextcheck // it follows both
	if !first && s.request.GetBody != nil {
		again, err := s.request.GetBody()
		if err != nil {
			t.end()
			s.landed()
			return nil, nil, domain.MarkPermanent(err)
		}
		request.Body = again
	}
	return request, t, nil
}

// begin counts one more try, and reports whether it is the first.
func (s *sending) begin() (first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flying == 0 { // it is a retry, and not a hedge: nobody wants what came before
		s.discard(nil)
	}
	s.flying++
	s.tries++
	return s.tries == 1
}

// landed is the end of a try.
func (s *sending) landed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flying--
}

// repeat reports whether the request may be sent again after err, whatever the guard says.
func (s *sending) repeat(err error) bool {
	if wait, asked := domain.RetryAfter(err); asked && wait > longestWait {
		return false
	}
	return s.again || neverSent(err) && rewindable(s.request)
}

// answered is the error that stands for a response inside the guard, with how long it asks to wait.
func answered(answer *StatusError) error {
	if wait, asked := waitOf(answer.response, now()); asked {
		return domain.MarkRetryAfter(answer, wait)
	}
	return answer
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
