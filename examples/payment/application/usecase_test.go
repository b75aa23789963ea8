package application_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/examples/payment/application"
	payment "github.com/holdfast-go/holdfast/examples/payment/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
)

var errDown = errors.New("provider down")

// A fake is a service that answers by its errors, one after the other, the last one again
// and again.
type fake struct {
	errs  []error
	takes time.Duration
	calls int
}

func (f *fake) Process(ctx context.Context, p payment.Payment) (payment.Receipt, error) {
	f.calls++
	if f.takes > 0 {
		select {
		case <-time.After(f.takes):
		case <-ctx.Done():
			return payment.Receipt{}, ctx.Err()
		}
	}
	if len(f.errs) > 0 {
		if err := f.errs[min(f.calls, len(f.errs))-1]; err != nil {
			return payment.Receipt{}, err
		}
	}
	return payment.Receipt{PaymentID: p.ID, Provider: "P1"}, nil
}

func (f *fake) Status(ctx context.Context, id string) (payment.Receipt, error) {
	return f.Process(ctx, payment.Payment{ID: id})
}

// newPayments are the use cases over a fake, on a store in memory.
func newPayments(t *testing.T, service payment.Service) *application.Payments {
	t.Helper()
	orch, err := orchestrator.New(memory.New(memory.Options{}).Stores(), orchestrator.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = orch.Close(context.WithoutCancel(t.Context())) })
	p, err := application.New(orch, service)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var order = payment.Payment{ID: "1", Customer: "ada", Cents: 100}

// TestPay: what a payment comes to, and how often the provider is asked.
func TestPay(t *testing.T) {
	for _, tt := range []struct {
		name    string
		order   payment.Payment
		service fake
		calls   int
		want    error
	}{
		{"it works", order, fake{}, 1, nil},
		{"it works in the end", order, fake{errs: []error{errDown, errDown, nil}}, 3, nil},
		{"the tries are used up", order, fake{errs: []error{errDown}}, 3, hold.ErrRetryExhausted},
		{"declined is an answer", order, fake{errs: []error{&payment.DeclinedError{Reason: "no funds"}}}, 1, nil},
		{"an attempt takes too long", order, fake{takes: time.Minute}, 3, hold.ErrTimeout},
		{"nonsense does not get that far", payment.Payment{}, fake{}, 0, payment.ErrInvalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				receipt, err := newPayments(t, &tt.service).Pay(t.Context(), tt.order)
				if _, declined := errors.AsType[*payment.DeclinedError](err); declined && tt.want == nil {
					err = nil
				} else if err == nil && receipt != (payment.Receipt{PaymentID: "1", Provider: "P1"}) {
					t.Errorf("receipt %+v", receipt)
				}
				if !errors.Is(err, tt.want) || tt.service.calls != tt.calls {
					t.Errorf("%v after %d calls; want %v after %d", err, tt.service.calls, tt.want, tt.calls)
				}
				if took := time.Since(start); took > 5*time.Second {
					t.Errorf("it took %s, beyond the time for a payment", took)
				}
			})
		})
	}
}

// TestBreakerOpens: after five failures the provider is left alone, by questions about
// payments too, and asked again when it had its time.
func TestBreakerOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		service := &fake{errs: []error{errDown, errDown, errDown, errDown, errDown, nil}}
		payments := newPayments(t, service)
		_, _ = payments.Pay(t.Context(), order)
		if _, err := payments.Pay(t.Context(), order); !errors.Is(err, hold.ErrCircuitOpen) || service.calls != 5 {
			t.Fatalf("%v after %d calls", err, service.calls)
		}
		if _, err := payments.Find(t.Context(), "1"); !errors.Is(err, hold.ErrCircuitOpen) || service.calls != 5 {
			t.Errorf("a question: %v after %d calls", err, service.calls)
		}
		time.Sleep(12 * time.Second)
		if _, err := payments.Find(t.Context(), "1"); err != nil || service.calls != 6 {
			t.Errorf("later: %v after %d calls", err, service.calls)
		}
	})
}

// TestPolicyChanges: from the next call on, without a new start.
func TestPolicyChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		service := &fake{errs: []error{errDown}}
		payments := newPayments(t, service)
		if err := payments.ChangeProcessing(hold.Retry{MaxAttempts: 1}); err != nil {
			t.Fatal(err)
		}
		if _, err := payments.Pay(t.Context(), order); !errors.Is(err, errDown) || service.calls != 1 {
			t.Errorf("%v after %d calls; want one", err, service.calls)
		}
		if err := payments.ChangeProcessing(hold.Retry{MaxAttempts: -7}); !errors.Is(err, hold.ErrInvalidPolicy) {
			t.Errorf("a policy that cannot be meant: %v", err)
		}
		if _, err := payments.Pay(t.Context(), order); !errors.Is(err, errDown) || service.calls != 2 {
			t.Errorf("%v after %d calls; the one before should be in force", err, service.calls)
		}
	})
}

// TestAdmission: the limit at the door, and its change.
func TestAdmission(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		orch, err := orchestrator.New(memory.New(memory.Options{}).Stores(), orchestrator.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = orch.Close(t.Context()) }()
		door, err := application.Admission(orch)
		if err != nil {
			t.Fatal(err)
		}
		admitted := func() (n int) {
			for {
				if err := orchestrator.Run(t.Context(), door, func(context.Context) error { n++; return nil }); err != nil {
					return n
				}
			}
		}
		if n := admitted(); n != 200 {
			t.Errorf("%d were let in at once; want 200", n)
		}
		if err := application.ChangeAdmission(orch, hold.PerSecond(50), 1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if n := admitted(); n != 50 {
			t.Errorf("%d were let in after the change; want 50", n)
		}
	})
}
