package guardhttp

import (
	"math"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
)

// The names of the fields as net/http keeps them.
const (
	policyField = "Ratelimit-Policy"
	limitField  = "Ratelimit"
)

// fields are what clients are told of the limits of a guard, after the draft
// draft-ietf-httpapi-ratelimit-headers-10: each limit, and each of its further bands, is
// a quota policy of its own. A token bucket is told as a window in which its burst is
// refilled; t is when there will be more than now, not when all of it.
type fields struct {
	server Server
	known  atomic.Pointer[quotas] // of the policy in force
}

// quotas are the limits of one policy that refuse.
type quotas struct {
	policy domain.Policy
	limits []domain.RateLimit
	text   string // of the policy field, for who is in no tier
}

func newFields(s Server) *fields {
	f := &fields{server: s}
	f.current()
	return f
}

// current is what the guard's policy says now.
func (f *fields) current() *quotas {
	policy := f.server.Guard.Policy()
	if q := f.known.Load(); q != nil && q.policy == policy {
		return q
	}
	q := &quotas{policy: policy}
	for _, layer := range domain.Layers(policy) {
		limit, ok := layer.(domain.RateLimit)
		if !ok || limit.Shadow {
			continue
		}
		if limit.Name == "" {
			limit.Name = f.server.Guard.Name()
		}
		q.limits = append(q.limits, limit.WithDefaults())
	}
	q.text = q.tell(nil, "")
	f.known.Store(q)
	return q
}

// tell is the policy field for one key.
func (q *quotas) tell(limitFor func(limit, key string) (domain.Limit, bool), key string) string {
	var b []byte
	for _, limit := range q.limits {
		b = appendQuota(b, limit.Name, numbersOf(limit, limitFor, key))
		for i, band := range limit.Also {
			if band != (domain.Limit{}) {
				b = appendQuota(b, bandName(limit.Name, i+1), band)
			}
		}
	}
	return string(b)
}

func appendQuota(b []byte, name string, l domain.Limit) []byte {
	if len(b) > 0 {
		b = append(b, ", "...)
	}
	b = append(b, '"')
	b = append(b, name...)
	b = append(b, `";q=`...)
	b = strconv.AppendInt(b, l.Burst, 10)
	b = append(b, ";w="...)
	return strconv.AppendInt(b, wholeSeconds(timeFor(l, l.Burst)), 10)
}

// bandName names a further band of a limit.
func bandName(limit string, band int) string {
	if band == 0 {
		return limit
	}
	return limit + "." + strconv.Itoa(band)
}

// numbersOf is what a limit is for one key.
func numbersOf(l domain.RateLimit, limitFor func(limit, key string) (domain.Limit, bool), key string) domain.Limit {
	if limitFor != nil && l.Keyed {
		if own, ok := limitFor(l.Name, key); ok && own.Validate() == nil {
			return own.WithDefaults()
		}
	}
	return l.Limit
}

// timeFor is how long l takes to earn n tokens, rounded up.
func timeFor(l domain.Limit, n int64) time.Duration {
	return time.Duration(math.Ceil(float64(n) / float64(l.Tokens) * float64(l.Period)))
}

// set sets the fields of a response by what the limits decided. Of one that decided
// without its store nothing is known that a client could go by.
func (f *fields) set(x *exchange) {
	q := x.quotas
	if len(q.limits) == 0 {
		return
	}
	said := x.decisions.All()
	policy := q.text
	if f.server.LimitFor != nil {
		policy = q.tell(f.server.LimitFor, x.key)
	}
	h := x.Header()
	x.values[0] = policy
	h[policyField] = x.values[0:1:1]
	if text := f.remaining(q, said, x.key); text != "" {
		x.values[1] = text
		h[limitField] = x.values[1:2:2]
	}
	if f.server.Legacy {
		f.setLegacy(h, q, said, x.key)
	}
}

// remaining is the field that says what is left.
func (f *fields) remaining(q *quotas, said []orchestrator.LimitDecision, key string) string {
	b := make([]byte, 0, 64)
	for _, d := range said {
		limit, ok := q.find(d.Limit)
		if !ok || d.Degraded {
			continue
		}
		if len(b) > 0 {
			b = append(b, ", "...)
		}
		b = append(b, '"')
		b = append(b, bandName(d.Limit, d.Band)...)
		b = append(b, `";r=`...)
		b = strconv.AppendInt(b, d.Remaining, 10)
		b = append(b, ";t="...)
		wait := d.RetryAfter
		if d.Allowed {
			wait = timeFor(numbersOf(limit, f.server.LimitFor, key), 1)
		}
		b = strconv.AppendInt(b, wholeSeconds(wait), 10)
	}
	return string(b)
}

func (q *quotas) find(name string) (domain.RateLimit, bool) {
	for _, limit := range q.limits {
		if limit.Name == name {
			return limit, true
		}
	}
	return domain.RateLimit{}, false
}
