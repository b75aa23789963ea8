package storetest

import (
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/domain/port"
)

// TestPolicies is the conformance suite of a [port.PolicyStore].
func TestPolicies(t *testing.T, newStore Maker) {
	t.Helper()
	t.Run("one is in force", func(t *testing.T) { testPublish(t, newStore) })
	t.Run("it is brought back", func(t *testing.T) { testBringBack(t, newStore) })
	t.Run("some are remembered", func(t *testing.T) { testPublications(t, newStore) })
}

func document(text string) port.Publication {
	return port.Publication{Document: text, By: "ada", Reason: "INC-7"}
}

// testPublish plays two operators, who each believe to know what is in force.
func testPublish(t *testing.T, newStore Maker) {
	t.Helper()
	clock := newClock()
	store := newStore(t, clock.now).Policies
	wantPublished(t, store, 0, port.Publication{})
	for i, step := range []struct {
		after   time.Duration // on the clock
		text    string
		before  uint64 // the version to replace
		ok      bool
		version uint64
		why     string
	}{
		{0, "one", 7, false, 0, "there is none"},
		{0, "one", 0, true, epoch, "the first one"},
		{0, "two", 0, false, epoch, "who does not know of it replaces nothing"},
		{0, "two", epoch, true, epoch + 1, "in the same µs the version grows all the same"},
		{-time.Hour, "three", epoch + 1, true, epoch + 2, "and while the clock steps back"},
		{2 * time.Hour, "four", epoch + 1, false, epoch + 2, "of two who know the same, one is late"},
		{0, "four", epoch + 2, true, epoch + 3_600_000_000, "the version is the time"},
	} {
		clock.move(step.after)
		version, ok, err := store.Publish(t.Context(), document(step.text), step.before)
		if version != step.version || ok != step.ok || err != nil {
			t.Fatalf("step %d: %d, %v, %v; want %d, %v: %s", i, version, ok, err, step.version, step.ok, step.why)
		}
		if ok {
			want := document(step.text)
			want.Version = version
			wantPublished(t, store, step.before, want)
			wantPublished(t, store, version, port.Publication{Version: version})
		}
	}
	odd := port.Publication{Document: "{\"a\": \"\x00\n'\"}", Shadow: true, By: "", Reason: "ä"}
	version, _, err := store.Publish(t.Context(), odd, epoch+3_600_000_000)
	if err != nil {
		t.Fatal(err)
	}
	odd.Version = version
	wantPublished(t, store, 0, odd)
}

func wantPublished(t *testing.T, store port.PolicyStore, known uint64, want port.Publication) {
	t.Helper()
	if got, err := store.Published(t.Context(), known); got != want || err != nil {
		t.Fatalf("to who knows %d: %+v, %v; want %+v", known, got, err, want)
	}
}

// testBringBack plays a store that has lost what was published, and replicas that saw it.
func testBringBack(t *testing.T, newStore Maker) {
	t.Helper()
	clock := newClock()
	store := newStore(t, clock.now).Policies
	seen := document("seen")
	seen.Version = epoch - 5
	future := document("future")
	future.Version = epoch + 86_400_000_001
	if _, _, err := store.Publish(t.Context(), future, 0); !errors.Is(err, port.ErrAhead) {
		t.Errorf("a version of the day after tomorrow: %v", err)
	}
	for i, want := range []bool{true, false} {
		version, ok, err := store.Publish(t.Context(), seen, 99)
		if version != seen.Version || ok != want || err != nil {
			t.Errorf("replica %d brings it back: %d, %v, %v; want %v", i, version, ok, err, want)
		}
	}
	wantPublished(t, store, 0, seen)
	if version, ok, err := store.Publish(t.Context(), document("next"), seen.Version); version != epoch || !ok || err != nil {
		t.Errorf("the next one: %d, %v, %v", version, ok, err)
	}
	if version, ok, err := store.Publish(t.Context(), seen, 0); version != epoch || ok || err != nil {
		t.Errorf("who is late brings back nothing: %d, %v, %v", version, ok, err)
	}
}

func testPublications(t *testing.T, newStore Maker) {
	t.Helper()
	clock := newClock()
	store := newStore(t, clock.now).Policies
	if all, err := store.Publications(t.Context()); len(all) != 0 || err != nil {
		t.Errorf("of none: %v, %v", all, err)
	}
	var want []port.Publication
	last := uint64(0)
	for i := range port.PublicationsKept + 3 {
		clock.move(time.Second)
		p := document(strconv.Itoa(i))
		version, ok, err := store.Publish(t.Context(), p, last)
		if !ok || err != nil {
			t.Fatal(version, ok, err)
		}
		p.Version, last = version, version
		want = slices.Insert(want, 0, p)
	}
	got, err := store.Publications(t.Context())
	if err != nil || !slices.Equal(got, want[:port.PublicationsKept]) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
}
