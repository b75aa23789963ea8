// Package rpc offers the use cases over gRPC. Package paymentv1 is made from
// payment.proto.
package rpc

//go:generate protoc --go_out=paymentv1 --go_opt=paths=source_relative --go-grpc_out=paymentv1 --go-grpc_opt=paths=source_relative payment.proto

import (
	"context"
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	holdfastgrpc "github.com/holdfast-go/holdfast/contrib/grpc"
	hold "github.com/holdfast-go/holdfast/domain"
	payment "github.com/holdfast-go/holdfast/examples/payment/domain"
	"github.com/holdfast-go/holdfast/examples/payment/presentation/rpc/paymentv1"
	"github.com/holdfast-go/holdfast/orchestrator"
)

// Payments is what this package offers.
type Payments interface {
	Pay(ctx context.Context, order payment.Payment) (payment.Receipt, error)
	Find(ctx context.Context, id string) (payment.Receipt, error)
}

// New serves the use cases behind the guard at the door.
func New(payments Payments, door *orchestrator.Guard) *grpc.Server {
	s := grpc.NewServer(grpc.UnaryInterceptor(holdfastgrpc.UnaryServer(door, holdfastgrpc.ServerConfig{})))
	paymentv1.RegisterPaymentsServer(s, server{payments: payments})
	return s
}

// A server answers with the use cases.
type server struct {
	paymentv1.UnimplementedPaymentsServer

	payments Payments
}

// Pay makes a payment.
func (s server) Pay(ctx context.Context, r *paymentv1.PayRequest) (*paymentv1.Receipt, error) {
	return receipt(s.payments.Pay(ctx, payment.Payment{ID: r.GetId(), Customer: r.GetCustomer(), Cents: r.GetCents()}))
}

// Find looks a payment up.
func (s server) Find(ctx context.Context, r *paymentv1.FindRequest) (*paymentv1.Receipt, error) {
	return receipt(s.payments.Find(ctx, r.GetId()))
}

func receipt(r payment.Receipt, err error) (*paymentv1.Receipt, error) {
	if err != nil {
		return nil, explain(err)
	}
	return &paymentv1.Receipt{Id: r.PaymentID, Provider: r.Provider}, nil
}

// explain gives the domain's errors their codes, and what policies say theirs.
func explain(err error) error {
	_, isDeclined := errors.AsType[*payment.DeclinedError](err)
	_, isRefusal := orchestrator.RefusalOf(err)
	switch {
	case errors.Is(err, payment.ErrInvalid):
		return status.Error(codes.InvalidArgument, err.Error())
	case errors.Is(err, payment.ErrUnknown):
		return status.Error(codes.NotFound, err.Error())
	case isDeclined:
		return status.Error(codes.FailedPrecondition, err.Error())
	case isRefusal, errors.Is(err, hold.ErrTimeout):
		return holdfastgrpc.ToStatus(err)
	default:
		return status.Error(codes.Unavailable, "the provider did not answer")
	}
}
