package telemetry_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/holdfast-go/holdfast/telemetry"
)

// A ledger is a Meter that keeps its series in memory, by names such as
// "holdfast.calls{guard=g outcome=success}".
type ledger struct {
	t *testing.T

	mu     sync.Mutex
	series map[string]*line
}

// A line is one series.
type line struct {
	sum   atomic.Int64 // of a Timer, in whole milliseconds
	count atomic.Int64
}

func (l *line) Add(_ context.Context, n int64)      { l.sum.Add(n); l.count.Add(1) }
func (l *line) Took(_ context.Context, sec float64) { l.sum.Add(int64(sec * 1e3)); l.count.Add(1) }

func newLedger(t *testing.T) *ledger { return &ledger{t: t, series: make(map[string]*line)} }

func (l *ledger) Adder(m *telemetry.Metric, values ...string) telemetry.Adder {
	if m.Kind != telemetry.Counter {
		l.t.Errorf("%s is a %s, and added to", m.Name, m.Kind)
	}
	return l.line(m, values)
}

func (l *ledger) Timer(m *telemetry.Metric, values ...string) telemetry.Timer {
	if m.Kind != telemetry.Histogram {
		l.t.Errorf("%s is a %s, and given times", m.Name, m.Kind)
	}
	return l.line(m, values)
}

func (l *ledger) line(m *telemetry.Metric, values []string) *line {
	l.mu.Lock()
	defer l.mu.Unlock()
	name := l.name(m, values)
	if l.series[name] == nil {
		l.series[name] = &line{}
	}
	return l.series[name]
}

// name is what the ledger knows a series by; labels that say nothing are left out.
func (l *ledger) name(m *telemetry.Metric, values []string) string {
	if len(values) != len(m.Labels) {
		l.t.Errorf("%s has the labels %q and is given %q", m.Name, m.Labels, values)
		return m.Name
	}
	var said []string
	for i, value := range values {
		if value != "" {
			said = append(said, m.Labels[i]+"="+value)
		}
	}
	return fmt.Sprintf("%s{%s}", m.Name, strings.Join(said, " "))
}

// grown are the series that something was added to, with their sums, in order.
func (l *ledger) grown() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []string
	for _, name := range slices.Sorted(maps.Keys(l.series)) {
		if line := l.series[name]; line.count.Load() > 0 && line.sum.Load() > 0 {
			all = append(all, fmt.Sprintf("%s %d", name, line.sum.Load()))
		}
	}
	return all
}

// names are all series that there are.
func (l *ledger) names() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Sorted(maps.Keys(l.series))
}

func wantLines(t *testing.T, got []string, want ...string) {
	t.Helper()
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("it has\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}
