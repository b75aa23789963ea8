package demo

import (
	"time"

	"github.com/holdfast-go/holdfast/domain"
)

// A stopwatch takes the time that one call waits for breaker and limit, which is
// the time that it spends on the store and little else: all of the call but the
// requests to the downstream and the pauses between attempts.
type stopwatch struct {
	clock   clock
	since   time.Duration // when the attempt began to wait
	ran     bool          // it was admitted
	atStore time.Duration // of the whole call
}

// begin starts a call.
func (s *stopwatch) begin() { s.since, s.ran, s.atStore = s.clock.now(), false, 0 }

// admitted ends the waiting of an attempt.
func (s *stopwatch) admitted() {
	s.atStore += max(s.clock.now()-s.since, 0)
	s.ran = true
}

// ended ends an attempt with err, and says whether it was admitted. Another one
// may follow after a pause, which has no jitter.
func (s *stopwatch) ended(err error) (ran bool) {
	now := s.clock.now()
	if !s.ran {
		s.atStore += max(now-s.since, 0)
	}
	ran = s.ran
	asked, _ := domain.RetryAfter(err)
	s.since, s.ran = now+max(retryPause, asked), false
	return ran
}
