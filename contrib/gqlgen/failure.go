package holdfastgqlgen

import (
	"errors"
	"fmt"
	"time"

	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
)

// The codes of errors beside those of [orchestrator.Reason].
const (
	CodeTimeout  = "TIMEOUT"   // a timeout of the guard ended it
	CodeLockLost = "LOCK_LOST" // so did the loss of the lock of an exclusive
	CodeInternal = "INTERNAL"  // the guard cannot be meant, or the call
)

// ErrorOf gives an error of a guard the form in which GraphQL's clients get it, as the
// extensions do: for a resolver that runs a guard of its own. The error that it returns
// matches err still. false means that err is no error of a guard.
func ErrorOf(err error) (*gqlerror.Error, bool) {
	if r, ok := orchestrator.RefusalOf(err); ok {
		return refusalError(r, err), true
	}
	switch {
	case errors.Is(err, domain.ErrTimeout):
		return coded(err, CodeTimeout, timeoutText(err)), true
	case errors.Is(err, domain.ErrLockLost):
		return coded(err, CodeLockLost, domain.ErrLockLost.Error()), true
	case errors.Is(err, domain.ErrInvalidPolicy):
		return coded(err, CodeInternal, err.Error()), true
	default:
		return nil, false
	}
}

// coded has no key in its text: what err says goes to logs, not to clients.
func coded(err error, code, text string) *gqlerror.Error {
	return &gqlerror.Error{Err: err, Message: text, Extensions: map[string]any{"code": code}}
}

func timeoutText(err error) string {
	if e, ok := errors.AsType[*domain.TimeoutError](err); ok {
		return e.Error()
	}
	return domain.ErrTimeout.Error()
}

func refusalError(r orchestrator.Refusal, err error) *gqlerror.Error {
	k := kindOf(r.Reason)
	text := k.text
	if r.Name != "" {
		text = fmt.Sprintf("%s: %q", text, r.Name)
	}
	e := coded(domain.MarkIgnored(err), r.Reason.String(), text) // nobody was called
	if r.Name != "" {
		e.Extensions[k.part] = r.Name
	}
	if r.RetryAfter > 0 {
		e.Extensions["retryAfterSeconds"] = wholeSeconds(r.RetryAfter)
	}
	return e
}

// wholeSeconds rounds a wait up, so that nobody comes too early.
func wholeSeconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }
