package fleet_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet"
)

// An airport is one replica's way to the store: it counts the reports about each breaker
// that are in the air at the same time. Each takes a while.
type airport struct {
	*line

	mu    sync.Mutex
	air   map[string]int
	most  int
	total int
}

func (a *airport) Report(ctx context.Context, in []port.Report, out []port.View) {
	a.count(in, 1)
	defer a.count(in, -1)
	time.Sleep(airTime)
	a.line.Report(ctx, in, out)
}

const airTime = 40 * time.Millisecond

func (a *airport) count(in []port.Report, sign int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range in {
		a.air[r.Breaker.Name] += sign
		a.most = max(a.most, a.air[r.Breaker.Name])
		a.total += max(sign, 0)
	}
}

// TestOneReportInTheAir: whatever the rate of calls, and however often opinions change,
// a replica has at most one report about a breaker in the air. The outcomes are the worst
// there are: a ratio on its edge, which changes sides all the time, and trips.
func TestOneReportInTheAir(t *testing.T) {
	for _, perSecond := range []int{100, 1_000, 10_000} {
		t.Run(fmt.Sprintf("%d calls a second", perSecond), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				airports := make([]*airport, 3)
				var all sync.WaitGroup
				for i := range airports {
					a := &airport{line: &line{world: w}, air: make(map[string]int)}
					airports[i] = a
					n := w.nodeOn(port.Stores{Breakers: a, Views: a}, domain.CircuitBreaker{
						FailureRatio: 0.5, MinCalls: 1000, RecoveryTimeout: 2 * time.Second, Window: time.Second,
					}, fleet.Config{})
					other, err := n.replica.Breaker(domain.CircuitBreaker{Name: "other", FailureRatio: 0.5, MinCalls: 1 << 20})
					if err != nil {
						t.Fatal(err)
					}
					for caller := range 20 {
						all.Go(func() { hammer(n.Breaker, other, perSecond/20, uint64(100*i+caller)) })
					}
				}
				all.Wait()
				for i, a := range airports {
					a.mu.Lock()
					if a.most != 1 {
						t.Errorf("replica %d had %d reports about one breaker in the air", i, a.most)
					}
					if a.total < 40 {
						t.Errorf("replica %d sent %d reports: nothing was put to the test", i, a.total)
					}
					a.mu.Unlock()
				}
			})
		})
	}
}

// hammer calls through both breakers for half a minute.
func hammer(a, b *fleet.Breaker, perSecond int, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	for range 30 * perSecond {
		time.Sleep(time.Second/time.Duration(perSecond) - time.Duration(rnd.IntN(1000)))
		outcome := domain.Outcome(rnd.IntN(2))
		for _, breaker := range []*fleet.Breaker{a, b} {
			if permit, err := breaker.Acquire(context.Background()); err == nil {
				permit.Report(outcome)
			}
		}
	}
}

// A load is what so many replicas with so many calls each ask of the store in a minute.
type load struct {
	replicas, perSecond int
	failing             float64 // the share of calls that fail
}

// measure returns the calls of the store a second, of the whole fleet: reads are two
// plain commands in a pipeline, the others a script each.
func (l load) measure(t *testing.T) (reads, reports, probes float64) {
	t.Helper()
	const minute = 60
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		nodes := w.nodes(l.replicas, domain.CircuitBreaker{FailureRatio: 0.5, MinCalls: 20})
		rnd := rand.New(rand.NewPCG(1, uint64(l.replicas)))
		var made traffic
		for second := -10; second < minute; second++ { // it settles first
			for range 10 {
				for _, n := range nodes {
					for range max(l.perSecond/10, 1) {
						outcome := domain.Success
						if rnd.Float64() < l.failing {
							outcome = domain.Failure
						}
						_ = n.call(outcome)
					}
				}
				time.Sleep(100 * time.Millisecond)
			}
			for _, n := range nodes {
				c := n.line.count()
				if second >= 0 {
					made.reads += c.reads
					made.reports += c.reports
					made.asks += c.asks + c.settles
				}
			}
		}
		reads, reports, probes = float64(made.reads)/minute, float64(made.reports)/minute, float64(made.asks)/minute
	})
	return reads, reports, probes
}

// TestLoadOfReports is the table in docs/figures.md: what a breaker asks of the store, by
// replicas, calls and the share that fails. Per replica it is two calls a second, of which
// one in a quarter of a window is a report, whatever the calls; failures cost nothing
// until they change an opinion.
func TestLoadOfReports(t *testing.T) {
	var table strings.Builder
	for _, l := range []load{
		{1, 10, 0},
		{10, 10, 0},
		{10, 1_000, 0},
		{100, 10, 0},
		{100, 100, 0},
		{10, 100, 0.01},
		{10, 100, 0.1},
		{10, 100, 0.3},
		{10, 100, 0.49},
		{10, 100, 1},
		{100, 100, 0.1},
		{100, 100, 1},
	} {
		reads, reports, probes := l.measure(t)
		n := float64(l.replicas)
		fmt.Fprintf(&table, "| %d | %d | %.0f %% | %.1f | %.1f | %.2f |\n", l.replicas, l.perSecond, 100*l.failing, reads, reports, probes)
		trips := l.failing > 0.4
		if reads+reports > 2.1*n || (reports > 0.42*n && !trips) || (probes > 0 && !trips) || probes > 1.5+n/20 {
			t.Errorf("%+v: %.2f reads, %.2f reports and %.2f probe calls a second", l, reads, reports, probes)
		}
	}
	t.Logf("store calls a second of the whole fleet\n| replicas | calls/s each | failing | reads | reports | probe calls |\n|---|---|---|---|---|---|\n%s", table.String())
}
