package guardhttp_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/guardhttp"
	"github.com/holdfast-go/holdfast/orchestrator"
)

// TestHealth: what this replica saw and what the fleet has decided stand apart.
func TestHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := join(t, orchestrator.Config{})
		g := guardOn(t, o, hold.Combine(hold.Bulkhead{MaxConcurrent: 5}, hold.CircuitBreaker{FailureThreshold: 1}))
		if _, err := o.Guard("hosts", hold.CircuitBreaker{Keyed: true, Sharing: hold.ShareLocal}); err != nil {
			t.Fatal(err)
		}
		h := guardhttp.Server{Guard: g}.Handler(says(http.StatusInternalServerError))
		get(t, h)
		time.Sleep(time.Second)
		response := get(t, guardhttp.Health{Orchestrator: o})
		want := `{"status":"ok",` +
			`"local":{"breakers":[{"name":"api","state":"open","calls":1,"failures":1,"slow":0}],` +
			`"keyed_breakers":[{"name":"hosts","keys_called":0,"keys_open":0}],` +
			`"bulkheads":[{"name":"api","running":0,"waiting":0,"room":5}]},` +
			`"fleet":{"store":"up","replicas":1,"breakers":[{"name":"api","state":"closed"}]}}` + "\n"
		if got := response.body; got != want || response.status != http.StatusOK {
			t.Errorf("%d\n%s\nwant\n%s", response.status, got, want)
		}
	})
}

// TestHealthWithoutAStore: serving goes on, unless the replica says that it needs one.
func TestHealthWithoutAStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := joinOn(t, gone(), orchestrator.Config{})
		h := guardhttp.Server{Guard: guardOn(t, o, hold.RateLimit{Limit: hold.PerSecond(5), Outage: hold.OutageOpen})}.Handler(says(http.StatusOK))
		for range 5 {
			get(t, h)
		}
		time.Sleep(time.Second)
		for needs, want := range map[bool]int{false: http.StatusOK, true: http.StatusServiceUnavailable} {
			response := get(t, guardhttp.Health{Orchestrator: o, NeedsStore: needs})
			body := `{"status":"degraded","local":{"breakers":[],"keyed_breakers":[],"bulkheads":[]},"fleet":{"store":"down","down_for_seconds":1,"replicas":0,"breakers":[]}}` + "\n"
			if got := response.body; response.status != want || got != body {
				t.Errorf("needs the store: %v: %d %s", needs, response.status, got)
			}
		}
	})
}
