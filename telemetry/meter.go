package telemetry

import "context"

// A Meter makes the series of metrics, wherever they go. Its methods are called
// concurrently, once for most series and a few times for some: the same metric and values
// are the same series. values are in the order of Metric.Labels; "" is none.
type Meter interface {
	// Adder makes a series of a [Counter], which begins at 0 and is to be seen from
	// then on: of one that begins at 1 nobody sees it grow.
	Adder(m *Metric, values ...string) Adder
	// Timer makes a series of a [Histogram].
	Timer(m *Metric, values ...string) Timer
}

// An Adder is one series that grows. ctx is that of what happened. It is called
// concurrently, in the way of calls.
type Adder interface {
	Add(ctx context.Context, n int64)
}

// A Timer is one series of times, in seconds. ctx is that of what took so long. It is
// called concurrently, in the way of calls.
type Timer interface {
	Took(ctx context.Context, seconds float64)
}
