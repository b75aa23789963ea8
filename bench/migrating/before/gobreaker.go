package before

import (
	"errors"
	"time"

	"github.com/sony/gobreaker/v2"
)

type Geocoder struct {
	cb *gobreaker.CircuitBreaker[string]
}

func NewGeocoder() *Geocoder {
	cb := gobreaker.NewCircuitBreaker[string](gobreaker.Settings{
		Name:        "geocoder",
		MaxRequests: 3,
		Timeout:     30 * time.Second,
	})
	return &Geocoder{cb}
}

func (g *Geocoder) Find(ask func() (string, error)) (string, error) {
	place, err := g.cb.Execute(ask)
	if errors.Is(err, gobreaker.ErrOpenState) {
		return "last known", nil
	}
	return place, err
}
