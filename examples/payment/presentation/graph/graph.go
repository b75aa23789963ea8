// Package graph offers the use cases over GraphQL. generated.go and models.go are made
// from the schema.
package graph

//go:generate go tool gqlgen generate

import (
	"context"

	payment "github.com/holdfast-go/holdfast/examples/payment/domain"
)

// Payments is what this package offers.
type Payments interface {
	Pay(ctx context.Context, order payment.Payment) (payment.Receipt, error)
	Find(ctx context.Context, id string) (payment.Receipt, error)
}

// resolver answers with the use cases.
type resolver struct{ payments Payments }

func (r resolver) Query() QueryResolver       { return r }
func (r resolver) Mutation() MutationResolver { return r }

// Payment looks a payment up.
func (r resolver) Payment(ctx context.Context, id string) (*Receipt, error) {
	return receipt(r.payments.Find(ctx, id))
}

// Pay makes a payment.
func (r resolver) Pay(ctx context.Context, id, customer string, cents int) (*Receipt, error) {
	return receipt(r.payments.Pay(ctx, payment.Payment{ID: id, Customer: customer, Cents: int64(cents)}))
}

func receipt(r payment.Receipt, err error) (*Receipt, error) {
	if err != nil {
		return nil, err
	}
	return &Receipt{ID: r.PaymentID, Provider: r.Provider}, nil
}
