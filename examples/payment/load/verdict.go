package load

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	hold "github.com/holdfast-go/holdfast/domain"
)

// A verdict says whether the replicas let in what they may, and how long their doors took.
type verdict struct {
	passed       int
	over         time.Duration // between the first and the last of them
	room         float64       // how many may have passed in that time
	worst        float64       // the largest excess over the limit in any interval, in requests
	let, refused []int64       // µs, in order
	err          error
}

// late is how much later than the store decides a request may be seen to pass: what passed
// in an interval was decided in one that is longer by as much.
const late = 100 * time.Millisecond

func judge(seen []report, limit hold.Limit) verdict {
	var v verdict
	var passed []int64
	for _, r := range seen {
		passed = append(passed, r.Passed...)
		v.let, v.refused = append(v.let, r.Let...), append(v.refused, r.Refused...)
	}
	slices.Sort(passed)
	slices.Sort(v.let)
	slices.Sort(v.refused)
	if v.passed = len(passed); v.passed == 0 {
		v.err = errors.New("load: nothing was let in")
		return v
	}
	limit = limit.WithDefaults()
	perMicro := float64(limit.Tokens) / float64(limit.Period.Microseconds())
	v.over = time.Duration(passed[len(passed)-1]-passed[0]) * time.Microsecond
	v.room = float64(limit.Burst) + perMicro*float64(v.over.Microseconds())
	v.worst = excess(passed, float64(limit.Burst), perMicro)
	if v.worst > perMicro*float64(late.Microseconds()) {
		v.err = fmt.Errorf("load: in some interval %.0f more were let in than may be", v.worst)
	}
	return v
}

// excess is by how many requests the worst interval exceeds burst + rate·t: that is a
// bucket that fills up with each request and runs out with time.
func excess(passed []int64, burst, perMicro float64) float64 {
	level, worst, last := 0.0, 0.0, passed[0]
	for _, at := range passed {
		level = max(level-perMicro*float64(at-last), 0) + 1
		worst, last = max(worst, level-burst), at
	}
	return worst
}

func (v verdict) print(out io.Writer, p Plan, m *vegeta.Metrics) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "offered\t%.0f requests a second to %d replicas, %d in all\n", m.Rate, p.Replicas, m.Requests)
	fmt.Fprintf(t, "let in\t%d in %s\n", v.passed, v.over.Round(time.Millisecond))
	fmt.Fprintf(t, "may be let in\t%.0f in that time; worst interval %.1f above burst + rate·t\n", v.room, v.worst)
	fmt.Fprintln(t, "the door took\tp50, p99, max")
	fmt.Fprintf(t, "  of all\t%s\n", spread(slices.Sorted(slices.Values(slices.Concat(v.let, v.refused)))))
	fmt.Fprintf(t, "  of those let in\t%s\n", spread(v.let))
	fmt.Fprintf(t, "  of those turned away\t%s\n", spread(v.refused))
	fmt.Fprintf(t, "seen by clients\tp50 %s, p99 %s\n", m.Latencies.P50.Round(time.Microsecond), m.Latencies.P99.Round(time.Microsecond))
	fmt.Fprintf(t, "statuses\t%v\n", m.StatusCodes)
	for _, text := range m.Errors {
		fmt.Fprintf(t, "\t%s\n", text)
	}
	return t.Flush() //nolint:wrapcheck // the writer's own
}

// spread gives the middle, the 99th percentile and the largest.
func spread(sorted []int64) string {
	if len(sorted) == 0 {
		return "-"
	}
	at := func(share float64) time.Duration {
		return time.Duration(sorted[int(share*float64(len(sorted)-1))]) * time.Microsecond
	}
	return fmt.Sprintf("%s, %s, %s", at(0.5), at(0.99), at(1))
}
