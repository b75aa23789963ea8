package scrape

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/operate"
	"github.com/holdfast-go/holdfast/orchestrator"
)

// errBackend names a tenant, as errors of dependencies may.
var errBackend = errors.New("tenant-7 has no money")

// A day is what one replica goes through: at least once all that is measured, as tests
// hold against the table of names.
type day struct {
	t     *testing.T
	ctx   context.Context //nolint:containedctx // what is left running ends with it
	store *frail
	orch  *orchestrator.Orchestrator
}

// live goes through all of it. It requires a bubble, and leaves a call running and another
// one waiting in the bulkhead "search", and an override in force.
func (d *day) live() {
	d.calls()
	d.limits()
	d.outage()
	d.breakers()
	d.keyedBreakers()
	d.bulkheads()
	d.exclusives()
	d.retries()
	d.hedges()
	d.override()
}

func (d *day) guard(name string, p hold.Policy) *orchestrator.Guard {
	d.t.Helper()
	g, err := d.orch.Guard(name, p)
	if err != nil {
		d.t.Fatal(err)
	}
	return g
}

// run makes so many calls.
func (d *day) run(times int, g *orchestrator.Guard, fn func(context.Context) error, calls ...orchestrator.Call) {
	for range times {
		_ = orchestrator.Run(d.ctx, g, fn, calls...)
	}
}

func succeed(context.Context) error { return nil }
func fail(context.Context) error    { return errBackend }

