package guardhttp

import (
	"encoding/json"
	"net/http"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
)

// Health serves what a replica knows of itself and of its fleet, apart from each other,
// as JSON. It makes no store call, so that probes may ask as often as they like.
//
// It answers 200: a replica without its store goes on serving, as its policies say. It
// names breakers, bulkheads and operators, so it is for the inside of a network. Keys
// are only counted.
type Health struct {
	// Orchestrator is the replica. It is required.
	Orchestrator *orchestrator.Orchestrator
	// NeedsStore answers 503 while the store does not answer: for a replica that should
	// get no requests then.
	NeedsStore bool
}

type healthPage struct {
	Status string      `json:"status"` // "ok" or "degraded": the store does not answer
	Local  localHealth `json:"local"`
	Fleet  fleetHealth `json:"fleet"`
}

type localHealth struct {
	Breakers  []localBreaker `json:"breakers"`
	Keyed     []keyedHealth  `json:"keyed_breakers"`
	Bulkheads []roomHealth   `json:"bulkheads"`
}

type localBreaker struct {
	Name     string `json:"name"`
	State    string `json:"state"`
	Calls    int64  `json:"calls"`
	Failures int64  `json:"failures"`
	Slow     int64  `json:"slow"`
}

type keyedHealth struct {
	Name   string `json:"name"`
	Called int    `json:"keys_called"`
	Open   int    `json:"keys_open"`
}

type roomHealth struct {
	Name    string `json:"name"`
	Running int    `json:"running"`
	Waiting int    `json:"waiting"`
	Room    int    `json:"room"`
}

type fleetHealth struct {
	Store    string         `json:"store"` // "up" or "down"
	DownFor  float64        `json:"down_for_seconds,omitzero"`
	Replicas int            `json:"replicas"` // last seen; 0 = not known
	Breakers []fleetBreaker `json:"breakers"`
}

type fleetBreaker struct {
	Name     string  `json:"name"`
	State    string  `json:"state"`
	For      float64 `json:"retry_after_seconds,omitzero"`
	Override string  `json:"override,omitzero"`
	By       string  `json:"override_by,omitzero"`
}

func (h Health) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	page, status := h.page(), http.StatusOK
	if h.NeedsStore && page.Fleet.Store == "down" {
		status = http.StatusServiceUnavailable
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(page) //nolint:errchkjson // no float in it is infinite
}

func (h Health) page() healthPage {
	look := h.Orchestrator.Overview()
	page := healthPage{
		Status: "ok",
		Local:  localHealth{Breakers: []localBreaker{}, Keyed: []keyedHealth{}, Bulkheads: []roomHealth{}},
		Fleet:  fleetHealth{Store: "up", Replicas: look.Health.Replicas, Breakers: []fleetBreaker{}},
	}
	if look.Health.StoreDown {
		page.Status, page.Fleet.Store, page.Fleet.DownFor = "degraded", "down", look.Health.Since.Seconds()
	}
	for _, b := range look.Breakers {
		page.Local.Breakers = append(page.Local.Breakers, localBreaker{b.Name, b.Local.String(), b.Calls, b.Failures, b.Slow})
		shared := fleetBreaker{Name: b.Name, State: b.Fleet.String()}
		if b.Scope == domain.ScopeFleet {
			shared.For = b.RetryAfter.Seconds()
		}
		if b.Override.Force != domain.ForceNone {
			shared.Override, shared.By = b.Override.Force.String(), b.Override.By
		}
		page.Fleet.Breakers = append(page.Fleet.Breakers, shared)
	}
	for _, k := range look.Keyed {
		page.Local.Keyed = append(page.Local.Keyed, keyedHealth{k.Name, k.Called, k.Open})
	}
	for _, b := range look.Bulkheads {
		page.Local.Bulkheads = append(page.Local.Bulkheads, roomHealth{b.Name, b.Running, b.Waiting, b.Room})
	}
	return page
}
