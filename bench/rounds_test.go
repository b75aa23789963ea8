package bench

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A decider is one side of a comparison: a limiter that many callers ask.
type decider func(ctx context.Context, caller, n int) (allowed bool, err error)

// A speed is what one side did in one round.
type speed struct {
	perSecond float64
	allowed   float64 // a second
	cpu       float64 // seconds of the server for a decision; 0 without a server
}

// measure lets callers decide for so long. cpu reads the server's time; nil is no
// server.
func measure(b testing.TB, callers int, long time.Duration, decide decider, cpu func() float64) speed {
	b.Helper()
	ctx := context.Background()
	before := 0.0
	if cpu != nil {
		before = cpu()
	}
	var over atomic.Bool
	var decided, allowed, failed atomic.Int64
	stop := time.AfterFunc(long, func() { over.Store(true) })
	defer stop.Stop()
	start := time.Now()
	var all sync.WaitGroup
	for caller := range callers {
		all.Go(func() {
			n, granted := 0, int64(0)
			for ; !over.Load(); n++ {
				ok, err := decide(ctx, caller, n)
				if err != nil {
					failed.Add(1)
				}
				if ok {
					granted++
				}
			}
			decided.Add(int64(n))
			allowed.Add(granted)
		})
	}
	all.Wait()
	took := time.Since(start)
	if failed.Load() > 0 {
		b.Errorf("%d of %d decisions failed", failed.Load(), decided.Load())
	}
	s := speed{perSecond: float64(decided.Load()) / took.Seconds(), allowed: float64(allowed.Load()) / took.Seconds()}
	if cpu != nil {
		s.cpu = (cpu() - before) / float64(decided.Load())
	}
	return s
}

// Rounds are what two sides did, in turn.
type rounds struct{ theirs, ours []speed }

func (r *rounds) add(theirs, ours speed) {
	r.theirs, r.ours = append(r.theirs, theirs), append(r.ours, ours)
}

func (r *rounds) report(b *testing.B) {
	b.Helper()
	b.ReportMetric(0, "ns/op") // a round has no meaning of its own
	ratios := make([]float64, len(r.ours))
	cpus := make([]float64, len(r.ours))
	var theirs, ours []float64
	for i := range r.ours {
		ratios[i] = r.ours[i].perSecond / r.theirs[i].perSecond
		cpus[i] = r.theirs[i].cpu / r.ours[i].cpu
		theirs, ours = append(theirs, r.theirs[i].perSecond), append(ours, r.ours[i].perSecond)
	}
	b.ReportMetric(median(theirs), "theirs/s")
	b.ReportMetric(median(ours), "ours/s")
	b.ReportMetric(median(ratios), "ratio")
	b.ReportMetric(slices.Min(ratios), "ratio-min")
	b.ReportMetric(slices.Max(ratios), "ratio-max")
	if r.ours[0].cpu > 0 {
		b.ReportMetric(median(cpus), "cpu-ratio")
	}
}

func median(xs []float64) float64 {
	sorted := slices.Sorted(slices.Values(xs))
	return sorted[len(sorted)/2]
}
