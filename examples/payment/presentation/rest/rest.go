// Package rest offers the use cases over HTTP and JSON.
package rest

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	hold "github.com/holdfast-go/holdfast/domain"
	payment "github.com/holdfast-go/holdfast/examples/payment/domain"
	"github.com/holdfast-go/holdfast/guardhttp"
	"github.com/holdfast-go/holdfast/orchestrator"
)

// Payments is what this package offers.
type Payments interface {
	Pay(ctx context.Context, order payment.Payment) (payment.Receipt, error)
	Find(ctx context.Context, id string) (payment.Receipt, error)
}

// New serves the use cases behind the guard at the door.
func New(payments Payments, door *orchestrator.Guard) http.Handler {
	h := handlers{payments}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /payments", h.pay)
	mux.HandleFunc("GET /payments/{id}", h.find)
	return guardhttp.Server{Guard: door}.Handler(mux)
}

type handlers struct{ payments Payments }

type order struct {
	ID       string `json:"id"`
	Customer string `json:"customer"`
	Cents    int64  `json:"cents"`
}

type receipt struct {
	ID       string `json:"id"`
	Provider string `json:"provider"`
}

func (h handlers) pay(w http.ResponseWriter, r *http.Request) {
	var o order
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&o); err != nil {
		http.Error(w, "the body is no payment: "+err.Error(), http.StatusBadRequest)
		return
	}
	made, err := h.payments.Pay(r.Context(), payment.Payment{ID: o.ID, Customer: o.Customer, Cents: o.Cents})
	answer(w, r, made, err)
}

func (h handlers) find(w http.ResponseWriter, r *http.Request) {
	found, err := h.payments.Find(r.Context(), r.PathValue("id"))
	answer(w, r, found, err)
}

func answer(w http.ResponseWriter, r *http.Request, made payment.Receipt, err error) {
	if err != nil {
		explain(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(receipt{made.PaymentID, made.Provider}) //nolint:errchkjson // the client went away
}

// explain turns an error into a response. A policy's refusal is told as those at the door
// are.
func explain(w http.ResponseWriter, r *http.Request, err error) {
	declined, isDeclined := errors.AsType[*payment.DeclinedError](err)
	refusal, isRefusal := orchestrator.RefusalOf(err)
	switch {
	case errors.Is(err, payment.ErrInvalid):
		http.Error(w, err.Error(), http.StatusBadRequest)
	case errors.Is(err, payment.ErrUnknown):
		http.Error(w, err.Error(), http.StatusNotFound)
	case isDeclined:
		http.Error(w, declined.Error(), http.StatusPaymentRequired)
	case isRefusal:
		guardhttp.Refuse(w, r, refusal)
	case errors.Is(err, hold.ErrTimeout):
		http.Error(w, "the provider took too long", http.StatusGatewayTimeout)
	default:
		http.Error(w, "the provider did not answer", http.StatusBadGateway)
	}
}
