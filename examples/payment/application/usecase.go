// Package application is what the service does for its users. It runs the domain's
// operations under the policies that the domain declares, over whichever service and
// store it is given.
package application

import (
	"context"
	"fmt"

	hold "github.com/holdfast-go/holdfast/domain"
	payment "github.com/holdfast-go/holdfast/examples/payment/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
)

// Payments are the use cases of payments. They are safe for concurrent use.
type Payments struct {
	orch       *orchestrator.Orchestrator
	service    payment.Service
	processing *orchestrator.Guard
	looking    *orchestrator.Guard
}

// The names of the guards, by which policies are changed.
const (
	guardProcessing = "process-payment"
	guardLooking    = "look-up-payment"
	guardAdmission  = "admission"
)

// New makes the use cases over a service.
func New(orch *orchestrator.Orchestrator, service payment.Service) (*Payments, error) {
	processing, err := orch.Guard(guardProcessing, payment.Processing())
	if err != nil {
		return nil, fmt.Errorf("payments: %w", err)
	}
	looking, err := orch.Guard(guardLooking, payment.Looking())
	if err != nil {
		return nil, fmt.Errorf("payments: %w", err)
	}
	return &Payments{orch, service, processing, looking}, nil
}

// Pay makes a payment, once, however often it is asked for.
func (p *Payments) Pay(ctx context.Context, order payment.Payment) (payment.Receipt, error) {
	if err := order.Validate(); err != nil {
		return payment.Receipt{}, err //nolint:wrapcheck // the domain's words
	}
	return orchestrator.Do(ctx, p.processing, func(ctx context.Context) (payment.Receipt, error) {
		return p.service.Process(ctx, order)
	})
}

// Find looks a payment up.
func (p *Payments) Find(ctx context.Context, id string) (payment.Receipt, error) {
	return orchestrator.Do(ctx, p.looking, func(ctx context.Context) (payment.Receipt, error) {
		return p.service.Status(ctx, id)
	})
}

// ChangeProcessing puts another policy in force, from the next call on.
func (p *Payments) ChangeProcessing(policy hold.Policy) error {
	return p.orch.Update(guardProcessing, policy) //nolint:wrapcheck // it says which guard
}

// Admission is the guard at the service's doors.
func Admission(orch *orchestrator.Orchestrator) (*orchestrator.Guard, error) {
	return orch.Guard(guardAdmission, payment.Admission()) //nolint:wrapcheck // it says which guard
}

// ChangeAdmission lets another number of requests in, from now on and on all replicas:
// version is higher than that of any change before.
func ChangeAdmission(orch *orchestrator.Orchestrator, limit hold.Limit, version int64) error {
	policy := payment.Admission()
	policy.Limit, policy.Version = limit, version
	return orch.Update(guardAdmission, policy) //nolint:wrapcheck // it says which guard
}
