package holdfastgqlgen

import (
	"context"
	"net/http"
	"strconv"

	"github.com/holdfast-go/holdfast/orchestrator"
)

// Status stands around a gqlgen server and gives an operation that was refused as a whole
// the status that HTTP has for it, and a Retry-After in whole seconds where the wait is
// known: 429 for a limit, 400 for what costs more than the burst and for a missing key, 503
// for all else, as package guardhttp has it. gqlgen itself answers 200, and an extension cannot change that. The body
// stays as it is.
//
//	http.Handle("/query", holdfastgqlgen.Status(srv))
//
// A field that was refused leaves the status alone: the other fields have their data. So
// does an operation over server-sent events, whose header is sent before the operation is
// looked at, and one over a websocket, which has no status.
func Status(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			next.ServeHTTP(w, r)
			return
		}
		n := &notice{}
		next.ServeHTTP(&statusWriter{ResponseWriter: w, notice: n}, r.WithContext(context.WithValue(r.Context(), noticeKey{}, n)))
	})
}

// A notice is what an operation leaves for the writer of its response.
type notice struct{ refusal orchestrator.Refusal }

type noticeKey struct{}

// noticeRefusal notes that an operation was refused, if anybody is to know.
func noticeRefusal(ctx context.Context, err error) {
	n, ok := ctx.Value(noticeKey{}).(*notice)
	if !ok {
		return
	}
	if r, ok := orchestrator.RefusalOf(err); ok {
		n.refusal = r
	}
}

// A statusWriter sends the header of a response as its notice says.
type statusWriter struct {
	http.ResponseWriter

	notice *notice
	sent   bool
}

// Unwrap is for [http.ResponseController].
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Flush makes it an http.Flusher, without which gqlgen does not stream.
func (w *statusWriter) Flush() {
	w.send(http.StatusOK)
	_ = http.NewResponseController(w.ResponseWriter).Flush() // as far as it can
}

// WriteHeader sends the header, with another status where the operation was refused.
func (w *statusWriter) WriteHeader(status int) {
	if w.sent || status < http.StatusOK { // too late, which it reports; or not the header yet
		w.ResponseWriter.WriteHeader(status)
		return
	}
	w.send(status)
}

// Write writes the body.
func (w *statusWriter) Write(body []byte) (int, error) {
	w.send(http.StatusOK)
	return w.ResponseWriter.Write(body)
}

func (w *statusWriter) send(status int) {
	if w.sent {
		return
	}
	w.sent = true
	if r := w.notice.refusal; r.Reason != 0 {
		status = kindOf(r.Reason).status
		if r.RetryAfter > 0 {
			w.Header().Set("Retry-After", strconv.FormatInt(wholeSeconds(r.RetryAfter), 10))
		}
	}
	w.ResponseWriter.WriteHeader(status)
}
