package operate_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/operate"
	"github.com/holdfast-go/holdfast/store/memory"
)

// TestPublish plays two operators: who is late is told so, and what was in force before can
// be again, under a new version.
func TestPublish(t *testing.T) {
	stores := memory.New(memory.Options{}).Stores()
	ada, err := operate.New(stores, "ada")
	if err != nil {
		t.Fatal(err)
	}
	bob, err := operate.New(stores, "bob")
	if err != nil {
		t.Fatal(err)
	}
	publish := func(d *operate.Desk, document string, after uint64, shadow bool) (uint64, error) {
		return d.Publish(t.Context(), port.Publication{Document: document, Reason: "INC-7", Shadow: shadow}, after)
	}
	first, err := publish(ada, "first", 0, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := publish(bob, "of bob", 0, false); !errors.Is(err, domain.ErrConflict) {
		t.Errorf("who is late: %v", err)
	}
	second, err := publish(bob, "second", first, false)
	if err != nil {
		t.Fatal(err)
	}
	shadow, err := publish(ada, "tried", second, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		to   uint64
		want string
	}{{0, "first"}, {second, "second"}, {first, "first"}} {
		version, err := ada.Rollback(t.Context(), tt.to, "worse than before")
		got, readErr := bob.Published(t.Context())
		if err != nil || readErr != nil || got.Version != version || got.Document != tt.want || got.By != "ada" || version <= shadow {
			t.Errorf("back to %d: %+v, %v, %v; want %q", tt.to, got, err, readErr, tt.want)
		}
	}
	all, err := ada.Publications(t.Context())
	if err != nil || len(all) != 6 || all[5].Document != "first" || all[3].Document != "tried" || !all[3].Shadow {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestPublishRefuses(t *testing.T) {
	stores := memory.New(memory.Options{}).Stores()
	desk, err := operate.New(stores, "ada")
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]port.Publication{
		"no reason":        {Document: "x"},
		"a long reason":    {Document: "x", Reason: strings.Repeat("x", 10_000)},
		"too long to keep": {Document: strings.Repeat("x", port.MaxDocument+1), Reason: "x"},
	} {
		if _, err := desk.Publish(t.Context(), p, 0); !errors.Is(err, domain.ErrInvalidPolicy) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := desk.Rollback(t.Context(), 0, "x"); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("back to nothing: %v", err)
	}
	stores.Policies = nil
	if desk, err = operate.New(stores, "ada"); err != nil {
		t.Fatal(err)
	}
	if _, err := desk.Published(t.Context()); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a store without: %v", err)
	}
}
