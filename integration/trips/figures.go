package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/holdfast-go/holdfast/fleet"
)

// The goals of a fleet that hears pushes, in µs.
const (
	goalP50 = 5_000
	goalP99 = 20_000
)

// bound is how late a replica may learn of a trip, also when every push is lost:
// MaxStaleness and one refresh, of which there are two in MaxStaleness.
const bound = fleet.DefaultMaxStaleness + fleet.DefaultMaxStaleness/2

// A trip is one opening, in µs from the store's decision.
type trip struct {
	each   []int64 // until each replica's view turned
	last   int64   // until the last one's did
	called int     // ordinary calls let through later than the trip
	passed int64   // until the last of those
}

// newTrip is what the replicas said of one round. The earliest epoch is the trip's:
// a replica that missed it heard of a later one first.
func newTrip(opened, closed []told) (t trip) {
	decided := opened[0].Epoch
	for _, o := range opened {
		decided = min(decided, o.Epoch)
	}
	for _, o := range opened {
		t.each = append(t.each, o.AtMicro-int64(decided))
	}
	t.last = slices.Max(t.each)
	for _, c := range closed {
		t.called += c.Calls
		if c.LastMicro > 0 {
			t.passed = max(t.passed, c.LastMicro-int64(decided))
		}
	}
	return t
}

// figures are what came of it, in µs.
type figures struct {
	Replicas int   `json:"replicas"`
	Deaf     bool  `json:"deaf"`
	Bound    int64 `json:"bound_us"`
	Rows     []row `json:"rows"`
}

// A row is those of one rate.
type row struct {
	Rate    int   `json:"calls_per_second"`
	Trips   int   `json:"trips"`
	LastP50 int64 `json:"last_replica_p50_us"`
	LastP99 int64 `json:"last_replica_p99_us"`
	LastMax int64 `json:"last_replica_max_us"`
	EachP50 int64 `json:"each_replica_p50_us"`
	EachP99 int64 `json:"each_replica_p99_us"`
	Called  int   `json:"calls_after_trip"`
	PassMax int64 `json:"last_call_after_trip_us"`
}

func summary(rate int, trips []trip) row {
	r := row{Rate: rate, Trips: len(trips)}
	last, each := make([]int64, 0, len(trips)), make([]int64, 0, len(trips)*len(trips[0].each))
	for _, t := range trips {
		last, each = append(last, t.last), append(each, t.each...)
		r.Called += t.called
		r.PassMax = max(r.PassMax, t.passed)
	}
	slices.Sort(last)
	slices.Sort(each)
	r.LastP50, r.LastP99, r.LastMax = quantile(last, 50), quantile(last, 99), last[len(last)-1]
	r.EachP50, r.EachP99 = quantile(each, 50), quantile(each, 99)
	return r
}

// quantile is the smallest of sorted that percent of them do not exceed.
func quantile(sorted []int64, percent int) int64 {
	return sorted[max((len(sorted)*percent+99)/100-1, 0)]
}

// late reports whether a replica learnt of a trip later than the bound.
func (f figures) late() bool {
	return slices.ContainsFunc(f.Rows, func(r row) bool { return r.LastMax > f.Bound })
}

func (f figures) print(out io.Writer) error {
	how := "pushes arrive"
	if f.Deaf {
		how = "every push is lost"
	}
	fmt.Fprintf(out, "from the trip until the last of %d replicas rejects, in ms; %s\n", f.Replicas, how)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "calls/s each\ttrips\tp50\tp99\tmax\tany replica p50\tp99\tcalls after it\tthe last of those\t")
	for _, r := range f.Rows {
		fmt.Fprintf(t, "%d\t%d\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%d\t%.2f\t\n", r.Rate, r.Trips,
			ms(r.LastP50), ms(r.LastP99), ms(r.LastMax), ms(r.EachP50), ms(r.EachP99), r.Called, ms(r.PassMax))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if f.Deaf {
		_, err := fmt.Fprintf(out, "bound: %.0f ms, %s\n", ms(f.Bound), met(!f.late()))
		return err
	}
	for _, r := range f.Rows {
		if _, err := fmt.Fprintf(out, "%d calls/s: p50 below 5 ms: %s; p99 below 20 ms: %s\n",
			r.Rate, met(r.LastP50 < goalP50), met(r.LastP99 < goalP99)); err != nil {
			return err
		}
	}
	return nil
}

func met(yes bool) string {
	if yes {
		return "met"
	}
	return "missed"
}

func ms(micro int64) float64 { return float64(micro) / 1000 }
