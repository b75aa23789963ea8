// Package payment is the domain of the sample: what its methods need is written above them.
package payment

import (
	"context"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfastgen/internal/sample/ledger"
)

// A Customer is who pays.
type Customer string

// A Payment is what a customer wants to pay.
type Payment struct {
	ID       string
	Customer Customer
	Cents    int64
}

// A Receipt says that a payment was made.
type Receipt struct{ ID string }

// A Service carries out payments.
type Service interface {
	// Process may be called again with the same payment.
	//
	//holdfast:resilient timeout(5s) > retry(max_attempts=3, backoff=exponential(initial=10ms, max=1s))
	//holdfast:resilient circuit_breaker(name=provider, failure_threshold=5)
	//holdfast:resilient rate_limit(100/s, keyed=true) > timeout(2s)
	//holdfast:key p.Customer
	Process(ctx context.Context, p Payment) (Receipt, error)

	// Refund returns several values, and its parameters have no names.
	//
	//holdfast:resilient retry(backoff=fixed(initial=1ms, jitter=none))
	Refund(_ context.Context, _ string, _ int64) (Receipt, time.Time, error)

	// Notify returns nothing but an error, and takes any number.
	//
	//holdfast:resilient bulkhead(10)
	Notify(ctx context.Context, orchestrator string, hold ...Customer) error

	// Quote may be asked twice at the same time.
	//
	//holdfast:resilient hedge(50ms, budget=budget(ratio=1))
	Quote(ctx context.Context, cents int64) (int64, error)

	// Warm may too.
	//
	//holdfast:resilient hedge(50ms, budget=budget(ratio=1))
	Warm(ctx context.Context) error

	// Currencies and Forget have no policy, and so need neither a context nor an error.
	Currencies(of ...Customer) []string
	Forget(_ Customer)

	ledger.Reader[ledger.Entry]
}

// A Repository keeps what can be found by a key.
type Repository[K comparable, V any] interface {
	//holdfast:resilient retry(max_attempts=2, backoff=fixed(initial=1ms, jitter=none))
	Find(ctx context.Context, key K) (value V, found bool, err error)
	//holdfast:resilient none
	Store(ctx context.Context, key K, values ...V) error
	Keys(each func(K) bool)
}

// A Mailer has its policies in a struct.
type Mailer interface {
	Send(ctx context.Context, tenant, text string) error
	Name() string
}

// MailerPolicies are the policies of Mailer.
//
//holdfast:policies Mailer
type MailerPolicies struct {
	Send struct{} `holdfast:"rate_limit(10/s, also=100/h, keyed=true, first_fill=-1) > retry(max_attempts=-1, max_elapsed=1m)" key:"tenant"`
}
