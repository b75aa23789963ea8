package payment_test

import (
	"errors"
	"testing"

	hold "github.com/holdfast-go/holdfast/domain"
	payment "github.com/holdfast-go/holdfast/examples/payment/domain"
)

// TestPolicies: they are plain values that can be checked and read without running
// anything.
func TestPolicies(t *testing.T) {
	for want, policy := range map[string]hold.Policy{
		"timeout(5s) > retry(max_attempts=3, backoff=exponential(initial=100ms, multiplier=2, max=1s), " +
			"budget=budget(name=provider, ratio=0.2, per_second=5)) > " +
			"circuit_breaker(name=provider, failure_threshold=5, recovery_timeout=10s) > " +
			"rate_limit(2000/s, name=provider, max_wait=1s) > timeout(2s)": payment.Processing(),
		"timeout(1s) > circuit_breaker(name=provider, failure_threshold=5, recovery_timeout=10s)": payment.Looking(),
		"rate_limit(1000/s, burst=200, lease=true)":                                               payment.Admission(),
	} {
		if err := policy.Validate(); err != nil {
			t.Error(err)
		}
		if got := policy.String(); got != want {
			t.Errorf("the policy is\n%s\nwant\n%s", got, want)
		}
	}
}

func TestValidate(t *testing.T) {
	good := payment.Payment{ID: "1", Customer: "ada", Cents: 1}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for name, p := range map[string]payment.Payment{
		"no ID": {Customer: "ada", Cents: 1}, "no customer": {ID: "1", Cents: 1}, "nothing to pay": {ID: "1", Customer: "ada"},
	} {
		if err := p.Validate(); !errors.Is(err, payment.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDeclined: that a payment is declined says nothing bad about the provider, and asking
// again does not help.
func TestDeclined(t *testing.T) {
	err := &payment.DeclinedError{Reason: "no funds"}
	if hold.Classify(err) != hold.Success || hold.IsRetryable(err) {
		t.Errorf("outcome %s, retryable: %v", hold.Classify(err), hold.IsRetryable(err))
	}
}
