package orchestrator_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/orchestrator"
)

// A disguise has the methods of a policy and is none: it cannot even be
// compared.
type disguise struct {
	hold.Retry
	list []int
}

func TestGuardRefuses(t *testing.T) {
	limit := hold.RateLimit{Limit: hold.PerSecond(1)}
	named := func(name string) hold.CircuitBreaker { return hold.CircuitBreaker{Name: name} }
	classify := func(error) hold.Outcome { return hold.Failure }
	for _, tt := range []struct {
		name   string
		guard  string
		policy hold.Policy
		opts   []orchestrator.GuardOption
		field  string
	}{
		{"no name", "", hold.None{}, nil, "Name"},
		{"a name that keys cannot hold", "a b", hold.None{}, nil, "Name"},
		{"no policy", "g", nil, nil, "Policy"},
		{"no policy inside", "g", hold.Combine(hold.Retry{}, nil), nil, "Policy"},
		{"a pointer", "g", &hold.Retry{}, nil, "Policy"},
		{"a nil pointer", "g", (*hold.Retry)(nil), nil, "Policy"},
		{"a nil pointer inside", "g", hold.Combine(hold.None{}, (*hold.RateLimit)(nil)), nil, "Policy"},
		{"what embeds a policy", "g", disguise{list: []int{1}}, nil, "Policy"},
		{"what embeds a policy, inside", "g", hold.Combine(hold.Retry{}, disguise{}), nil, "Policy"},
		{"an invalid retry", "g", hold.Retry{MaxAttempts: -2}, nil, "MaxAttempts"},
		{"an invalid timeout inside", "g", hold.Combine(hold.Retry{}, hold.Timeout{}), nil, "Duration"},
		{"an invalid limit", "g", hold.RateLimit{}, nil, "Limit.Tokens"},
		{"a ratio that is no number", "g", hold.CircuitBreaker{FailureRatio: math.NaN()}, nil, "FailureRatio"},
		{"an invalid part's name", "g", named("a:b"), nil, "Name"},
		{"two limits that both take the guard's name", "g", hold.Combine(limit, limit), nil, "Name"},
		{"one breaker twice", "g", hold.Combine(named("b"), hold.Retry{}, named("b")), nil, "Name"},
		{"one breaker twice, once by the guard's name", "g", hold.Combine(named("g"), hold.CircuitBreaker{}), nil, "Name"},
		{"a classifier that is not there", "g", named("b"), []orchestrator.GuardOption{orchestrator.Classify(nil)}, "Classify"},
		{"a breaker's that is not there", "g", named("b"), []orchestrator.GuardOption{orchestrator.ClassifyFor("b", nil)}, "ClassifyFor"},
		{
			"one for a breaker that is not there", "g", named("b"),
			[]orchestrator.GuardOption{orchestrator.ClassifyFor("c", classify)},
			"ClassifyFor",
		},
		{"a predicate that is not there", "g", hold.Retry{}, []orchestrator.GuardOption{orchestrator.RetryIf(nil)}, "RetryIf"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := newOrchestrator(t, orchestrator.Config{})
			g, err := o.Guard(tt.guard, tt.policy, tt.opts...)
			policyError, ok := errors.AsType[*hold.PolicyError](err)
			if !ok || policyError.Field != tt.field || g != nil {
				t.Errorf("Guard = %v, %v; want a *PolicyError about %s", g, err, tt.field)
			}
			for _, name := range []string{"g", "b"} {
				if _, made := o.CircuitBreaker(name); made {
					t.Errorf("the refused guard left a breaker %q", name)
				}
			}
		})
	}
}

// TestLeaseMustOutliveTheCall: a probe may not go on while another one is let
// through.
func TestLeaseMustOutliveTheCall(t *testing.T) {
	lease := func(d time.Duration) hold.CircuitBreaker { return hold.CircuitBreaker{ProbeLease: d} }
	timeout := func(d time.Duration) hold.Timeout { return hold.Timeout{Duration: d} }
	const store = 500 * time.Millisecond
	for _, tt := range []struct {
		name   string
		policy hold.Policy
		valid  bool
	}{
		{"just enough", hold.Combine(lease(5*time.Second), timeout(4500*time.Millisecond)), true},
		{"not enough for the store's answer", hold.Combine(lease(5*time.Second), timeout(4501*time.Millisecond)), false},
		{"the default lease", hold.Combine(hold.CircuitBreaker{}, hold.Retry{}, timeout(time.Minute)), false},
		{"a timeout outside does not count", hold.Combine(timeout(time.Minute), lease(time.Second)), true},
		{"the first one inside bounds the others", hold.Combine(lease(5*time.Second), timeout(time.Second), timeout(time.Hour)), true},
		{
			"the second breaker",
			hold.Combine(hold.CircuitBreaker{Name: "a", ProbeLease: time.Hour}, lease(time.Second), timeout(time.Minute)), false,
		},
		{"an absurd timeout", hold.Combine(lease(time.Second), timeout(math.MaxInt64)), false},
		{"no timeout: the lease's end is one", lease(time.Second), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := newOrchestrator(t, orchestrator.Config{Fleet: fleet.Config{StoreTimeout: store}})
			_, err := o.Guard("g", tt.policy)
			if (err == nil) != tt.valid {
				t.Errorf("Guard: %v; want valid: %t", err, tt.valid)
			}
			if err != nil && !strings.Contains(err.Error(), "ProbeLease") {
				t.Errorf("error %q does not name the field", err)
			}
		})
	}
}

