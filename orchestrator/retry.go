package orchestrator

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/holdfast-go/holdfast/domain"
)

// A retryStep sends the walk inward again after an error that may go away.
type retryStep struct {
	policy    domain.Retry // with its defaults
	retryable func(error) bool
	budget    budget
}

func (s *retryStep) enter(f *frame) {
	s.budget.earn()
	f.attempts, f.pause = 1, 0
	if s.policy.MaxElapsed > 0 {
		f.began = now()
	}
}

// again decides what follows an attempt. It returns true, after the pause, when
// there is to be another one; else w.err is what the series ends with.
func (s *retryStep) again(w *walk, f *frame) bool {
	if w.err == nil || !w.repeatable() || !s.retryable(w.err) {
		return false
	}
	if end := w.ctx.Err(); end != nil {
		if !errors.Is(w.err, end) {
			w.err = cutShort(ended(w.ctx), w.err)
		}
		return false
	}
	pause, ok := s.nextPause(f, w.err)
	if !ok {
		return s.giveUp(w, &domain.RetryExhaustedError{Attempts: f.attempts, Err: w.err})
	}
	if end := reaches(w.ctx, pause); end != nil {
		w.err = cutShort(end, w.err)
		return false
	}
	if !s.budget.spend(w.ctx, &w.budget) {
		return s.giveUp(w, &domain.BudgetExhaustedError{Name: s.policy.Budget.Name, Attempts: f.attempts, Err: w.err})
	}
	w.tell(Step{Part: PartRetry, Name: s.policy.Budget.Name, Result: ResultAgain, Pause: pause, Err: w.err})
	if end := sleep(w.ctx, pause); end != nil {
		w.err = cutShort(end, w.err)
		return false
	}
	f.attempts++
	return true
}

// giveUp ends the series with err. It returns false.
func (s *retryStep) giveUp(w *walk, err error) bool {
	w.err = err
	w.tell(Step{Part: PartRetry, Name: s.policy.Budget.Name, Result: ResultGaveUp, Err: err})
	return false
}

// nextPause returns how long to wait before another attempt; false when the
// attempts, or MaxElapsed, leave no room for one.
func (s *retryStep) nextPause(f *frame, err error) (time.Duration, bool) {
	if s.policy.MaxAttempts != domain.UnlimitedAttempts && f.attempts >= s.policy.MaxAttempts {
		return 0, false
	}
	f.pause = s.policy.Backoff.Delay(f.attempts, f.pause, rand.Float64())
	asked, _ := domain.RetryAfter(err)
	pause := max(f.pause, asked)
	if s.policy.MaxElapsed > 0 && pause >= s.policy.MaxElapsed-since(f.began) {
		return 0, false
	}
	return pause, true
}

// reaches returns why a pause of d is not to begin: ctx will have ended before there is
// any time left for an attempt.
func reaches(ctx context.Context, d time.Duration) error {
	if deadline, ok := ctx.Deadline(); ok && d >= until(deadline) {
		return context.DeadlineExceeded
	}
	return nil
}

// sleep pauses for d, or returns why not: ctx has ended.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	if ctx.Err() != nil { // also when both were ready
		return ended(ctx)
	}
	return nil
}
