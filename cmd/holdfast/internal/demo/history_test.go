package demo

import (
	"slices"
	"testing"

	"github.com/holdfast-go/holdfast/domain"
)

const (
	closed   = domain.StateClosed
	halfOpen = domain.StateHalfOpen
	open     = domain.StateOpen
)

func TestOutagesAndRecoveries(t *testing.T) {
	for _, tt := range []struct {
		name       string
		history    []transition
		outages    []span
		recoveries []span
	}{
		{"never seen", nil, nil, nil},
		{"begun", []transition{{1, 10, closed}}, nil, nil},
		{
			"opened, opened again, closed",
			[]transition{{1, 10, closed}, {2, 20, open}, {3, 30, halfOpen}, {4, 40, open}, {5, 50, halfOpen}, {6, 60, closed}},
			[]span{{2, 6}},
			[]span{{3, 4}, {5, 6}},
		},
		{"open to the end", []transition{{1, 10, closed}, {2, 20, open}}, []span{{2, forever}}, nil},
		{
			"twice",
			[]transition{{2, 20, open}, {3, 30, closed}, {4, 40, open}, {5, 50, closed}},
			[]span{{2, 3}, {4, 5}},
			nil,
		},
	} {
		if got := outages(tt.history); !slices.Equal(got, tt.outages) {
			t.Errorf("%s: outages = %v; want %v", tt.name, got, tt.outages)
		}
		if got := recoveries(tt.history); !slices.Equal(got, tt.recoveries) {
			t.Errorf("%s: recoveries = %v; want %v", tt.name, got, tt.recoveries)
		}
	}
}

func TestACallThatSaysItIsAProbeMayBeNone(t *testing.T) {
	history := []transition{{100, 1, open}, {200, 2, halfOpen}, {300, 3, closed}}
	arrivals := []arrival{
		{at: 150, probe: true}, // no lease was out yet
		{at: 210, probe: true},
		{at: 220},
		{at: 340, probe: true}, // its lease was given before the closing
		{at: 351, probe: true}, // and this one's could not be used any more
	}
	probes, others := probesOf(arrivals, history, 50)
	if want := []arrival{arrivals[1], arrivals[3]}; !slices.Equal(probes, want) {
		t.Errorf("probes = %v; want %v", probes, want)
	}
	if want := []arrival{arrivals[0], arrivals[2], arrivals[4]}; !slices.Equal(others, want) {
		t.Errorf("others = %v; want %v", others, want)
	}
}
