package ratelimit

import (
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/domain"
)

// A Limit admits Rate events per Period, evenly, of which Burst can be saved up.
// All three must be positive, and Period whole microseconds.
type Limit struct {
	Rate   int
	Burst  int
	Period time.Duration
}

// PerSecond is rate events a second, with a burst of rate.
func PerSecond(rate int) Limit { return per(rate, time.Second) }

// PerMinute is rate events a minute, with a burst of rate.
func PerMinute(rate int) Limit { return per(rate, time.Minute) }

// PerHour is rate events an hour, with a burst of rate.
func PerHour(rate int) Limit { return per(rate, time.Hour) }

func per(rate int, period time.Duration) Limit { return Limit{Rate: rate, Burst: rate, Period: period} }

// IsZero reports whether l is the zero Limit.
func (l Limit) IsZero() bool { return l == Limit{} }

// String returns l in words, such as "10 req/s (burst 20)".
func (l Limit) String() string {
	return fmt.Sprintf("%d req/%s (burst %d)", l.Rate, periodText(l.Period), l.Burst)
}

func periodText(d time.Duration) string {
	switch d {
	case time.Second:
		return "s"
	case time.Minute:
		return "m"
	case time.Hour:
		return "h"
	default:
		return d.String()
	}
}

// policy is the fleet's limit for l. Its name is made of the numbers, so that all
// replicas that use the same Limit share it, and no two Limits do.
func (l Limit) policy() (domain.RateLimit, error) {
	if l.Burst <= 0 {
		return domain.RateLimit{}, &domain.PolicyError{Policy: "rate_limit", Field: "Limit.Burst", Reason: "must be positive"}
	}
	p := domain.RateLimit{
		Name:  fmt.Sprintf("redis_rate.%d.%d.%d", l.Rate, l.Burst, l.Period.Microseconds()),
		Limit: domain.Limit{Tokens: int64(l.Rate), Period: l.Period, Burst: int64(l.Burst)},
		Keyed: true,
	}
	return p, p.Limit.Validate()
}

// refill is how long so many tokens take to be there, rounded up to the microsecond,
// of a limit that is valid.
func (l Limit) refill(tokens int64) time.Duration {
	earn, worth := domain.Limit{Tokens: int64(l.Rate), Period: l.Period}.Reduced()
	return time.Duration((tokens*worth+earn-1)/earn) * time.Microsecond
}
