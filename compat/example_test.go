package compat_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/holdfast-go/holdfast/compat"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
)

// Older code says at the call how often to try again; it goes on doing so.
func ExampleRetry() {
	orch, err := orchestrator.New(memory.New(memory.Options{}).Stores(), orchestrator.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer orch.Close(context.Background())

	receipt, err := compat.Retry(context.Background(), orch, 0, func(context.Context) (string, error) {
		return "receipt 1", nil
	})
	fmt.Println(receipt, err)

	_, err = compat.Retry(context.Background(), orch, 0, func(context.Context) (string, error) {
		return "", errors.New("down")
	})
	fmt.Println(err)
	// Output:
	// receipt 1 <nil>
	// retry exhausted after 1 attempts: down
}
