package telemetry_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/telemetry"
)

// TestTable: names are as OpenTelemetry wants them, and no two metrics are one.
func TestTable(t *testing.T) {
	name := regexp.MustCompile(`^holdfast(\.[a-z]+)+$`)
	unit := regexp.MustCompile(`^(s|\{[a-z]+\})$`)
	label := regexp.MustCompile(`^[a-z]+(\.[a-z]+)?$`)
	seen := make(map[string]bool)
	for _, m := range telemetry.Metrics() {
		if !name.MatchString(m.Name) || strings.HasSuffix(m.Name, ".total") || seen[m.Name] {
			t.Errorf("%q is no name, or there twice", m.Name)
		}
		seen[m.Name] = true
		if !unit.MatchString(m.Unit) {
			t.Errorf("%s has the unit %q", m.Name, m.Unit)
		}
		if !strings.HasSuffix(m.Help, ".") {
			t.Errorf("%s says %q", m.Name, m.Help)
		}
		for i, l := range m.Labels {
			if !label.MatchString(l) || l == "key" || slices.Contains(m.Labels[:i], l) {
				t.Errorf("%s has a label %q", m.Name, l)
			}
		}
		isTimer := m.Kind == telemetry.Histogram
		if isTimer != (m.Unit == "s") || isTimer != (len(m.Bounds) > 0) || !slices.IsSorted(m.Bounds) {
			t.Errorf("%s is a %s in %q with buckets up to %v", m.Name, m.Kind, m.Unit, m.Bounds)
		}
		if m.Read() != (m.Kind == telemetry.Gauge || m.Kind == telemetry.Total) {
			t.Errorf("%s is a %s and read: %t", m.Name, m.Kind, m.Read())
		}
	}
	// Nobody can change the table.
	telemetry.Metrics()[0] = nil
	if telemetry.Metrics()[0] == nil {
		t.Error("the table can be changed")
	}
}

func TestKinds(t *testing.T) {
	for kind, want := range map[telemetry.Kind]string{
		telemetry.Counter: "counter", telemetry.Total: "counter", telemetry.Histogram: "histogram", telemetry.Gauge: "gauge", 0: "unknown",
	} {
		if got := kind.String(); got != want {
			t.Errorf("kind %d is %q; want %q", kind, got, want)
		}
	}
}
