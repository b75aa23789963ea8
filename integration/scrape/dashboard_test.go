package scrape

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A dashboard is what the test looks at of Grafana's classic form.
type dashboard struct {
	Title, UID    string
	SchemaVersion int
	Templating    struct {
		List []struct {
			Name, Type, Definition string
			Datasource             datasource
		}
	}
	Panels []panel
}

type datasource struct{ Type, UID string }

type panel struct {
	ID                       int
	Type, Title, Description string
	Datasource               datasource
	GridPos                  place
	Targets                  []target
}

type target struct {
	RefID, Expr, LegendFormat string
	Datasource                datasource
}

type place struct{ X, Y, W, H int }

func (p place) overlaps(q place) bool {
	return p.X < q.X+q.W && q.X < p.X+p.W && p.Y < q.Y+q.H && q.Y < p.Y+p.H
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	text, err := os.ReadFile("../../docs/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// filledIn is a query with what Grafana would put into it.
func filledIn(query string) string {
	return strings.NewReplacer("$__rate_interval", "5m", "$job", ".*", "$guard", ".*").Replace(query)
}

// TestQueriesOfTheDashboard: whichever module measures, each of them names what is there and
// has an answer, whose series have the labels that the legend tells them apart by.
func TestQueriesOfTheDashboard(t *testing.T) {
	server, day := newPrometheus(t), liveADay(t)
	queries := 0
	for module, knows := range map[string]past{"contrib/otel": pastOf(day.otel), "contrib/prometheus": pastOf(day.prom)} {
		for _, p := range readDashboard(t).Panels {
			for _, target := range p.Targets {
				queries++
				where := fmt.Sprintf("%s: %q: %s", module, p.Title, target.Expr)
				query := filledIn(target.Expr)
				for _, problem := range server.problems(knows, query) {
					t.Errorf("%s: %s", where, problem)
				}
				answer := server.query(t, knows, query)
				if len(answer) == 0 {
					t.Errorf("%s has no answer", where)
				}
				for _, label := range legend.FindAllStringSubmatch(target.LegendFormat, -1) {
					told := false
					for _, one := range answer {
						told = told || one.Metric.Has(label[1])
					}
					if !told {
						t.Errorf("%s: the legend has %s, and no series of the answer", where, label[1])
					}
				}
			}
		}
	}
	if queries < 80 {
		t.Errorf("only %d queries were run", queries)
	}
}

var legend = regexp.MustCompile(`{{(\w+)}}`)

// TestEachMetricIsOnTheDashboard: what is worth measuring is worth a look.
func TestEachMetricIsOnTheDashboard(t *testing.T) {
	var queries strings.Builder
	for _, p := range readDashboard(t).Panels {
		for _, target := range p.Targets {
			queries.WriteString(target.Expr + "\n")
		}
	}
	for name := range liveADay(t).prom.families {
		if !strings.Contains(queries.String(), name) {
			t.Errorf("%s is on no panel", name)
		}
	}
}

// TestFormOfTheDashboard: Grafana can show it, wherever it is imported.
func TestFormOfTheDashboard(t *testing.T) {
	d, server, knows := readDashboard(t), newPrometheus(t), pastOf(liveADay(t).prom)
	if d.Title == "" || d.UID == "" || d.SchemaVersion == 0 {
		t.Errorf("it is %q, %q, in version %d", d.Title, d.UID, d.SchemaVersion)
	}
	chosen := datasource{"prometheus", "${datasource}"}
	var variables []string
	for _, v := range d.Templating.List {
		variables = append(variables, v.Name)
		if v.Type == "datasource" {
			continue
		}
		asked := regexp.MustCompile(`^label_values\((.+), (\w+)\)$`).FindStringSubmatch(v.Definition)
		if v.Datasource != chosen || len(asked) == 0 {
			t.Errorf("the variable %s asks %v for %q", v.Name, v.Datasource, v.Definition)
			continue
		}
		if problems := server.problems(knows, fmt.Sprintf("sum by (%s) (%s)", asked[2], filledIn(asked[1]))); len(problems) > 0 {
			t.Errorf("the variable %s: %v", v.Name, problems)
		}
	}
	if want := []string{"datasource", "job", "guard"}; !slices.Equal(variables, want) {
		t.Errorf("the variables are %q; want %q", variables, want)
	}
	ids := make(map[int]bool)
	for i, p := range d.Panels {
		if ids[p.ID] || p.Title == "" {
			t.Errorf("panel %d %q has no number or title of its own", p.ID, p.Title)
		}
		ids[p.ID] = true
		if p.GridPos.W < 1 || p.GridPos.X < 0 || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("%q stands at %+v", p.Title, p.GridPos)
		}
		for _, q := range d.Panels[:i] {
			if p.GridPos.overlaps(q.GridPos) {
				t.Errorf("%q stands on %q", p.Title, q.Title)
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Datasource != chosen || p.Description == "" || len(p.Targets) == 0 {
			t.Errorf("%q asks %v with %d queries: %q", p.Title, p.Datasource, len(p.Targets), p.Description)
		}
		for j, target := range p.Targets {
			if target.RefID != string(rune('A'+j)) || target.Datasource != chosen || target.LegendFormat == "" {
				t.Errorf("%q: query %d is %+v", p.Title, j, target)
			}
		}
	}
}
