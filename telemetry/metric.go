package telemetry

import "slices"

// A Kind is what the values of a metric mean.
type Kind uint8

// The kinds.
const (
	Counter   Kind = iota + 1 // grows as things happen
	Histogram                 // how long things took
	Gauge                     // how things are, as Read finds them
	Total                     // a counter that is kept elsewhere, as Read finds it
)

// String returns "counter", "histogram", "gauge" or "counter", since a Total is one to
// whoever looks at it.
func (k Kind) String() string {
	switch k {
	case Counter, Total:
		return "counter"
	case Histogram:
		return "histogram"
	case Gauge:
		return "gauge"
	default:
		return "unknown"
	}
}

// A Metric is one thing that is measured.
type Metric struct {
	Name   string // lower case, with dots, as OpenTelemetry has it: "holdfast.call.duration"
	Kind   Kind
	Unit   string // as UCUM has it: "s", or what is counted, "{call}"
	Help   string // one sentence
	Labels []string
	Bounds []float64 // of a Histogram's buckets, in its Unit
}

// Metrics are all that there are, in the order of docs/telemetry.md.
func Metrics() []*Metric { return slices.Clone(metrics) }

// Read reports whether the values of m come from [Read], and not from a Recorder.
func (m *Metric) Read() bool { return m.Kind == Gauge || m.Kind == Total }
