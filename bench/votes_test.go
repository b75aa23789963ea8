package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
	"github.com/holdfast-go/holdfast/domain/port"
	redisstore "github.com/holdfast-go/holdfast/store/redis"
)

// An electorate is the replicas of one breaker, as far as the store sees them: their
// reports, one at a time.
type electorate struct {
	tb     testing.TB
	store  port.BreakerStore
	id     port.ID
	rules  breaker.Rules
	epoch  uint64
	seq    uint64
	names  []string
	lasts  time.Duration
	latest port.View
}

// newElectorate has every replica say that all is well.
func newElectorate(tb testing.TB, stores port.Stores, name string, replicas int) *electorate {
	tb.Helper()
	rules, err := breaker.Compile(domain.CircuitBreaker{Name: name})
	if err != nil {
		tb.Fatal(err)
	}
	e := &electorate{tb: tb, store: stores.Breakers, id: port.ID{Name: name}, rules: rules, lasts: domain.DefaultWindow}
	for i := range replicas {
		e.names = append(e.names, fmt.Sprintf("%022x", i))
		e.report(i, false)
		e.epoch = e.latest.Epoch
	}
	return e
}

// report has one replica say what it thinks, with full weight.
func (e *electorate) report(who int, bad bool) {
	e.seq++
	in := []port.Report{{Breaker: e.id, Rules: e.rules, Evidence: breaker.Evidence{
		Replica: e.names[who], Seq: e.seq, Known: e.epoch, Calls: 100 + int64(e.seq%900), Weight: 1000, Bad: bad, ForMicro: e.lasts.Microseconds(),
	}}}
	out := make([]port.View, 1)
	e.store.Report(context.Background(), in, out)
	if out[0].Err != nil {
		e.tb.Fatal(out[0].Err)
	}
	e.latest = out[0]
}

// perScript is what one script took the server since its statistics were reset, in µs, and
// how many there were.
func perScript(tb testing.TB, client *redis.Client) (micro float64, calls int) {
	tb.Helper()
	info, err := client.Info(context.Background(), "commandstats").Result()
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(info) {
		if rest, ok := strings.CutPrefix(line, "cmdstat_evalsha:"); ok {
			var all int
			if _, err := fmt.Sscanf(rest, "calls=%d,usec=%d,usec_per_call=%f", &calls, &all, &micro); err != nil {
				tb.Fatal(err)
			}
		}
	}
	return micro, calls
}

// votesCounted is over how many reports one is measured.
const votesCounted = 2000

// A cost is what the server spent on one script: by its own count, which a busy machine
// makes longer, and of its processor, all that belongs to a call with it.
type cost struct{ micro, cpuMicro float64 }

// costs makes a script run so often, and returns what one cost.
func costs(b *testing.B, client *redis.Client, script func()) cost {
	b.Helper()
	if err := client.ConfigResetStat(context.Background()).Err(); err != nil {
		b.Fatal(err)
	}
	used := (&rig{client: client}).cpu(b)
	before := used()
	for range votesCounted {
		script()
	}
	spent := used() - before
	micro, calls := perScript(b, client)
	if calls < votesCounted {
		b.Fatalf("the server counted %d scripts of %d", calls, votesCounted)
	}
	return cost{micro, spent * 1e6 / votesCounted}
}

