package gobreaker_test

import (
	"context"
	"errors"
	"testing"

	"github.com/holdfast-go/holdfast/compat/gobreaker"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
)

var errBackend = errors.New("backend")

func newStores() port.Stores { return memory.New(memory.Options{}).Stores() }

// join makes one more replica of the fleet whose state is in stores.
func join(t *testing.T, stores port.Stores) *orchestrator.Orchestrator {
	t.Helper()
	o, err := orchestrator.New(stores, orchestrator.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return o
}

type breaker = gobreaker.CircuitBreaker[string]

func newBreaker(t *testing.T, o *orchestrator.Orchestrator, st gobreaker.Settings) *breaker {
	t.Helper()
	cb, err := gobreaker.NewCircuitBreaker[string](o, st)
	if err != nil {
		t.Fatal(err)
	}
	return cb
}

// run runs a function that returns err, and says what came of it.
func run(cb *breaker, err error) error {
	_, got := cb.Execute(func() (string, error) { return "", err })
	return got
}

func runTimes(t *testing.T, cb *breaker, times int, err error) {
	t.Helper()
	for i := range times {
		if got := run(cb, err); got != err { //nolint:errorlint // it comes back as it was
			t.Fatalf("call %d: %v; want %v", i, got, err)
		}
	}
}

func wantState(t *testing.T, cb *breaker, want gobreaker.State) {
	t.Helper()
	if got := cb.State(); got != want {
		t.Errorf("State() = %v; want %v", got, want)
	}
}
