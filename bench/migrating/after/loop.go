package after

import (
	"context"
	"errors"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
)

var ErrNotFound = errors.New("not found")

type Loader struct {
	guard *orchestrator.Guard
}

func NewLoader(orch *orchestrator.Orchestrator) (*Loader, error) {
	guard, err := orch.Guard("loader", hold.Retry{
		MaxAttempts: 4,
		Budget:      hold.RetryBudget{Ratio: 0.1, PerSecond: 10},
	})
	return &Loader{guard}, err
}

func (l *Loader) Load(ctx context.Context, load func(context.Context) error) error {
	return orchestrator.Run(ctx, l.guard, func(ctx context.Context) error {
		err := load(ctx)
		if errors.Is(err, ErrNotFound) {
			return hold.MarkPermanent(err)
		}
		return err
	})
}