// empty is a script that does nothing, with as many arguments as a report, and as long an
// answer.
func empty(b *testing.B, client *redis.Client) func() {
	b.Helper()
	script := redis.NewScript("return {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}")
	args := make([]any, 24)
	for i := range args {
		args[i] = 1_000_000 * i
	}
	return func() {
		if err := script.Run(context.Background(), client, []string{"bench:{cempty}"}, args...).Err(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVotes: what one report costs Redis (usec_per_call of evalsha, and processor
// time), for so many replicas that have a vote; beside a script that does nothing, in turn.
//
//	go test -run '^$' -bench Votes -benchtime 10x
func BenchmarkVotes(b *testing.B) {
	for _, replicas := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprintf("replicas=%d", replicas), func(b *testing.B) {
			client := serve(b)()
			e := newElectorate(b, redisstore.New(client, "bench", redisstore.Options{}).Stores(), "payments", replicas)
			nothing := empty(b, client)
			nothing() // it is there
			var took, cpu, least, leastCPU []float64
			for b.Loop() {
				for i := range replicas {
					e.report(i, false) // none of them grows old
				}
				report := costs(b, client, func() { e.report(rand.IntN(replicas), false) })
				took, cpu = append(took, report.micro), append(cpu, report.cpuMicro)
				none := costs(b, client, nothing)
				least, leastCPU = append(least, none.micro), append(leastCPU, none.cpuMicro)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(took), "µs/report")
			b.ReportMetric(slices.Min(took), "µs/report-min")
			b.ReportMetric(slices.Max(took), "µs/report-max")
			b.ReportMetric(median(cpu), "cpu-µs/report")
			b.ReportMetric(median(least), "µs/nothing")
			b.ReportMetric(median(leastCPU), "cpu-µs/nothing")
		})
	}
}

// BenchmarkTheTrip: for how long the report that trips stops Redis, by its slow log, for
// so many replicas that have a vote: it sweeps the votes, voids them all and begins an
// epoch. One breaker a round.
//
//	go test -run '^$' -bench TheTrip -benchtime 50x
func BenchmarkTheTrip(b *testing.B) {
	for _, replicas := range []int{2, 10, 100, 1000} {
		b.Run(fmt.Sprintf("replicas=%d", replicas), func(b *testing.B) {
			client := serve(b)()
			stores := redisstore.New(client, "bench", redisstore.Options{}).Stores()
			var took []float64
			for round := 0; b.Loop(); round++ {
				e := newElectorate(b, stores, fmt.Sprint("payments", round), replicas)
				took = append(took, float64(e.trip(client).Microseconds()))
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(took), "µs/trip")
			b.ReportMetric(slices.Max(took), "µs/trip-max")
		})
	}
}

// trip has half of the replicas say that all is bad, two at least, and returns how long
// the last of those reports took the server.
func (e *electorate) trip(client *redis.Client) time.Duration {
	e.tb.Helper()
	needed := max(2, (len(e.names)+1)/2)
	for i := range needed - 1 {
		e.report(i, true)
	}
	if e.latest.State != domain.StateClosed {
		e.tb.Fatalf("it opened by fewer than %d of %d", needed, len(e.names))
	}
	ctx := context.Background()
	e.must(client.ConfigSet(ctx, "slowlog-log-slower-than", "0").Err())
	e.must(client.SlowLogReset(ctx).Err())
	e.report(needed-1, true)
	e.must(client.ConfigSet(ctx, "slowlog-log-slower-than", "-1").Err())
	if e.latest.State != domain.StateOpen {
		e.tb.Fatalf("it did not open by %d of %d", needed, len(e.names))
	}
	slow, err := client.SlowLogGet(ctx, 16).Result()
	e.must(err)
	for _, entry := range slow {
		if strings.EqualFold(entry.Args[0], "evalsha") {
			return entry.Duration
		}
	}
	e.tb.Fatalf("the script is not in the slow log: %v", slow)
	return 0
}

func (e *electorate) must(err error) {
	e.tb.Helper()
	if err != nil {
		e.tb.Fatal(err)
	}
}

// What the benchmarks measure is what they say: reports that count, and one that trips.
func TestElectorate(t *testing.T) {
	client := serve(t)()
	e := newElectorate(t, redisstore.New(client, "bench", redisstore.Options{}).Stores(), "payments", 5)
	if votes, err := client.HLen(t.Context(), "bench:{cpayments}").Result(); err != nil || votes < 5 {
		t.Errorf("%d fields, %v", votes, err)
	}
	if took := e.trip(client); took <= 0 {
		t.Errorf("the trip took %v", took)
	}
}
