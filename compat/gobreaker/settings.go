package gobreaker

import (
	"time"

	"github.com/holdfast-go/holdfast/domain"
)

// Settings configure a breaker. A Name is required; the zero value of every other field
// is its default.
type Settings struct {
	// Name is that of the breaker in the fleet: 1 to 64 ASCII letters, digits, '.',
	// '_' or '-'. Breakers of one name are one breaker.
	Name string
	// MaxRequests is how many calls are let through while half-open, and how many
	// successes close it. Defaults to 1.
	MaxRequests uint32
	// Interval is how long Counts are kept while closed. Defaults to until the state
	// changes.
	Interval time.Duration
	// BucketPeriod lets Counts leave bit by bit, in buckets of that length, at most
	// 1,000 in an Interval. Defaults to all at once.
	BucketPeriod time.Duration
	// Timeout is how long it stays open before calls are tried again. Defaults to 60 s.
	// It must not be below a millisecond, or above 7 days.
	Timeout time.Duration
	// ReadyToTrip opens the breaker for this replica alone. It is called with the
	// Counts after each failure while closed, with the breaker locked, and must not use
	// it. Defaults to six failures in a row, which is shared with the fleet.
	ReadyToTrip func(counts Counts) bool
	// OnStateChange is called when this replica finds the state changed. Defaults to none.
	OnStateChange func(name string, from State, to State)
	// IsSuccessful says which errors of a call, nil among them, are successes. Defaults
	// to those that domain.Classify says are.
	IsSuccessful func(err error) bool
	// IsExcluded says which errors, nil among them, say nothing of the dependency. It is
	// asked before IsSuccessful. Defaults to those that domain.Classify says do not,
	// where IsSuccessful is not given either.
	IsExcluded func(err error) bool
}

const (
	defaultTimeout = time.Minute
	failuresInARow = 6 // that open a breaker by default
	mostProbes     = 100
	mostBuckets    = 1000
	neverInARow    = 1 << 31 // the highest threshold that there is
)

// withDefaults fills in what is a number.
func (s Settings) withDefaults() Settings {
	s.MaxRequests = max(s.MaxRequests, 1)
	s.Interval = max(s.Interval, 0)
	if s.Timeout <= 0 {
		s.Timeout = defaultTimeout
	}
	if s.BucketPeriod <= 0 || s.Interval == 0 {
		s.BucketPeriod = s.Interval
	}
	return s
}

// buckets is how many there are in an Interval: whole ones.
func (s Settings) buckets() int64 {
	if s.BucketPeriod == 0 {
		return 1
	}
	return int64((s.Interval-1)/s.BucketPeriod) + 1
}

// policy is the fleet's breaker for s, whose defaults are filled in.
func (s Settings) policy() (domain.CircuitBreaker, error) {
	if s.buckets() > mostBuckets {
		return domain.CircuitBreaker{}, &domain.PolicyError{
			Policy: "circuit_breaker", Field: "BucketPeriod", Reason: "has more than 1,000 in an Interval",
		}
	}
	threshold := failuresInARow
	if s.ReadyToTrip != nil {
		threshold = neverInARow // it obeys operators, and votes for nothing
	}
	timeout := (s.Timeout + time.Microsecond - 1).Truncate(time.Microsecond)
	return domain.CircuitBreaker{
		Name:               s.Name,
		FailureThreshold:   threshold,
		RecoveryTimeout:    timeout,
		MaxRecoveryTimeout: timeout, // it does not grow
		SuccessThreshold:   int(min(s.MaxRequests, neverInARow)),
		Probes:             int(min(s.MaxRequests, mostProbes)),
	}, nil
}

// outcome reads what a call ended with.
func (s Settings) outcome(err error) domain.Outcome {
	said := domain.Classify(err)
	switch {
	case s.IsExcluded != nil && s.IsExcluded(err):
		return domain.Ignored
	case s.IsSuccessful != nil && s.IsSuccessful(err):
		return domain.Success
	case s.IsSuccessful == nil && (err == nil || s.IsExcluded == nil), said == domain.LocalFailure:
		return said
	default:
		return domain.Failure
	}
}
