package application_test

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfastgen/internal/sample/application"
	"github.com/holdfast-go/holdfast/cmd/holdfastgen/internal/sample/ledger"
	"github.com/holdfast-go/holdfast/cmd/holdfastgen/internal/sample/payment"
	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/internal/leaktest"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
)

func TestMain(m *testing.M) { os.Exit(leaktest.Main(m)) }

var errDown = errors.New("down")

// A provider is the implementation: it fails as often as it is told to, and then answers.
type provider struct {
	failures int
	calls    atomic.Int64
	customer payment.Customer
	told     []payment.Customer
}

func (p *provider) fails() error {
	if p.calls.Add(1) <= int64(p.failures) {
		return errDown
	}
	return nil
}

func (p *provider) Process(_ context.Context, order payment.Payment) (payment.Receipt, error) {
	p.customer = order.Customer
	return payment.Receipt{ID: order.ID}, p.fails()
}

func (p *provider) Refund(_ context.Context, id string, _ int64) (payment.Receipt, time.Time, error) {
	return payment.Receipt{ID: id}, time.UnixMilli(p.calls.Load()), p.fails()
}

func (p *provider) Notify(_ context.Context, _ string, told ...payment.Customer) error {
	p.told = told
	return p.fails()
}

// Quote takes long the first time.
func (p *provider) Quote(ctx context.Context, cents int64) (int64, error) {
	if p.calls.Add(1) > 1 {
		return cents, nil
	}
	<-ctx.Done()
	return 0, ctx.Err()
}

func (p *provider) Warm(ctx context.Context) error {
	_, err := p.Quote(ctx, 0)
	return err
}

func (p *provider) Currencies(of ...payment.Customer) []string {
	return []string{string(of[0]), string(of[1])}
}
func (p *provider) Forget(c payment.Customer) { p.customer = c }
func (p *provider) Len() int                  { return 7 }

func (p *provider) Read(_ context.Context, id string) (ledger.Entry, error) {
	return ledger.Entry{ID: id}, p.fails()
}

// guarded runs a story with a guarded provider, in a bubble.
func guarded(t *testing.T, failures int, story func(t *testing.T, orch *orchestrator.Orchestrator, p *provider, g payment.Service)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		orch, err := orchestrator.New(memory.New(memory.Options{}).Stores(), orchestrator.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer orch.Close(context.Background())
		p := &provider{failures: failures}
		g, err := application.NewPaymentServiceGuard(orch, p)
		if err != nil {
			t.Fatal(err)
		}
		story(t, orch, p, g)
	})
}

func TestOneValue(t *testing.T) {
	guarded(t, 2, func(t *testing.T, orch *orchestrator.Orchestrator, p *provider, g payment.Service) {
		receipt, err := g.Process(t.Context(), payment.Payment{ID: "1", Customer: "ada"})
		if err != nil || receipt.ID != "1" || p.calls.Load() != 3 {
			t.Errorf("%v, %v after %d calls", receipt, err, p.calls.Load())
		}
		if _, ok := orch.CircuitBreaker("provider"); !ok {
			t.Error("the breaker is not there")
		}
		// The key is the customer.
		if _, err := g.Process(t.Context(), payment.Payment{ID: "2"}); !errors.Is(err, hold.ErrKeyMissing) {
			t.Error(err)
		}
	})
}

func TestSeveralValues(t *testing.T) {
	guarded(t, 1, func(t *testing.T, _ *orchestrator.Orchestrator, _ *provider, g payment.Service) {
		receipt, at, err := g.Refund(t.Context(), "1", 5)
		if err != nil || receipt.ID != "1" || at != time.UnixMilli(1) {
			t.Errorf("%v, %v, %v", receipt, at, err)
		}
	})
	guarded(t, 9, func(t *testing.T, _ *orchestrator.Orchestrator, _ *provider, g payment.Service) {
		receipt, at, err := g.Refund(t.Context(), "1", 5)
		if !errors.Is(err, hold.ErrRetryExhausted) || receipt.ID != "1" || at != time.UnixMilli(2) {
			t.Errorf("the last attempt's values go with its error: %v, %v, %v", receipt, at, err)
		}
	})
}

