package guardhttp

import (
	"context"
	"errors"
	"net/http"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
)

// A Server guards the handlers of an HTTP server. Guard is required; all else may be
// zero. It is to be filled in before use, and not changed afterwards.
//
// A handler runs once at most, whatever the policy says: what was written cannot be
// taken back, so nothing is retried and nothing hedged here. A breaker counts responses
// of 500 and above as failures of what the handler needs. A Timeout ends the request's
// context; if the handler then returns without a response, the client gets 503.
type Server struct {
	// Guard is the policy to run the handlers under.
	Guard *orchestrator.Guard
	// Key says whose request it is, for the keyed limits and breakers of the guard; see
	// [RemoteAddr], [Proxies], [Header] and the like. "" is a request of which nobody can
	// tell: it is refused with 400. Defaults to none, for guards that need no key.
	Key func(*http.Request) string
	// Cost is how many tokens a request takes from each limit. Defaults to 1.
	Cost func(*http.Request) int64
	// Failed says which statuses count as failures. Defaults to those of 500 and above.
	Failed func(status int) bool
	// LimitFor is that of the fleet's configuration where it has one, so that what
	// clients are told of their limit is that of their tier.
	LimitFor func(limit, key string) (domain.Limit, bool)
	// Legacy sets X-RateLimit-Limit, -Remaining and -Reset as well (the last in Unix
	// seconds: when the bucket is full again), for clients that know no other.
	Legacy bool
	// Refuse writes the response to a request that was turned away. The fields for
	// limits are set already. Defaults to [Refuse].
	Refuse func(http.ResponseWriter, *http.Request, orchestrator.Refusal)
}

// Handler returns next under the guard. It is a middleware as most routers take it. It
// panics when there is no Guard.
func (s Server) Handler(next http.Handler) http.Handler {
	if s.Guard == nil {
		panic("guardhttp: Server has no Guard")
	}
	if s.Failed == nil {
		s.Failed = func(status int) bool { return status >= http.StatusInternalServerError }
	}
	if s.Refuse == nil {
		s.Refuse = Refuse
	}
	return &guarded{Server: s, next: next, fields: newFields(s)}
}

// A guarded handler is one under a guard.
type guarded struct {
	Server

	next   http.Handler
	fields *fields
}

func (h *guarded) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{ResponseWriter: w, handler: h, request: r, quotas: h.fields.current()}
	var calls [4]orchestrator.Call
	told := append(calls[:0], orchestrator.RepeatIf(orchestrator.Never))
	if len(x.quotas.limits) > 0 {
		told = append(told, orchestrator.Tell(&x.decisions))
	}
	if h.Key != nil {
		x.key = h.Key(r)
		told = append(told, orchestrator.Key(x.key))
	}
	if h.Cost != nil {
		told = append(told, orchestrator.Cost(h.Cost(r)))
	}
	err := orchestrator.Run(r.Context(), h.Guard, x.serve, told...)
	if err != nil && !x.began() {
		h.explain(x, err)
	}
}

// explain answers a request that has no response, with why.
func (h *guarded) explain(x *exchange, err error) {
	if refusal, ok := orchestrator.RefusalOf(err); ok {
		x.tellLimits()
		h.Refuse(x.ResponseWriter, x.request, refusal)
		return
	}
	switch {
	case x.request.Context().Err() != nil: // there is nobody to tell
	case errors.Is(err, domain.ErrTimeout):
		writeProblem(x.ResponseWriter, x.request, timedOut)
	case errors.Is(err, domain.ErrLockLost):
		writeProblem(x.ResponseWriter, x.request, interrupted)
	default:
		writeProblem(x.ResponseWriter, x.request, broken)
	}
}

// serve runs the handler.
func (x *exchange) serve(ctx context.Context) error {
	x.tellLimits()
	x.handler.next.ServeHTTP(x.writer(), x.request.WithContext(ctx))
	switch {
	case x.status != 0 && x.handler.Failed(x.status):
		return &StatusError{Code: x.status}
	case !x.began() && ctx.Err() != nil:
		return context.Cause(ctx)
	default:
		return nil
	}
}
