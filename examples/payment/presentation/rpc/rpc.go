// Package rpc offers the use cases over gRPC. Package paymentv1 is made from
// payment.proto.
package rpc

//go:generate protoc --go_out=paymentv1 --go_opt=paths=source_relative --go-grpc_out=paymentv1 --go-grpc_opt=paths=source_relative payment.proto

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	payment "github.com/holdfast-go/holdfast/examples/payment/domain"
	"github.com/holdfast-go/holdfast/examples/payment/presentation/rpc/paymentv1"
)

// Payments is what this package offers.
type Payments interface {
	Pay(ctx context.Context, order payment.Payment) (payment.Receipt, error)
	Find(ctx context.Context, id string) (payment.Receipt, error)
}

// Server serves the use cases.
type Server struct {
	paymentv1.UnimplementedPaymentsServer

	Payments Payments
}

// Pay makes a payment.
func (s Server) Pay(ctx context.Context, r *paymentv1.PayRequest) (*paymentv1.Receipt, error) {
	return receipt(s.Payments.Pay(ctx, payment.Payment{ID: r.GetId(), Customer: r.GetCustomer(), Cents: r.GetCents()}))
}

// Find looks a payment up.
func (s Server) Find(ctx context.Context, r *paymentv1.FindRequest) (*paymentv1.Receipt, error) {
	return receipt(s.Payments.Find(ctx, r.GetId()))
}

func receipt(r payment.Receipt, err error) (*paymentv1.Receipt, error) {
	if err != nil {
		return nil, explain(err)
	}
	return &paymentv1.Receipt{Id: r.PaymentID, Provider: r.Provider}, nil
}

// explain gives the domain's errors their codes. What policies say is told by the
// interceptor.
func explain(err error) error {
	_, isDeclined := errors.AsType[*payment.DeclinedError](err)
	switch {
	case errors.Is(err, payment.ErrInvalid):
		return status.Error(codes.InvalidArgument, err.Error())
	case errors.Is(err, payment.ErrUnknown):
		return status.Error(codes.NotFound, err.Error())
	case isDeclined:
		return status.Error(codes.FailedPrecondition, err.Error())
	default:
		return err
	}
}
