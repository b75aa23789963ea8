package scrape

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/telemetry"
)

const page = "../../docs/telemetry.md"

// TestTheTableOfNames: the page has each metric that there is, and what is scraped is what
// the page has: names, types and labels.
func TestTheTableOfNames(t *testing.T) {
	got := liveADay(t).prom
	var rows []string
	scraped := maps.Clone(got.families)
	for _, m := range telemetry.Metrics() {
		name := prometheusName(m)
		rows = append(rows, row(m, name))
		family := scraped[name]
		if family == nil {
			t.Errorf("%s is not scraped: the day has to become more eventful", name)
			continue
		}
		delete(scraped, name)
		if kind := strings.ToLower(family.GetType().String()); kind != m.Kind.String() {
			t.Errorf("%s is a %s; want a %s", name, kind, m.Kind)
		}
		var labels []string
		for _, one := range family.GetMetric() {
			for _, l := range one.GetLabel() {
				if l.GetValue() != "" {
					labels = append(labels, l.GetName())
				}
			}
		}
		slices.Sort(labels)
		want := strings.Split(strings.ReplaceAll(strings.Join(m.Labels, " "), ".", "_"), " ")
		slices.Sort(want)
		if labels = slices.Compact(labels); strings.Join(labels, " ") != strings.Join(want, " ") {
			t.Errorf("%s says something by %q; want %q", name, labels, want)
		}
	}
	for name := range scraped {
		t.Errorf("%s is scraped, and no metric that there is", name)
	}
	listed := slices.DeleteFunc(linesOf(t, "| `holdfast."), func(line string) bool { return !strings.Contains(line, "| `holdfast_") })
	if !slices.Equal(listed, rows) {
		t.Errorf("the page has\n%s\nwant\n%s", strings.Join(listed, "\n"), strings.Join(rows, "\n"))
	}
}

// row is a metric's in the table.
func row(m *telemetry.Metric, name string) string {
	unit, labels := m.Unit, make([]string, len(m.Labels))
	for i, label := range m.Labels {
		labels[i] = "`" + label + "`"
	}
	return fmt.Sprintf("| `%s` | `%s` | %s, `%s` | %s | %s |", m.Name, name, m.Kind, unit, strings.Join(labels, " "), m.Help)
}

// prometheusName is the rule that the page gives.
func prometheusName(m *telemetry.Metric) string {
	name := strings.ReplaceAll(m.Name, ".", "_")
	if m.Unit == "s" {
		name += "_seconds"
	}
	if m.Kind.String() == "counter" {
		name += "_total"
	}
	return name
}

// linesOf are the lines of the page that begin so.
func linesOf(t *testing.T, begin string) (all []string) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, begin) {
			all = append(all, strings.TrimSpace(line))
		}
	}
	return all
}

// TestWhatLabelsSay: each label is explained, and says nothing but the words that the page
// has, or names of the day's policies.
func TestWhatLabelsSay(t *testing.T) {
	words := make(map[string][]string) // of each label; none: it says names
	quoted := regexp.MustCompile("`([^`]+)`")
	for _, line := range linesOf(t, "| label `") {
		cells := strings.Split(line, "|")
		label := strings.ReplaceAll(quoted.FindStringSubmatch(cells[1])[1], ".", "_")
		words[label] = nil
		for _, word := range quoted.FindAllStringSubmatch(cells[2], -1) {
			words[label] = append(words[label], word[1])
		}
	}
	said := make(map[string]map[string]bool)
	for _, s := range liveADay(t).prom.samples {
		for label, value := range s.labels {
			if label == "le" {
				continue
			}
			if said[label] == nil {
				said[label] = make(map[string]bool)
			}
			said[label][value] = true
		}
	}
	for label, values := range said {
		known, there := words[label]
		if !there {
			t.Errorf("the page does not explain %s", label)
		}
		for value := range values {
			if len(known) > 0 && !slices.Contains(known, value) || len(known) == 0 && !nameOfTheDay(value) {
				t.Errorf("%s says %q; the page has %q", label, value, known)
			}
		}
	}
	for label := range words {
		if said[label] == nil {
			t.Errorf("the page explains %s, which says nothing", label)
		}
	}
}

// nameOfTheDay reports whether a policy of the day has that name.
func nameOfTheDay(name string) bool {
	return slices.Contains([]string{
		"billing", "sms", "trial", "open", "closed", "share", "payments", "shards", "search", "export", "import", "report",
		"charge", "refund", "lookup", "listing", "spare", "other",
	}, name)
}
