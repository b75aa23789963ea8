package guardhttp

import (
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/orchestrator"
)

// Refuse writes the response to a request that was turned away: 429 where the client was
// too fast, 503 where the server cannot, 400 where no wait helps; with Retry-After where
// the wait is known, and a body after RFC 9457, or a line of plain text for a client that
// takes no JSON.
//
// Retry-After is up to a tenth longer than the wait, so that clients that were turned
// away together do not come back together.
func Refuse(w http.ResponseWriter, r *http.Request, refusal orchestrator.Refusal) {
	p := problems[refusal.Reason]
	if p.status == 0 {
		p = broken
	}
	p.reason, p.name = refusal.Reason.String(), refusal.Name
	if refusal.RetryAfter > 0 {
		p.retryAfter = wholeSeconds(time.Duration(float64(refusal.RetryAfter) * (1 + rand.Float64()/10)))
	}
	writeProblem(w, r, p)
}

// A problem is what the body of a refusal says.
type problem struct {
	status        int
	kind          string // a URI; "" is about:blank
	title, detail string
	name          string
	reason        string
	retryAfter    int64 // seconds
}

// quotaExceeded and reducedCapacity are what the draft of the RateLimit fields registers.
const (
	quotaExceeded   = "https://iana.org/assignments/http-problem-types#quota-exceeded"
	reducedCapacity = "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"
)

// problems is how each reason is told.
var problems = [...]problem{ //nolint:gochecknoglobals // a table that nobody changes
	orchestrator.ReasonRateLimited: {
		status: http.StatusTooManyRequests, kind: quotaExceeded, title: "Quota exceeded",
		detail: "There were more requests than the quota has room for.",
	},
	orchestrator.ReasonCostTooHigh: {
		status: http.StatusBadRequest, title: "Request too expensive",
		detail: "The request costs more than its quota ever holds; waiting does not help.",
	},
	orchestrator.ReasonKeyMissing: {
		status: http.StatusBadRequest, title: "Caller unknown",
		detail: "The request does not say on whose behalf it is.",
	},
	orchestrator.ReasonCircuitOpen: {
		status: http.StatusServiceUnavailable, kind: reducedCapacity, title: "Temporarily unavailable",
		detail: "Something that this request needs is not working at the moment.",
	},
	orchestrator.ReasonBulkheadFull: {
		status: http.StatusServiceUnavailable, kind: reducedCapacity, title: "Too busy",
		detail: "As many requests as there is room for are being served already.",
	},
	orchestrator.ReasonHeldElsewhere: {
		status: http.StatusServiceUnavailable, kind: reducedCapacity, title: "Busy with the same",
		detail: "Another request of this kind is being served, and only one may be.",
	},
	orchestrator.ReasonStoreUnavailable: {
		status: http.StatusServiceUnavailable, kind: reducedCapacity, title: "Temporarily unavailable",
		detail: "It cannot be decided at the moment whether the request may be served.",
	},
	orchestrator.ReasonClosed: {
		status: http.StatusServiceUnavailable, title: "Going away", detail: "This server is being shut down.",
	},
}

// timedOut, interrupted and broken are what else keeps a handler from a response.
var (
	interrupted = problem{ //nolint:gochecknoglobals // as above
		status: http.StatusServiceUnavailable, title: "Interrupted", reason: "LOCK_LOST",
		detail: "Another request of this kind may have begun.",
	}
	timedOut = problem{ //nolint:gochecknoglobals // as above
		status: http.StatusServiceUnavailable, title: "Timed out", detail: "The request took longer than it may.", reason: "TIMEOUT",
	}
	broken = problem{ //nolint:gochecknoglobals // as above
		status: http.StatusInternalServerError, title: "Internal error", detail: "The request could not be guarded.", reason: "UNKNOWN",
	}
)

func writeProblem(w http.ResponseWriter, r *http.Request, p problem) {
	h := w.Header()
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.FormatInt(p.retryAfter, 10))
	}
	h.Set("Cache-Control", "no-store")
	h.Del("Content-Length")
	h.Del("Content-Encoding")
	if takesJSON(r) {
		h.Set("Content-Type", "application/problem+json")
		w.WriteHeader(p.status)
		_, _ = w.Write(p.json())
		return
	}
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(p.status)
	_, _ = w.Write([]byte(p.title + ": " + p.detail + "\n"))
}

// takesJSON reports whether the client takes JSON, as far as that is quickly said: it
// names some, or any type at all, or does not say.
func takesJSON(r *http.Request) bool {
	accept := r.Header["Accept"]
	if len(accept) == 0 {
		return true
	}
	for _, line := range accept {
		if line == "" || strings.Contains(line, "json") || strings.Contains(line, "*/*") || strings.Contains(line, "application/*") {
			return true
		}
	}
	return false
}

// json is the body. All texts are this package's own, and names are plain ASCII, so that
// a Go quotation is a JSON one.
func (p problem) json() []byte {
	b := make([]byte, 0, 512)
	kind := p.kind
	if kind == "" {
		kind = "about:blank"
	}
	b = append(b, `{"type":`...)
	b = strconv.AppendQuote(b, kind)
	b = append(b, `,"title":`...)
	b = strconv.AppendQuote(b, p.title)
	b = append(b, `,"status":`...)
	b = strconv.AppendInt(b, int64(p.status), 10)
	b = append(b, `,"detail":`...)
	b = strconv.AppendQuote(b, p.detail)
	b = append(b, `,"reason":`...)
	b = strconv.AppendQuote(b, p.reason)
	if p.kind == quotaExceeded && p.name != "" {
		b = append(b, `,"violated-policies":[`...)
		b = strconv.AppendQuote(b, p.name)
		b = append(b, ']')
	}
	if p.retryAfter > 0 {
		b = append(b, `,"retry-after":`...)
		b = strconv.AppendInt(b, p.retryAfter, 10)
	}
	return append(b, '}', '\n')
}

// wholeSeconds rounds up, so that who waits that long has waited long enough.
func wholeSeconds(d time.Duration) int64 {
	return int64(math.Ceil(d.Seconds()))
}
