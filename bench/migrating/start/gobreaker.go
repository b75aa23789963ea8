package start

import (
	"errors"
	"time"

	"github.com/holdfast-go/holdfast/compat/gobreaker"
	"github.com/holdfast-go/holdfast/orchestrator"
)

type Geocoder struct {
	cb *gobreaker.CircuitBreaker[string]
}

func NewGeocoder(orch *orchestrator.Orchestrator) (*Geocoder, error) {
	cb, err := gobreaker.NewCircuitBreaker[string](orch, gobreaker.Settings{
		Name:        "geocoder",
		MaxRequests: 3,
		Timeout:     30 * time.Second,
	})
	return &Geocoder{cb}, err
}

func (g *Geocoder) Find(ask func() (string, error)) (string, error) {
	place, err := g.cb.Execute(ask)
	if errors.Is(err, gobreaker.ErrOpenState) {
		return "last known", nil
	}
	return place, err
}
