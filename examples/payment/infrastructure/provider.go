// Package infrastructure joins the service to what it runs on: the payment provider, and
// the store of the limits and breakers.
package infrastructure

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	payment "github.com/holdfast-go/holdfast/examples/payment/domain"
)

// A Provider is a payment.Service that calls the provider's HTTP interface.
type Provider struct {
	client *http.Client
	base   *url.URL
}

// NewProvider calls the provider at a base address.
func NewProvider(client *http.Client, base string) (*Provider, error) {
	at, err := url.Parse(base)
	if err != nil {
		return nil, fmt.Errorf("provider: %w", err)
	}
	return &Provider{client, at}, nil
}

// charge is what the provider is asked and says, in its own words.
type charge struct {
	Reference string `json:"reference"`
	Customer  string `json:"customer,omitempty"`
	Cents     int64  `json:"cents,omitempty"`
	Number    string `json:"number,omitempty"`
	Declined  string `json:"declined,omitempty"`
}

// Process makes a payment. The provider knows a payment that it has made.
func (p *Provider) Process(ctx context.Context, order payment.Payment) (payment.Receipt, error) {
	body, err := json.Marshal(charge{Reference: order.ID, Customer: order.Customer, Cents: order.Cents})
	if err != nil {
		return payment.Receipt{}, fmt.Errorf("provider: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.base.JoinPath("charges").String(), bytes.NewReader(body))
	if err != nil {
		return payment.Receipt{}, fmt.Errorf("provider: %w", err)
	}
	return p.ask(request)
}

// Status looks a payment up.
func (p *Provider) Status(ctx context.Context, id string) (payment.Receipt, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.base.JoinPath("charges", id).String(), http.NoBody)
	if err != nil {
		return payment.Receipt{}, fmt.Errorf("provider: %w", err)
	}
	return p.ask(request)
}

func (p *Provider) ask(request *http.Request) (payment.Receipt, error) {
	response, err := p.client.Do(request)
	if err != nil {
		return payment.Receipt{}, fmt.Errorf("provider: %w", err)
	}
	defer response.Body.Close()
	switch {
	case response.StatusCode == http.StatusNotFound:
		return payment.Receipt{}, payment.ErrUnknown
	case response.StatusCode >= http.StatusBadRequest:
		return payment.Receipt{}, &StatusError{response.StatusCode}
	}
	var answer charge
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return payment.Receipt{}, fmt.Errorf("provider: %w", err)
	}
	if answer.Declined != "" {
		return payment.Receipt{}, &payment.DeclinedError{Reason: answer.Declined}
	}
	return payment.Receipt{PaymentID: answer.Reference, Provider: answer.Number}, nil
}

// A StatusError is an answer of the provider's that is none. Package classify reads its
// status.
type StatusError struct{ Code int }

func (e *StatusError) Error() string { return fmt.Sprintf("provider: status %d", e.Code) }

// StatusCode is what classify.Default looks for.
func (e *StatusError) StatusCode() int { return e.Code }
