package guardhttp

import (
	"net/http"
	"strconv"
	"time"

	"github.com/holdfast-go/holdfast/orchestrator"
)

// setLegacy sets the fields that many clients know, for the limit that has the fewest
// tokens left.
func (f *fields) setLegacy(h http.Header, q *quotas, said []orchestrator.LimitDecision, key string) {
	var tightest *orchestrator.LimitDecision
	for i := range said {
		if _, ok := q.find(said[i].Limit); ok && !said[i].Degraded && (tightest == nil || said[i].Remaining < tightest.Remaining) {
			tightest = &said[i]
		}
	}
	if tightest == nil {
		return
	}
	limit, _ := q.find(tightest.Limit)
	numbers := numbersOf(limit, f.server.LimitFor, key)
	if tightest.Band > 0 && limit.Also[tightest.Band-1].Tokens > 0 {
		numbers = limit.Also[tightest.Band-1]
	}
	full := max(timeFor(numbers, max(numbers.Burst-tightest.Remaining, 0)), tightest.RetryAfter)
	h.Set("X-Ratelimit-Limit", strconv.FormatInt(numbers.Burst, 10))
	h.Set("X-Ratelimit-Remaining", strconv.FormatInt(tightest.Remaining, 10))
	h.Set("X-Ratelimit-Reset", strconv.FormatInt(now().Add(full+time.Second-1).Unix(), 10))
}
