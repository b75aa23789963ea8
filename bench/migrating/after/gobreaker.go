package after

import (
	"context"
	"errors"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
)

type Geocoder struct {
	guard *orchestrator.Guard
}

func NewGeocoder(orch *orchestrator.Orchestrator) (*Geocoder, error) {
	guard, err := orch.Guard("geocoder", hold.CircuitBreaker{
		FailureThreshold: 6,
		Probes:           3,
		SuccessThreshold: 3,
		RecoveryTimeout:  30 * time.Second,
	})
	return &Geocoder{guard}, err
}

func (g *Geocoder) Find(ctx context.Context, ask func(context.Context) (string, error)) (string, error) {
	place, err := orchestrator.Do(ctx, g.guard, ask)
	if errors.Is(err, hold.ErrCircuitOpen) {
		return "last known", nil
	}
	return place, err
}
