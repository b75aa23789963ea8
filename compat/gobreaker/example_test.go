package gobreaker_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/holdfast-go/holdfast/compat/gobreaker"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
)

// The import and the constructor are what changes: in production the orchestrator is
// over a Redis that all replicas use.
func Example() {
	ctx := context.Background()
	orch, err := orchestrator.New(memory.New(memory.Options{}).Stores(), orchestrator.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = orch.Close(ctx) }()
	cb, err := gobreaker.NewCircuitBreaker[string](orch, gobreaker.Settings{Name: "geocoder"})
	if err != nil {
		fmt.Println(err)
		return
	}

	for range 7 {
		_, err = cb.Execute(func() (string, error) { return "", errors.New("no answer") })
	}
	fmt.Println(cb.State(), "-", err)
	// Output: open - circuit breaker is open
}
