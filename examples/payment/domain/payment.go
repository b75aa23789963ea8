// Package payment is the domain: what a payment is, who carries it out, and what that
// needs to be reliable. It knows no HTTP, no Redis and no orchestrator.
package payment

import (
	"context"
	"errors"
	"fmt"

	hold "github.com/holdfast-go/holdfast/domain"
)

// A Payment is what a customer wants to pay. Its ID tells it from all others, so that
// who asks twice pays once.
type Payment struct {
	ID       string
	Customer string
	Cents    int64
}

// A Receipt says that a payment was made.
type Receipt struct {
	PaymentID string
	Provider  string // its own number for it
}

// A Service carries out payments. Process may be called again with the same payment.
type Service interface {
	Process(ctx context.Context, p Payment) (Receipt, error)
	Status(ctx context.Context, id string) (Receipt, error)
}

// ErrInvalid is a payment that cannot be meant, and ErrUnknown one that was not made.
var (
	ErrInvalid = errors.New("invalid payment")
	ErrUnknown = errors.New("unknown payment")
)

// Validate reports a payment that cannot be meant.
func (p Payment) Validate() error {
	switch {
	case p.ID == "":
		return fmt.Errorf("%w: it has no ID", ErrInvalid)
	case p.Customer == "":
		return fmt.Errorf("%w: it has no customer", ErrInvalid)
	case p.Cents <= 0:
		return fmt.Errorf("%w: the amount must be positive", ErrInvalid)
	default:
		return nil
	}
}

// A DeclinedError is the provider's answer that it will not make a payment. It is an
// answer like any other: no breaker counts it, and asking again does not help.
type DeclinedError struct{ Reason string }

func (e *DeclinedError) Error() string { return "declined: " + e.Reason }

// Outcome says that the provider is well.
func (*DeclinedError) Outcome() hold.Outcome { return hold.Success }

// Retryable says that the answer would be the same.
func (*DeclinedError) Retryable() bool { return false }
