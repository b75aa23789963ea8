package orchestrator_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
)

func TestExecuteWithPolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{})
		policy := func() hold.Policy {
			return hold.Combine(exactly(2, time.Second), hold.RateLimit{Name: "l", Keyed: true, Limit: hold.PerHour(10)})
		}
		for range 2 { // the second time it is compiled already
			b := failing(errBackend, nil)
			got, err := orchestrator.ExecuteWithPolicy(t.Context(), o, policy(), b.call, orchestrator.Key("k"))
			if got != 2 || err != nil {
				t.Errorf("ExecuteWithPolicy = %d, %v", got, err)
			}
		}
		if got := remaining(t, o, "l", "k"); got != 6 {
			t.Errorf("%d tokens remain; want 6", got)
		}
	})
}

func TestExecuteWithPolicyRefuses(t *testing.T) {
	o := newOrchestrator(t, orchestrator.Config{})
	newGuard(t, o, "g", hold.CircuitBreaker{Name: "b"})
	limit := hold.RateLimit{Limit: hold.PerSecond(1)}
	for _, tt := range []struct {
		name   string
		policy hold.Policy
		want   error
	}{
		{"a part without a name", limit, hold.ErrInvalidPolicy},
		{"one inside", hold.Combine(hold.Retry{}, hold.CircuitBreaker{}), hold.ErrInvalidPolicy},
		{"nil", nil, hold.ErrInvalidPolicy},
		{"what embeds a policy", disguise{list: []int{1}}, hold.ErrInvalidPolicy},
		{"what embeds a policy, inside", hold.Combine(hold.Retry{}, disguise{list: []int{1}}), hold.ErrInvalidPolicy},
		{"other numbers for a guard's breaker", hold.CircuitBreaker{Name: "b", Probes: 2}, hold.ErrConflict},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for range 2 {
				b := failing(nil)
				_, err := orchestrator.ExecuteWithPolicy(t.Context(), o, tt.policy, b.call)
				wantIs(t, err, tt.want)
				b.wants(t, 0)
			}
		})
	}
}

// TestPoliciesMadeUpAsTheyGo: more policies than are kept compiled all work,
// and their parts are still those of their names.
func TestPoliciesMadeUpAsTheyGo(t *testing.T) {
	o := newOrchestrator(t, orchestrator.Config{})
	limit := hold.RateLimit{Name: "l", Limit: hold.Per(1, time.Hour).WithBurst(100_000)}
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := range 1000 {
				p := hold.Combine(hold.Timeout{Duration: time.Duration(worker*1000+i+1) * time.Second}, limit)
				if _, err := orchestrator.ExecuteWithPolicy(t.Context(), o, p, answer); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if took := 100_000 - remaining(t, o, "l", ""); took != 4000 {
		t.Errorf("%d tokens taken; want 4000", took)
	}
}

// A transfer is an operation that carries its policy.
type transfer struct{ attempts int }

func (*transfer) ResiliencePolicy() hold.Policy { return exactly(3, time.Second) }

func (t *transfer) Execute(context.Context) (string, error) {
	t.attempts++
	if t.attempts < 2 {
		return "", errBackend
	}
	return fmt.Sprintf("done in %d", t.attempts), nil
}

func TestExecute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{})
		got, err := orchestrator.Execute(t.Context(), o, &transfer{})
		if got != "done in 2" || err != nil {
			t.Errorf("Execute = %q, %v", got, err)
		}
	})
}

func TestBypassRunsBare(t *testing.T) {
	o := orchestrator.Bypass()
	defer func() {
		if err := o.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	limit := hold.RateLimit{Keyed: true, Limit: hold.PerHour(1)}
	g := newGuard(t, o, "g", hold.Combine(hold.Timeout{Duration: 1}, hold.Retry{}, tripping(1), limit))
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, ctx := range []context.Context{t.Context(), cancelled} {
		for range 5 {
			b := failing(errBackend)
			if _, err := orchestrator.Do(ctx, g, func(got context.Context) (int, error) {
				if got != ctx {
					t.Error("the context is not the caller's")
				}
				return b.call(got)
			}); err != errBackend { //nolint:errorlint // bare
				t.Errorf("error %v", err)
			}
			b.wants(t, 1)
		}
	}
	if _, err := orchestrator.Execute(t.Context(), o, &transfer{}); err != errBackend { //nolint:errorlint // bare
		t.Errorf("Execute: %v", err)
	}
	if err := o.Update("g", hold.None{}); err != nil || g.Policy() != (hold.None{}) {
		t.Errorf("Update: %v, %s", err, g.Policy())
	}
	if _, err := o.Guard("bad", hold.Timeout{}); !errors.Is(err, hold.ErrInvalidPolicy) {
		t.Errorf("a bad policy: %v", err)
	}
}

// TestBypassParts: the bare parts let everything pass.
func TestBypassParts(t *testing.T) {
	o := orchestrator.Bypass()
	defer func() {
		if err := o.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	limiter, err := o.Limiter(hold.RateLimit{Name: "l", Limit: hold.PerHour(1), Lease: true, MaxWait: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	breaker, err := o.Breaker(hold.CircuitBreaker{Name: "b", FailureThreshold: 1})
	if err != nil {
		t.Fatal(err)
	}
	bulkhead, err := o.Bulkhead(hold.Bulkhead{Name: "b", MaxConcurrent: 1, Fleet: true})
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if _, err := bulkhead.Enter(t.Context()); err != nil {
			t.Error(err)
		}
		if err := limiter.Wait(t.Context(), ""); err != nil {
			t.Error(err)
		}
		if d, err := limiter.Allow(t.Context(), ""); err != nil || !d.Allowed {
			t.Errorf("Allow = %+v, %v", d, err)
		}
		permit, err := breaker.Acquire(t.Context())
		if err != nil {
			t.Error(err)
		}
		permit.Report(hold.Failure)
	}
	if _, found := o.RateLimiter("l"); !found {
		t.Error("the limit is not found")
	}
	if h := o.Health(); h.StoreDown {
		t.Errorf("health %+v", h)
	}
}