func TestNoValue(t *testing.T) {
	guarded(t, 1, func(t *testing.T, _ *orchestrator.Orchestrator, p *provider, g payment.Service) {
		if err := g.Notify(t.Context(), "", "ada", "bob"); !errors.Is(err, errDown) || len(p.told) != 2 {
			t.Errorf("%v, %v", err, p.told)
		}
	})
}

// TestHedge: a policy with a hedge says that the method may run twice at once.
func TestHedge(t *testing.T) {
	guarded(t, 0, func(t *testing.T, _ *orchestrator.Orchestrator, p *provider, g payment.Service) {
		begin := time.Now()
		if cents, err := g.Quote(t.Context(), 5); err != nil || cents != 5 || time.Since(begin) != 50*time.Millisecond {
			t.Errorf("%d, %v after %v", cents, err, time.Since(begin))
		}
		p.calls.Store(0)
		if err := g.Warm(t.Context()); err != nil || p.calls.Load() != 2 {
			t.Errorf("%v after %d calls", err, p.calls.Load())
		}
	})
}

// TestStraightThrough: methods without a policy are what they were.
func TestStraightThrough(t *testing.T) {
	guarded(t, 0, func(t *testing.T, _ *orchestrator.Orchestrator, p *provider, g payment.Service) {
		g.Forget("eve")
		if got := g.Currencies("a", "b"); p.customer != "eve" || len(got) != 2 || g.Len() != 7 {
			t.Errorf("%s, %v, %d", p.customer, got, g.Len())
		}
	})
}

// TestEmbedded: the policy of an embedded interface of another package counts.
func TestEmbedded(t *testing.T) {
	guarded(t, 0, func(t *testing.T, orch *orchestrator.Orchestrator, _ *provider, g payment.Service) {
		if entry, err := g.Read(t.Context(), "1"); err != nil || entry.ID != "1" {
			t.Errorf("%v, %v", entry, err)
		}
		if _, ok := orch.CircuitBreaker("ledger"); !ok {
			t.Error("the breaker is not there")
		}
	})
}

// TestShared: two guarded services share their guards, and a guard can be changed by its name.
func TestShared(t *testing.T) {
	guarded(t, 9, func(t *testing.T, orch *orchestrator.Orchestrator, p *provider, g payment.Service) {
		if _, err := application.NewPaymentServiceGuard(orch, p); err != nil {
			t.Error(err)
		}
		if err := orch.Update("payment.Service.Refund", hold.Retry{MaxAttempts: 1}); err != nil {
			t.Error(err)
		}
		if _, _, err := g.Refund(t.Context(), "1", 5); !errors.Is(err, errDown) || p.calls.Load() != 1 {
			t.Errorf("%v after %d calls", err, p.calls.Load())
		}
		never := orchestrator.RetryIf(func(error) bool { return false })
		if _, err := application.NewPaymentServiceGuard(orch, p, never); !errors.Is(err, hold.ErrConflict) {
			t.Errorf("guards with options are others: %v", err)
		}
	})
}

// A shelf is a repository that fails once.
type shelf map[int]string

func (s shelf) Find(_ context.Context, key int) (string, bool, error) {
	if value, ok := s[key]; ok {
		return value, true, nil
	}
	s[key] = "found"
	return "", false, errDown
}

func (s shelf) Store(_ context.Context, key int, values ...string) error {
	s[key] = values[len(values)-1]
	return nil
}

func (s shelf) Keys(each func(int) bool) {
	for key := range s {
		each(key)
	}
}

func TestGenerics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		orch, err := orchestrator.New(memory.New(memory.Options{}).Stores(), orchestrator.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer orch.Close(context.Background())
		g, err := application.NewPaymentRepositoryGuard[int, string](orch, shelf{})
		if err != nil {
			t.Fatal(err)
		}
		var repository payment.Repository[int, string] = g
		if value, found, err := repository.Find(t.Context(), 1); err != nil || !found || value != "found" {
			t.Errorf("%q, %v, %v", value, found, err)
		}
		if err := repository.Store(t.Context(), 1, "a", "b"); err != nil {
			t.Error(err)
		}
		repository.Keys(func(key int) bool {
			if key != 1 {
				t.Errorf("key %d", key)
			}
			return true
		})
	})
}
