package migrating

import (
	"context"
	"errors"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/bench/migrating/after"
	"github.com/holdfast-go/holdfast/bench/migrating/before"
	"github.com/holdfast-go/holdfast/bench/migrating/start"
	"github.com/holdfast-go/holdfast/bench/migrating/wiring"
	"github.com/holdfast-go/holdfast/internal/redisserver"
)

var errDown = errors.New("down")

// TestGeocoder has a dependency that fails six times, whose callers then get what was
// last known, on each side.
func TestGeocoder(t *testing.T) {
	orch := wiring.InMemory()
	one, two, three := before.NewGeocoder(), wiring.Must(start.NewGeocoder(orch)), wiring.Must(after.NewGeocoder(wiring.InMemory()))
	for side, find := range map[string]func(ask func() (string, error)) (string, error){
		"before": one.Find,
		"start":  two.Find,
		"after": func(ask func() (string, error)) (string, error) {
			return three.Find(t.Context(), func(context.Context) (string, error) { return ask() })
		},
	} {
		for range 6 {
			if place, err := find(func() (string, error) { return "", errDown }); !errors.Is(err, errDown) {
				t.Errorf("%s: %q, %v; want %v", side, place, err, errDown)
			}
		}
		if place, err := find(func() (string, error) { return "new", nil }); place != "last known" || err != nil {
			t.Errorf("%s: %q, %v; want what was last known", side, place, err)
		}
	}
}

// TestPayments fails once, and is tried again, on both sides.
func TestPayments(t *testing.T) {
	payments := wiring.Must(after.NewPayments(wiring.InMemory()))
	type charge = func(context.Context, func(context.Context) (string, error)) (string, error)
	for side, charge := range map[string]charge{"before": before.NewPayments().Charge, "after": payments.Charge} {
		tries := 0
		receipt, err := charge(t.Context(), func(ctx context.Context) (string, error) {
			if tries++; tries == 1 {
				return "", errDown
			}
			return "receipt", ctx.Err()
		})
		if receipt != "receipt" || err != nil || tries != 2 {
			t.Errorf("%s: %q, %v after %d tries; want a receipt after 2", side, receipt, err, tries)
		}
	}
}

// TestMessages sends a burst of 20 without waiting, and then waits, on both sides.
func TestMessages(t *testing.T) {
	type messages interface {
		TrySend(ctx context.Context, send func() error) (bool, error)
		Send(ctx context.Context, send func() error) error
	}
	messagesAfter := wiring.Must(after.NewMessages(wiring.InMemory()))
	for side, m := range map[string]messages{"before": before.NewMessages(), "after": messagesAfter} {
		sent := 0
		send := func() error {
			sent++
			return nil
		}
		for range 20 {
			if ok, err := m.TrySend(t.Context(), send); !ok || err != nil {
				t.Errorf("%s: %v, %v within the burst", side, ok, err)
			}
		}
		if err := m.Send(t.Context(), send); err != nil || sent != 21 {
			t.Errorf("%s: %v, %d sent; want 21", side, err, sent)
		}
	}
}

// TestTenants lets ten of one tenant's calls through, and another's, on each side.
func TestTenants(t *testing.T) {
	client := redis.NewClient(&redis.Options{Addr: redisserver.ForTest(t).Addr()})
	t.Cleanup(func() { _ = client.Close() })
	orch := wiring.OnRedis(client)
	tenants := wiring.Must(after.NewTenants(orch))
	for side, admit := range map[string]func(context.Context, string) error{
		"before": before.NewTenants(client).Admit,
		"start":  start.NewTenants(orch).Admit,
		"after":  tenants.Admit,
	} {
		refused := 0
		for range 40 {
			if admit(t.Context(), "a") != nil {
				refused++
			}
		}
		if err := admit(t.Context(), "b"); err != nil || refused == 0 || refused > 30 {
			t.Errorf("%s: %d of 40 refused, and of another tenant: %v", side, refused, err)
		}
	}
}

// TestLoad tries four times, and what is not found once, on both sides.
func TestLoad(t *testing.T) {
	loader := wiring.Must(after.NewLoader(wiring.InMemory()))
	for _, row := range []struct {
		name     string
		load     func(context.Context, func(context.Context) error) error
		notFound error
	}{
		{"before", before.Load, before.ErrNotFound},
		{"after", loader.Load, after.ErrNotFound},
	} {
		for err, want := range map[error]int{errDown: 4, row.notFound: 1} {
			tries := 0
			got := row.load(t.Context(), func(context.Context) error {
				tries++
				return err
			})
			if !errors.Is(got, err) || tries != want {
				t.Errorf("%s: %v after %d tries; want %v after %d", row.name, got, tries, err, want)
			}
		}
	}
}