// TestPartsAreSharedByName: whoever names a breaker or limit shares it; other
// numbers for it are refused, and leave nothing behind.
func TestPartsAreSharedByName(t *testing.T) {
	o := newOrchestrator(t, orchestrator.Config{})
	b, l := hold.CircuitBreaker{Name: "b", FailureThreshold: 2}, hold.RateLimit{Name: "l", Limit: hold.PerHour(10)}
	one := newGuard(t, o, "one", hold.Combine(b, l))
	two := newGuard(t, o, "two", hold.Combine(hold.Retry{MaxAttempts: 1}, l, b))
	for _, g := range []*orchestrator.Guard{one, two} {
		_, _ = orchestrator.Do(t.Context(), g, failing(errBackend).call)
	}
	_, err := orchestrator.Do(t.Context(), one, answer)
	wantIs(t, err, hold.ErrCircuitOpen)
	if got := remaining(t, o, "l", ""); got != 8 {
		t.Errorf("%d tokens remain; want 8", got)
	}

	other := b
	other.FailureThreshold = 3
	_, err = o.Guard("three", hold.Combine(hold.CircuitBreaker{Name: "new"}, other))
	wantIs(t, err, hold.ErrConflict)
	if _, made := o.CircuitBreaker("new"); made {
		t.Error("the refused guard left a breaker")
	}
	explicit := b.WithDefaults()
	if _, err := o.Guard("four", explicit); err != nil {
		t.Errorf("the same numbers, written out: %v", err)
	}
	if got, err := o.Breaker(b); err != nil || got != findBreaker(t, o, "b") {
		t.Errorf("Breaker = %v, %v; want the one that the guards share", got, err)
	}
	if _, err := o.Limiter(hold.RateLimit{Name: "l", Limit: hold.PerHour(11)}); !errors.Is(err, hold.ErrConflict) {
		t.Errorf("Limiter with other numbers: %v", err)
	}
}

func TestGuardsNameIsItsOwn(t *testing.T) {
	o := newOrchestrator(t, orchestrator.Config{})
	policy := hold.Combine(hold.Retry{}, hold.CircuitBreaker{})
	g := newGuard(t, o, "g", policy)
	if again := newGuard(t, o, "g", hold.Combine(hold.Retry{}, hold.CircuitBreaker{})); again != g {
		t.Error("the same name and policy give another guard")
	}
	for name, ask := range map[string]func() (*orchestrator.Guard, error){
		"another policy": func() (*orchestrator.Guard, error) { return o.Guard("g", hold.None{}) },
		"options this time": func() (*orchestrator.Guard, error) {
			return o.Guard("g", policy, orchestrator.RetryIf(hold.IsRetryable))
		},
	} {
		if _, err := ask(); !errors.Is(err, hold.ErrConflict) {
			t.Errorf("%s: %v; want ErrConflict", name, err)
		}
	}
	if _, err := o.Guard("g", disguise{}); !errors.Is(err, hold.ErrInvalidPolicy) {
		t.Errorf("what cannot be compared: %v", err)
	}
	if g.Name() != "g" || g.Policy() != policy {
		t.Errorf("the guard says %q, %s", g.Name(), g.Policy())
	}
}

// TestStoreWithoutAPort: a policy that the store cannot serve is refused.
func TestStoreWithoutAPort(t *testing.T) {
	o, err := orchestrator.New(port.Stores{}, orchestrator.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = o.Close(t.Context()) }()
	for name, p := range map[string]hold.Policy{
		"limit":   hold.RateLimit{Limit: hold.PerSecond(1)},
		"breaker": hold.CircuitBreaker{},
	} {
		if _, err := o.Guard(name, p); !errors.Is(err, hold.ErrInvalidPolicy) {
			t.Errorf("%s: %v; want ErrInvalidPolicy", name, err)
		}
	}
	if _, err := o.Guard("g", hold.Combine(hold.Retry{}, hold.CircuitBreaker{Sharing: hold.ShareLocal})); err != nil {
		t.Errorf("what needs no store: %v", err)
	}
}

func TestNewRefusesABadConfig(t *testing.T) {
	_, err := orchestrator.New(port.Stores{}, orchestrator.Config{Fleet: fleet.Config{Build: -1}})
	wantIs(t, err, hold.ErrInvalidPolicy)
}

func TestNilGuardIsAnError(t *testing.T) {
	b := failing(nil)
	_, err := orchestrator.Do(t.Context(), nil, b.call)
	wantIs(t, err, hold.ErrInvalidPolicy)
	wantIs(t, orchestrator.Run(t.Context(), nil, func(context.Context) error { b.calls++; return nil }), hold.ErrInvalidPolicy)
	b.wants(t, 0)
}

func TestClosed(t *testing.T) {
	o, err := orchestrator.New(port.Stores{}, orchestrator.Config{})
	if err != nil {
		t.Fatal(err)
	}
	g := newGuard(t, o, "g", hold.CircuitBreaker{Sharing: hold.ShareLocal})
	for range 2 {
		if err := o.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	b := failing(nil)
	_, err = orchestrator.Do(t.Context(), g, b.call)
	wantIs(t, err, hold.ErrClosed)
	b.wants(t, 0)
}
