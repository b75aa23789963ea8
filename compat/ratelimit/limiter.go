package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/orchestrator"
)

// MaxLimits is how many distinct Limits one Limiter can be asked about. Each stays
// in memory, with the keys in use, until the orchestrator is closed.
const MaxLimits = 256

var (
	// ErrTooManyLimits says that a Limiter was asked about more than MaxLimits
	// distinct Limits: numbers that are computed for each call are not for it.
	ErrTooManyLimits = errors.New("too many distinct limits")
	// ErrNoLimits says that Reset does not know any Limit to reset.
	ErrNoLimits = errors.New("no limit is known yet")
)

// A Limiter decides whether events may happen, for the whole fleet. Make one with
// NewLimiter. It is safe for concurrent use, and may be copied.
type Limiter struct {
	limits *limits
}

// limits are the fleet's limits that a Limiter has been asked about.
type limits struct {
	orch *orchestrator.Orchestrator

	mu      sync.RWMutex
	known   []Limit // given beforehand: made when they are needed
	byLimit map[Limit]*fleet.Limiter
}

// NewLimiter returns a Limiter over the store of o. It stays usable until o is
// closed. Limits that are known beforehand may be given, for [Limiter.Reset].
func NewLimiter(o *orchestrator.Orchestrator, known ...Limit) *Limiter {
	return &Limiter{&limits{orch: o, known: known, byLimit: make(map[Limit]*fleet.Limiter)}}
}

// Allow is shorthand for AllowN of 1.
func (l Limiter) Allow(ctx context.Context, key string, limit Limit) (*Result, error) {
	return l.AllowN(ctx, key, limit, 1)
}

// AllowN asks for n events at once, all or none. n of 0 only asks what remains.
//
// # Errors
//
// The error matches [domain.ErrInvalidPolicy] for a limit that cannot be meant,
// ErrTooManyLimits, or is that of [fleet.Limiter.AllowN]: [domain.ErrKeyMissing] for
// an empty key, [domain.ErrCostTooHigh] for n above Burst, an error for n below 0.
func (l Limiter) AllowN(ctx context.Context, key string, limit Limit, n int) (*Result, error) {
	shared, err := l.limits.find(limit)
	if err != nil {
		return nil, err
	}
	decision, err := shared.AllowN(ctx, key, int64(n))
	if err != nil {
		return nil, err
	}
	return resultOf(limit, decision, n != 0), nil
}

// AllowAtMost asks for as many events as there are, up to n: see Result.Allowed. n of
// 0 only asks what remains. Errors are as for AllowN, but n above Burst is none.
func (l Limiter) AllowAtMost(ctx context.Context, key string, limit Limit, n int) (*Result, error) {
	if n == 0 {
		return l.AllowN(ctx, key, limit, n)
	}
	shared, err := l.limits.find(limit)
	if err != nil {
		return nil, err
	}
	decision, err := shared.AllowUpTo(ctx, key, int64(n))
	if err != nil {
		return nil, err
	}
	return resultOf(limit, decision, true), nil
}

// Reset gives key its whole burst again, under each Limit that this Limiter was given
// by NewLimiter or has been asked about: it cannot know those that only other
// replicas use. Other replicas may refuse from memory for up to a second still.
//
// # Errors
//
// The error matches ErrNoLimits where no Limit is known, or is what
// [fleet.Limiter.Reset] says. Every Limit is tried, whatever came of the others.
func (l Limiter) Reset(ctx context.Context, key string) error {
	shared, err := l.limits.all()
	errs := make([]error, len(shared), len(shared)+1)
	for i, limiter := range shared {
		errs[i] = limiter.Reset(ctx, key)
	}
	errs = append(errs, err)
	return errors.Join(errs...)
}

// all returns every limit that is known.
func (l *limits) all() ([]*fleet.Limiter, error) {
	var errs []error
	for _, limit := range l.known {
		_, err := l.find(limit)
		errs = append(errs, err)
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	shared := make([]*fleet.Limiter, 0, len(l.byLimit))
	for _, limiter := range l.byLimit {
		shared = append(shared, limiter)
	}
	if len(shared) == 0 {
		errs = append(errs, ErrNoLimits)
	}
	return shared, errors.Join(errs...)
}

// find returns the fleet's limit for those numbers, and makes it the first time.
func (l *limits) find(limit Limit) (*fleet.Limiter, error) {
	l.mu.RLock()
	shared := l.byLimit[limit]
	l.mu.RUnlock()
	if shared != nil {
		return shared, nil
	}
	policy, err := limit.policy()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byLimit[limit] == nil && len(l.byLimit) >= MaxLimits {
		return nil, fmt.Errorf("%w: %v would be one more than %d", ErrTooManyLimits, limit, MaxLimits)
	}
	shared, err = l.orch.Limiter(policy)
	if err != nil {
		return nil, err
	}
	l.byLimit[limit] = shared
	return shared, nil
}
