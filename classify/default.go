package classify

import (
	"context"
	"errors"

	"github.com/holdfast-go/holdfast/domain"
)

// Default reads err, wrapped or not, in this order:
//
//   - nil is a Success, a cancellation is Ignored, and an error with a method
//     Outcome() says itself what it is: see [domain.Classify];
//   - LocalFailure is whatever comes before the dependency could answer, or does
//     not concern it: dialling and proxies, DNS, TLS handshakes and certificates,
//     connections closed by this program, files, and the limits and routes of
//     this machine (too many open files, no buffers, no free port, network
//     unreachable);
//   - an answer that is no trouble of the dependency's is a Success: a status
//     below 500 from an error with a method StatusCode() int or
//     HTTPStatusCode() int, and sql.ErrNoRows; but 429 is Ignored, for it says
//     that we are too fast, not that the dependency is unwell;
//   - all else is a Failure: a status of 500 or more, a connection reset or
//     closed in the middle of an answer, a deadline that passed while waiting for
//     one, driver.ErrBadConn, and errors that nobody here knows.
//
// Waiting for a free connection of a pool until the deadline looks like any
// other deadline: database/sql does not tell. Where that matters, mark the
// error with [domain.MarkLocal].
func Default(err error) domain.Outcome {
	switch {
	case err == nil, saysItself(err), errors.Is(err, context.Canceled):
		return domain.Classify(err)
	case ownNetwork(err), ownTLS(err), ownMachine(err), ownHandling(err):
		return domain.LocalFailure
	}
	if outcome, ok := answered(err); ok {
		return outcome
	}
	return domain.Classify(err)
}

func saysItself(err error) bool {
	_, ok := errors.AsType[interface {
		error
		Outcome() domain.Outcome
	}](err)
	return ok
}

// isAny reports whether err matches one of targets.
func isAny(err error, targets ...error) bool {
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// holds reports whether there is an E in err's tree.
func holds[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}
