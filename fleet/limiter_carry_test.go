package fleet_test

import (
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet"
)

// What becomes of the tokens when a limit changes is as its newest policy says.
func TestAnUpdateCarriesTokensOver(t *testing.T) {
	for how, want := range map[domain.Carry]int64{
		domain.CarryProportion: 29, // of 30: a share of so many credits is rounded down
		domain.CarryTokens:     3,
		domain.CarryReset:      100,
	} {
		t.Run(how.String(), func(t *testing.T) {
			onEachStore(t, func(t *testing.T, stores port.Stores) {
				policy := domain.RateLimit{Name: "api", Limit: domain.Per(10, time.Hour), Carry: how}
				l := join(t, stores, fleet.Config{}).limiter(policy)
				allowN(t, l, "", 7)
				policy.Limit, policy.Version = domain.Per(100, time.Hour), 1
				if err := l.Update(policy); err != nil {
					t.Fatal(err)
				}
				if d, err := l.AllowUpTo(t.Context(), "", 100); d.Granted != want || err != nil {
					t.Errorf("%+v, %v; want %d tokens", d, err, want)
				}
			})
		})
	}
}
