package orchestrator

import (
	"context"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet"
)

// Config is what an Orchestrator needs to know. The zero Config is valid.
type Config struct {
	// Fleet is how this process takes part in its fleet, and where events go.
	Fleet fleet.Config
	// Classify reads the errors of all guards that are not given a classifier
	// of their own; see the option [Classify]. Defaults to domain.Classify.
	Classify func(error) domain.Outcome
	// Observer sees each call of each guard; Observers joins several. Defaults to none.
	Observer Observer
}

// An Orchestrator makes guards. It is one replica of its fleet: a process has
// one, and all its guards, limiters and breakers share its membership. It is
// safe for concurrent use.
type Orchestrator struct {
	replica *fleet.Replica
	config  Config
	bare    bool // run everything without protection

	mu      sync.Mutex // held while guards are made or changed
	guards  map[string]*Guard
	carried carried
}

// New joins the fleet whose state is in stores. It makes no store call and
// starts no goroutine, so it succeeds while the store is down; the first use
// starts what is needed, and Close ends it.
func New(stores port.Stores, c Config) (*Orchestrator, error) {
	replica, err := fleet.Join(stores, c.Fleet)
	if err != nil {
		return nil, err
	}
	return &Orchestrator{
		replica: replica,
		config:  c,
		guards:  make(map[string]*Guard),
		carried: carried{guards: make(map[domain.Policy]*Guard)},
	}, nil
}

// Limiter returns the limit of that name by itself, for use without a guard. It
// is made when there is none yet; its settings must be those of p otherwise,
// else the error matches [domain.ErrConflict].
func (o *Orchestrator) Limiter(p domain.RateLimit) (*fleet.Limiter, error) {
	return o.replica.Limiter(p)
}

// Breaker returns the breaker of that name by itself, for calls whose end is
// not the return of a function. It is made when there is none yet; its settings
// must be those of p otherwise, else the error matches [domain.ErrConflict].
func (o *Orchestrator) Breaker(p domain.CircuitBreaker) (*fleet.Breaker, error) {
	if o.bare {
		p = neverOpen(p)
	}
	return o.replica.Breaker(p)
}

// KeyedBreaker returns the breaker of that name that is Keyed by itself, with errors as
// Breaker's.
func (o *Orchestrator) KeyedBreaker(p domain.CircuitBreaker) (*fleet.KeyedBreaker, error) {
	if o.bare {
		p = neverOpen(p)
	}
	return o.replica.KeyedBreaker(p)
}

// Bulkhead returns the bulkhead of that name by itself, with errors as Breaker's.
func (o *Orchestrator) Bulkhead(p domain.Bulkhead) (*fleet.Bulkhead, error) {
	if o.bare {
		p = neverFull(p)
	}
	return o.replica.Bulkhead(p)
}

// CircuitBreaker finds the breaker of that name, to read its status.
func (o *Orchestrator) CircuitBreaker(name string) (*fleet.Breaker, bool) {
	return o.replica.FindBreaker(name)
}

// KeyedCircuitBreaker finds the keyed breaker of that name, to read its status.
func (o *Orchestrator) KeyedCircuitBreaker(name string) (*fleet.KeyedBreaker, bool) {
	return o.replica.FindKeyedBreaker(name)
}

// RateLimiter finds the limit of that name.
func (o *Orchestrator) RateLimiter(name string) (*fleet.Limiter, bool) {
	return o.replica.FindLimiter(name)
}

// Health says whether the store answers, and how many replicas there are. It
// makes no store call.
func (o *Orchestrator) Health() fleet.Health { return o.replica.Health() }

// Overview looks at all parts that there are. It makes no store call.
func (o *Orchestrator) Overview() fleet.Overview { return o.replica.Overview() }

// StoreTimeout is how long one call waits for stores at most.
func (o *Orchestrator) StoreTimeout() time.Duration { return o.replica.Config().StoreTimeout }

// Close leaves the fleet and ends every goroutine, or as much of that as ctx
// leaves time for. Breakers and limits answer [domain.ErrClosed] afterwards.
func (o *Orchestrator) Close(ctx context.Context) error { return o.replica.Close(ctx) }
