// Package graph offers the use cases over GraphQL. generated.go and models.go are made
// from the schema.
package graph

//go:generate go tool gqlgen generate

import (
	"context"
	"errors"
	"net/http"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/99designs/gqlgen/graphql/handler/transport"
	"github.com/vektah/gqlparser/v2/gqlerror"

	holdfastgqlgen "github.com/holdfast-go/holdfast/contrib/gqlgen"
	payment "github.com/holdfast-go/holdfast/examples/payment/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
)

// Payments is what this package offers.
type Payments interface {
	Pay(ctx context.Context, order payment.Payment) (payment.Receipt, error)
	Find(ctx context.Context, id string) (payment.Receipt, error)
}

// New serves the use cases behind the guard at the door: an operation costs what its
// complexity is.
func New(payments Payments, door *orchestrator.Guard) http.Handler {
	server := handler.New(NewExecutableSchema(Config{Resolvers: resolver{payments}}))
	server.AddTransport(transport.POST{})
	server.Use(holdfastgqlgen.Operations(door, holdfastgqlgen.Config{}))
	server.SetErrorPresenter(present)
	return holdfastgqlgen.Status(server)
}

// present gives the domain's errors their codes. What policies say has its code already.
func present(ctx context.Context, err error) *gqlerror.Error {
	if refusal, ok := holdfastgqlgen.ErrorOf(err); ok {
		refusal.Path = graphql.GetPath(ctx)
		return refusal
	}
	told := graphql.DefaultErrorPresenter(ctx, err)
	code := "UNAVAILABLE"
	_, isDeclined := errors.AsType[*payment.DeclinedError](err)
	switch {
	case errors.Is(err, payment.ErrInvalid):
		code = "BAD_USER_INPUT"
	case errors.Is(err, payment.ErrUnknown):
		code = "NOT_FOUND"
	case isDeclined:
		code = "DECLINED"
	default:
	}
	if told.Extensions == nil {
		told.Extensions = make(map[string]any)
	}
	if _, has := told.Extensions["code"]; !has {
		told.Extensions["code"] = code
	}
	return told
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
