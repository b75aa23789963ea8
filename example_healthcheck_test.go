package holdfast_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
)

// A breaker recovers by a health check, and no user's call has to find out whether the
// dependency is back.
func Example_healthCheck() {
	orch, err := orchestrator.New(memory.New(memory.Options{}).Stores(), orchestrator.Config{})
	if err != nil {
		panic(err)
	}
	defer func() { _ = orch.Close(context.Background()) }()
	guard, err := orch.Guard("payments", hold.CircuitBreaker{
		Sharing: hold.ShareAny, FailureThreshold: 1, SuccessThreshold: 1, RecoveryTimeout: 100 * time.Millisecond, // to be quick
	})
	if err != nil {
		panic(err)
	}
	checked := make(chan struct{}, 1)
	if err := orch.HealthCheck("payments", func(context.Context) error {
		checked <- struct{}{}
		return nil // it answers again
	}); err != nil {
		panic(err)
	}

	err = orchestrator.Run(context.Background(), guard, func(context.Context) error { return errors.New("down") })
	fmt.Println(err)
	<-checked
	fmt.Println("it was checked, and nobody called")
	// Output:
	// down
	// it was checked, and nobody called
}