func hang(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// calls end in every way.
func (d *day) calls() {
	g := d.guard("billing", hold.Combine(hold.Timeout{Duration: time.Second}, hold.None{}))
	d.run(5, g, succeed)
	d.run(2, g, fail)
	d.run(1, g, func(context.Context) error { return hold.MarkLocal(errBackend) })
	d.run(1, g, func(context.Context) error { return context.Canceled })
	d.run(1, g, hang)
	func() {
		defer func() { _ = recover() }()
		d.run(1, g, func(context.Context) error { panic(errBackend) })
	}()
	if _, err := orchestrator.ExecuteWithPolicy(d.ctx, d.orch, hold.None{}, func(context.Context) (int, error) { return 1, nil }); err != nil {
		d.t.Error(err)
	}
}

func (d *day) limits() {
	sms := d.guard("sms", hold.RateLimit{Limit: hold.PerHour(2), Keyed: true})
	d.run(4, sms, succeed, orchestrator.Key("tenant-7"))
	d.run(1, sms, succeed) // without its key
	d.run(1, sms, succeed, orchestrator.Key("tenant-8"), orchestrator.Cost(99))
	d.run(3, d.guard("trial", hold.RateLimit{Limit: hold.PerHour(1), Shadow: true}), succeed)
}

// outage is one that the store recovers from.
func (d *day) outage() {
	open := d.guard("open", hold.RateLimit{Limit: hold.PerHour(9), Outage: hold.OutageOpen})
	closed := d.guard("closed", hold.RateLimit{Limit: hold.PerHour(9), Outage: hold.OutageClosed})
	share := d.guard("share", hold.RateLimit{Limit: hold.PerHour(9)})
	d.run(1, open, succeed)
	d.store.down.Store(true)
	for range 5 {
		d.run(1, open, succeed)
		d.run(1, closed, succeed)
		d.run(1, share, succeed)
		time.Sleep(100 * time.Millisecond)
	}
	if !d.orch.Health().StoreDown {
		d.t.Error("the store is not known to be down")
	}
	d.store.down.Store(false)
	time.Sleep(10 * time.Second)
	d.run(1, open, succeed)
	if d.orch.Health().StoreDown {
		d.t.Error("the store is not known to be up again")
	}
}

// breakers: one opens here and in the fleet, and recovers, and opens again.
func (d *day) breakers() {
	g := d.guard("payments", hold.CircuitBreaker{FailureThreshold: 2, Sharing: hold.ShareAny, SuccessThreshold: 1})
	for range 2 {
		d.run(3, g, fail)
		time.Sleep(recovery)
		d.run(2, g, succeed)
		time.Sleep(time.Minute)
	}
	d.run(3, g, fail)
	time.Sleep(2 * time.Second)
}

// recovery is a little longer than a breaker stays open at first.
const recovery = hold.DefaultRecoveryTimeout + time.Second

// keyedBreakers: too many keys are open, and others have no room.
func (d *day) keyedBreakers() {
	g := d.guard("shards", hold.CircuitBreaker{Keyed: true, FailureThreshold: 1, MaxKeys: 3, MaxOpenShare: 0.4})
	d.run(1, g, succeed, orchestrator.Key("tenant-1"))
	d.run(2, g, fail, orchestrator.Key("tenant-7"))
	d.run(2, g, fail, orchestrator.Key("tenant-8"))
	d.run(3, g, succeed, orchestrator.Key("tenant-9"))
}

// bulkheads: one is full, with a call that waits, and another is the fleet's.
func (d *day) bulkheads() {
	g := d.guard("search", hold.Bulkhead{MaxConcurrent: 1, MaxWait: time.Hour})
	go d.run(1, g, hang)
	synctest.Wait()
	go d.run(1, g, hang)
	synctest.Wait()
	full := d.guard("export", hold.Bulkhead{MaxConcurrent: 1})
	d.run(1, full, func(context.Context) error {
		d.run(1, full, succeed)
		return nil
	})
	d.run(1, d.guard("import", hold.Bulkhead{MaxConcurrent: 3, Fleet: true}), succeed)
}

// exclusives: one is held already, and one is lost.
func (d *day) exclusives() {
	g := d.guard("report", hold.Exclusive{Lease: 3 * time.Second})
	d.run(1, g, func(context.Context) error {
		d.run(1, g, succeed)
		return nil
	})
	d.store.losesLock.Store(true)
	d.run(1, g, hang)
	d.store.losesLock.Store(false)
}

// retries: another try, no more of them, and none left in the budget.
func (d *day) retries() {
	spare := hold.RetryBudget{Name: "spare", Ratio: 0.5}
	d.run(4, d.guard("charge", hold.Retry{Backoff: hold.Fixed(time.Second), Budget: spare}), fail)
	d.run(1, d.guard("refund", hold.Retry{MaxAttempts: 2, Backoff: hold.Fixed(time.Second), Budget: hold.RetryBudget{Name: "other", Ratio: 1}}), fail)
}

// hedges: one that helps, and one that its budget has not.
func (d *day) hedges() {
	slow := func(ctx context.Context) (int, error) {
		select {
		case <-time.After(3 * time.Second):
		case <-ctx.Done():
		}
		return 1, nil
	}
	for name, ratio := range map[string]float64{"lookup": 1, "listing": 0.001} {
		g := d.guard(name, hold.Hedge{Delay: time.Second, Budget: hold.RetryBudget{Ratio: ratio}})
		if _, err := orchestrator.DoIdempotent(d.ctx, g, slow); err != nil {
			d.t.Error(err)
		}
	}
}

// override is an operator's, and stays in force.
func (d *day) override() {
	desk, err := operate.New(d.store.Stores, "tenant-7's operator")
	if err != nil {
		d.t.Fatal(err)
	}
	order := hold.Override{Force: hold.ForceMetricsOnly, For: time.Hour, By: "tenant-7", Reason: "tenant-7 asked for it"}
	if err := desk.Override(d.ctx, port.ID{Name: "payments"}, order); err != nil {
		d.t.Fatal(err)
	}
	time.Sleep(3 * time.Second)
	d.run(1, d.guard("payments", hold.CircuitBreaker{FailureThreshold: 2, Sharing: hold.ShareAny, SuccessThreshold: 1}), succeed)
	synctest.Wait()
}
