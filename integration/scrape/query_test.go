package scrape

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// step is how often Prometheus scrapes here, and steps are what it has scraped so far.
const (
	step  = 15 * time.Second
	steps = 480
)

// A past is what Prometheus knows: series over two hours.
type past []storage.Series

// pastOf is a past in which what was scraped has grown to what it is, step by step. Gauges
// were always as they are. To each series Prometheus adds where it was scraped.
func pastOf(s scrape) past {
	var all past
	for _, one := range s.samples {
		family := s.families[one.name]
		isGauge := family != nil && family.GetType().String() == "GAUGE"
		named := maps.Clone(one.labels)
		named[model.MetricNameLabel], named["job"], named["instance"] = one.name, "shop", "replica-1"
		all = append(all, series(labels.FromMap(named), func(i int) float64 {
			if isGauge {
				return one.value
			}
			return one.value * float64(i) / steps
		}))
	}
	return all
}

func series(named labels.Labels, value func(i int) float64) storage.Series {
	samples := make([]chunks.Sample, steps+1)
	for i := range samples {
		samples[i] = point{int64(i) * step.Milliseconds(), value(i)}
	}
	return storage.NewListSeries(named, samples)
}

// A point is one sample of a series.
type point struct {
	t int64
	f float64
}

func (p point) T() int64                    { return p.t }
func (p point) ST() int64                   { return 0 }
func (p point) F() float64                  { return p.f }
func (point) H() *histogram.Histogram       { return nil }
func (point) FH() *histogram.FloatHistogram { return nil }
func (point) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (p point) Copy() chunks.Sample         { return p }

// A prometheusServer is its parser and its engine.
type prometheusServer struct {
	parser parser.Parser
	engine *promql.Engine
}

func newPrometheus(t *testing.T) *prometheusServer {
	t.Helper()
	p := parser.NewParser(parser.Options{})
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute, Parser: p})
	t.Cleanup(func() { _ = engine.Close() })
	return &prometheusServer{p, engine}
}

// query runs a query at the end of the past.
func (p *prometheusServer) query(t *testing.T, knows past, query string) promql.Vector {
	t.Helper()
	where := &storage.MockQueryable{MockQuerier: &storage.MockQuerier{
		SelectMockFunction: func(_ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
			return &found{all: knows.matching(matchers), at: -1}
		},
	}}
	q, err := p.engine.NewInstantQuery(t.Context(), where, nil, query, time.Unix(0, 0).Add(steps*step))
	if err != nil {
		t.Errorf("%s: %v", query, err)
		return nil
	}
	defer q.Close()
	result := q.Exec(context.WithoutCancel(t.Context()))
	vector, err := result.Vector()
	if err != nil {
		t.Errorf("%s: %v", query, err)
	}
	return slices.Clone(vector)
}

func (p past) matching(matchers []*labels.Matcher) (all []storage.Series) {
	for _, one := range p {
		named := one.Labels()
		if !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(named.Get(m.Name)) }) {
			all = append(all, one)
		}
	}
	return all
}

// found are the series that a query selects.
type found struct {
	all []storage.Series
	at  int
}

func (f *found) Next() bool                        { f.at++; return f.at < len(f.all) }
func (f *found) At() storage.Series                { return f.all[f.at] }
func (f *found) Err() error                        { return nil }
func (f *found) Warnings() annotations.Annotations { return nil }

// problems says what is wrong with the names in a query: a metric that is not there, a label
// by which it selects or groups and that the metric has not, and a selector that selects
// nothing.
func (p *prometheusServer) problems(knows past, query string) (all []string) {
	expr, err := p.parser.ParseExpr(query)
	if err != nil {
		return []string{err.Error()}
	}
	selectors, groups := namesIn(expr)
	if len(selectors) == 0 {
		return []string{"it asks for nothing"}
	}
	for _, s := range selectors {
		there := knows.matching([]*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, s.Name)})
		if s.Name == "" || len(there) == 0 {
			all = append(all, fmt.Sprintf("there is no metric %q", s.Name))
			continue
		}
		wanted := slices.Clone(groups)
		for _, m := range s.LabelMatchers {
			wanted = append(wanted, m.Name)
		}
		for _, label := range wanted {
			if !slices.ContainsFunc(there, func(one storage.Series) bool { return one.Labels().Has(label) }) {
				all = append(all, fmt.Sprintf("%s has no label %q", s.Name, label))
			}
		}
		if len(knows.matching(s.LabelMatchers)) == 0 {
			all = append(all, fmt.Sprintf("%s selects nothing", s))
		}
	}
	return all
}

// namesIn are the selectors of a query, and the labels by which it groups what they select.
func namesIn(expr parser.Expr) (selectors []*parser.VectorSelector, groups []string) {
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		switch n := n.(type) {
		case *parser.VectorSelector:
			selectors = append(selectors, n)
		case *parser.AggregateExpr:
			groups = append(groups, n.Grouping...)
		case *parser.BinaryExpr:
			if n.VectorMatching != nil {
				groups = append(groups, n.VectorMatching.MatchingLabels...)
				groups = append(groups, n.VectorMatching.Include...)
			}
		}
		return nil
	})
	return selectors, groups
}

// TestQueriesThatAreWrong shows that the check can fail.
func TestQueriesThatAreWrong(t *testing.T) {
	server := newPrometheus(t)
	knows := past{series(labels.FromStrings(model.MetricNameLabel, "m", "job", "shop"), func(int) float64 { return 1 })}
	for query, want := range map[string]string{
		`sum by (job) (m{job=~"s.*"})`: "[]",
		`m{`:                           "parse error",
		`1 + 1`:                        "asks for nothing",
		`n`:                            `no metric "n"`,
		`m{guard="a"}`:                 `no label "guard"`,
		`sum by (guard) (m)`:           `no label "guard"`,
		`m / on (guard) m`:             `no label "guard"`,
		`m{job="other"}`:               "selects nothing",
	} {
		if got := fmt.Sprint(server.problems(knows, query)); !strings.Contains(got, want) {
			t.Errorf("%s: %s; want %s", query, got, want)
		}
	}
}
