package scrape

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/holdfast-go/holdfast/telemetry"
)

// TestThePageForOperators: it explains each alert that there is, and names no alert and no
// metric that there is not.
func TestThePageForOperators(t *testing.T) {
	text, err := os.ReadFile("../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	named := func(pattern string) []string {
		found := regexp.MustCompile(pattern).FindAllString(string(text), -1)
		slices.Sort(found)
		return slices.Compact(found)
	}
	if got, want := named(`\bHoldfast[A-Z]\w+`), slices.Sorted(maps.Keys(troubles)); !slices.Equal(got, want) {
		t.Errorf("the page explains %q; there are %q", got, want)
	}
	var metrics []string
	for _, m := range telemetry.Metrics() {
		metrics = append(metrics, prometheusName(m))
	}
	for _, name := range named(`\bholdfast_\w+`) {
		if !slices.Contains(metrics, name) {
			t.Errorf("the page names %s, which there is not", name)
		}
	}
}
