package holdfastgrpc

import (
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/holdfast-go/holdfast/domain"
)

// An answer is an error that came from the other side of an interceptor: of the handler,
// or of the server. It tells the parts of a guard what to make of it, and is taken off
// again before anybody else sees the error.
type answer struct {
	came      error // as it came
	tree      error // the same, marked with how long it asks to wait
	outcome   domain.Outcome
	retryable bool
}

// answered makes an answer of an error; nil stays nil.
func answered(err error) error {
	if err == nil {
		return nil
	}
	return newAnswer(err)
}

// answeredOn is answered for a call of a client. That nothing was sent is this replica's own
// trouble: it could not reach any server.
func answeredOn(err error, unsent bool) error {
	if err == nil {
		return nil
	}
	a := newAnswer(err)
	if unsent && a.outcome == domain.Failure {
		a.outcome = domain.LocalFailure
	}
	return a
}

func newAnswer(err error) *answer {
	a := &answer{came: err, tree: err, outcome: Classify(err)}
	s, _ := status.FromError(err)
	wait, asks := asksToWait(s)
	if asks {
		a.tree = domain.MarkRetryAfter(err, wait)
	}
	switch codeOf(err) {
	case codes.Unavailable, codes.DeadlineExceeded:
		a.retryable = true
	case codes.Canceled:
		a.retryable = true // a timeout of the guard looks like that; who went away himself is not served again
	case codes.ResourceExhausted:
		a.retryable = asks
	default:
	}
	if says, ok := errors.AsType[interface {
		error
		Retryable() bool
	}](err); ok {
		a.retryable = says.Retryable()
	}
	return a
}

func (a *answer) Error() string           { return a.came.Error() }
func (a *answer) Unwrap() error           { return a.tree }
func (a *answer) Outcome() domain.Outcome { return a.outcome }

// Retryable reports whether the code is worth another try: that the call may be repeated
// is another question.
func (a *answer) Retryable() bool { return a.retryable }
