package gobreaker

import (
	"context"
	"errors"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/orchestrator"
)

// A CircuitBreaker runs functions while their dependency is well. It is safe for
// concurrent use.
type CircuitBreaker[T any] struct {
	core *core
}

// NewCircuitBreaker makes the breaker of those settings, or joins the one of that name
// which there is already in o. Its error matches [domain.ErrInvalidPolicy] for settings
// that cannot be meant, and [domain.ErrConflict] where the name is in use with others.
func NewCircuitBreaker[T any](o *orchestrator.Orchestrator, st Settings) (*CircuitBreaker[T], error) {
	c, err := newCore(o, st)
	if err != nil {
		return nil, err
	}
	return &CircuitBreaker[T]{c}, nil
}

// Name returns the breaker's name.
func (cb *CircuitBreaker[T]) Name() string { return cb.core.name() }

// State returns the state that a call would meet.
func (cb *CircuitBreaker[T]) State() State { return cb.core.state() }

// Counts returns what was counted of the calls of this breaker, in this replica.
func (cb *CircuitBreaker[T]) Counts() Counts { return cb.core.counts() }

// Execute runs req unless the breaker refuses, and returns what req returned; else the
// error is ErrOpenState, ErrTooManyRequests or [domain.ErrClosed]. A panic of req, or its
// runtime.Goexit, counts as a failure and passes through as it was.
func (cb *CircuitBreaker[T]) Execute(req func() (T, error)) (T, error) {
	call, err := cb.core.begin()
	if err != nil {
		var none T
		return none, err
	}
	defer call.fail() // does nothing after end
	result, err := req()
	call.end(err)
	return result, err
}

// A TwoStepCircuitBreaker is for calls whose end is not the return of a function. It is
// safe for concurrent use.
type TwoStepCircuitBreaker[T any] struct {
	core *core
}

// NewTwoStepCircuitBreaker is NewCircuitBreaker for a TwoStepCircuitBreaker.
func NewTwoStepCircuitBreaker[T any](o *orchestrator.Orchestrator, st Settings) (*TwoStepCircuitBreaker[T], error) {
	c, err := newCore(o, st)
	if err != nil {
		return nil, err
	}
	return &TwoStepCircuitBreaker[T]{c}, nil
}

// Name returns the breaker's name.
func (tscb *TwoStepCircuitBreaker[T]) Name() string { return tscb.core.name() }

// State returns the state that a call would meet.
func (tscb *TwoStepCircuitBreaker[T]) State() State { return tscb.core.state() }

// Counts returns what was counted of the calls of this breaker, in this replica.
func (tscb *TwoStepCircuitBreaker[T]) Counts() Counts { return tscb.core.counts() }

// Allow asks for one call, with errors as Execute's. done must be called once the call
// has ended, with its error; the first time counts.
func (tscb *TwoStepCircuitBreaker[T]) Allow() (done func(err error), err error) {
	call, err := tscb.core.begin()
	if err != nil {
		return nil, err
	}
	return call.end, nil
}

// A core is what both kinds of breaker are.
type core struct {
	shared *fleet.Breaker
	local  *local
}

func newCore(o *orchestrator.Orchestrator, st Settings) (*core, error) {
	st = st.withDefaults()
	policy, err := st.policy()
	if err != nil {
		return nil, err
	}
	shared, err := o.Breaker(policy)
	if err != nil {
		return nil, err
	}
	return &core{shared, newLocal(st)}, nil
}

func (c *core) name() string { return c.local.settings.Name }

func (c *core) fleet() view { return viewOf(c.shared.Status()) }

func (c *core) state() State {
	state, _ := c.local.look(c.fleet())
	return state
}

func (c *core) counts() Counts {
	_, counts := c.local.look(c.fleet())
	return counts
}

// begin asks the fleet, and then this replica's own rule. There is no context that
// could end it: it waits for a probe one StoreTimeout at most, and for nothing else.
func (c *core) begin() (*call, error) {
	permit, err := c.shared.Acquire(context.Background())
	if err != nil {
		return nil, c.refusal(err)
	}
	ticket, err := c.local.admit(c.fleet())
	if err != nil {
		permit.Report(domain.Ignored)
		return nil, err
	}
	return &call{core: c, permit: permit, ticket: ticket}, nil
}

// refusal says in the words of this package why the fleet's breaker refused.
func (c *core) refusal(err error) error {
	if !errors.Is(err, domain.ErrCircuitOpen) {
		return err
	}
	v := c.fleet()
	c.local.look(v) // who waits for changes hears of it
	if v.state == StateOpen {
		return ErrOpenState
	}
	return ErrTooManyRequests
}
