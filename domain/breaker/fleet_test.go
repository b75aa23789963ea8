package breaker

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/holdfast-go/holdfast/domain"
)

const start = 1_795_000_000_000_000 // a day in 2026, Unix µs

func rulesOf(t rapid.TB, policy domain.CircuitBreaker) Rules {
	t.Helper()
	rules, err := Compile(policy)
	if err != nil {
		t.Fatalf("%v: %v", policy, err)
	}
	return rules
}

func TestCompile(t *testing.T) {
	t.Parallel()
	second := int64(1e6)
	want := Rules{
		MinReplicas: 2, QuorumMille: 500, WindowMicro: 10 * second, RecoveryMicro: 30 * second, MaxRecoveryMicro: 300 * second,
		Probes: 1, LeaseMicro: 10 * second, Successes: 2, HalfOpenMicro: 30 * second,
	}
	if got := rulesOf(t, domain.CircuitBreaker{}); got != want {
		t.Errorf("the defaults are %+v; want %+v", got, want)
	}
	if got := rulesOf(t, domain.CircuitBreaker{Sharing: domain.ShareAny, MinReplicas: 5, Quorum: 1}); got.MinReplicas != 1 || got.QuorumMille != 0 {
		t.Errorf("any one is enough: %+v", got)
	}
	if _, err := Compile(domain.CircuitBreaker{MinReplicas: 1}); err == nil {
		t.Error("a quorum of one is compiled")
	}
	if got := want.Numbers([]int64{7}); len(got) != 12 || got[0] != 7 || got[2] != 2 || got[10] != 30*second || got[11] != 0 || RulesOf(got[1:]) != want {
		t.Errorf("Numbers = %v", got)
	}
}

func TestBetterIsAStrictOrder(t *testing.T) {
	t.Parallel()
	anyRules := rapid.Custom(func(t *rapid.T) Rules {
		return Rules{
			Version: rapid.Int64Range(0, 2).Draw(t, "version"), MinReplicas: rapid.Int64Range(1, 3).Draw(t, "replicas"),
			Probes: rapid.Int64Range(1, 3).Draw(t, "probes"), HalfOpenMicro: rapid.Int64Range(1, 3).Draw(t, "half-open"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := anyRules.Draw(t, "a"), anyRules.Draw(t, "b"), anyRules.Draw(t, "c")
		if a.better(b) && b.better(a) || (a == b) != (!a.better(b) && !b.better(a)) || a.better(b) && b.better(c) && !a.better(c) {
			t.Fatalf("%+v, %+v, %+v: no order", a, b, c)
		}
	})
}

// Whatever replicas say, in whatever order, and however the clock steps:
//   - epochs only grow, and each change of state has a new one;
//   - at most Probes leases are out;
//   - the counters are what the votes and askers say;
//   - a look changes nothing.
func TestFleetInvariants(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rules := rulesOf(t, domain.CircuitBreaker{
			MinReplicas: rapid.IntRange(2, 3).Draw(t, "replicas"), Probes: rapid.IntRange(1, 3).Draw(t, "probes"),
			Quorum: rapid.SampledFrom([]float64{0.3, 0.5, 0.9}).Draw(t, "quorum"), SuccessThreshold: rapid.IntRange(1, 3).Draw(t, "successes"),
			RecoveryTimeout: time.Second, MaxRecoveryTimeout: 4 * time.Second, ProbeLease: 2 * time.Second, Window: 2 * time.Second,
		})
		var f Fleet
		now, seq := int64(start), uint64(0)
		for range rapid.IntRange(1, 150).Draw(t, "steps") {
			now += rapid.OneOf(rapid.Int64Range(0, 500_000), rapid.Int64Range(-5_000_000, 5_000_000)).Draw(t, "pause")
			epoch, state := f.epoch, f.state
			replica := fmt.Sprint("r", rapid.IntRange(0, 4).Draw(t, "replica"))
			known := f.epoch
			if rapid.IntRange(0, 9).Draw(t, "behind") == 0 {
				known = uint64(rapid.Int64Range(0, now).Draw(t, "known"))
			}
			var view View
			var publish bool
			if f.state == domain.StateClosed && rapid.IntRange(0, 4).Draw(t, "what") > 0 {
				seq++
				view, publish = f.Report(now, rules, Evidence{
					Replica: replica, Seq: seq - rapid.Uint64Range(0, min(seq, 2)).Draw(t, "late"), Known: known, Bad: rapid.Bool().Draw(t, "bad"),
					Weight: rapid.SampledFrom([]int64{0, 300, 1000, 1000}).Draw(t, "weight"), ForMicro: rapid.Int64Range(0, rules.WindowMicro).Draw(t, "for"),
					Leaving: rapid.IntRange(0, 20).Draw(t, "leaving") == 0,
				})
			} else {
				ask := ProbeAsk{Replica: replica, Known: known, Token: rapid.Uint64Range(1, 9).Draw(t, "token")}
				if rapid.Bool().Draw(t, "settle") {
					ask.Settle, ask.Outcome = true, domain.Outcome(rapid.IntRange(0, 3).Draw(t, "outcome"))
				}
				var answer ProbeAnswer
				answer, publish = f.Probe(now, rules, ask)
				view = answer.View
				if answer.Granted && (f.state != domain.StateHalfOpen || answer.ForMicro <= 0 || answer.ForMicro > rules.LeaseMicro) {
					t.Fatalf("%v granted %+v", f.state, answer)
				}
			}
			if f.epoch < epoch || f.state != state && f.epoch == epoch || f.epoch != epoch && epoch != noEpoch && !publish {
				t.Fatalf("from %v, epoch %d, to %v, epoch %d, published %v", state, epoch, f.state, f.epoch, publish)
			}
			if view.Epoch != f.epoch || view.State != f.state || view.ForMicro < 0 || view.ForMicro > rules.MaxRecoveryMicro+rules.LeaseMicro {
				t.Fatalf("the answer is %+v, the breaker %v, epoch %d", view, f.state, f.epoch)
			}
			if int64(len(f.leases)) > rules.Probes {
				t.Fatalf("%d leases are out; at most %d may be", len(f.leases), rules.Probes)
			}
			checkCounters(t, &f)
			if before := fmt.Sprintf("%+v", f); f.View(now).Epoch != f.epoch || fmt.Sprintf("%+v", f) != before {
				t.Fatalf("a look changed %s", before)
			}
		}
	})
}

// A clone keeps its records when those of the one that it was made of are full, and move.
func TestCloneKeepsItsRecords(t *testing.T) {
	t.Parallel()
	var f Fleet
	rules := rulesOf(t, domain.CircuitBreaker{})
	vote := func(n int) {
		f.Report(start, rules, Evidence{Replica: "a", Seq: uint64(n), Known: f.epoch, Bad: n%2 == 0, Weight: int64(n), ForMicro: 1e6})
	}
	for n := range RecordsKept + 1 {
		vote(n + 1)
	}
	clone := f.Clone()
	was := fmt.Sprint(clone.Records())
	vote(RecordsKept + 2)
	if got := fmt.Sprint(clone.Records()); got != was || fmt.Sprint(f.Records()) == was {
		t.Errorf("the clone's records were %s and are %s", was, got)
	}
}

// A clone is not moved by what happens to the one that it was made of.
func TestClone(t *testing.T) {
	t.Parallel()
	rules := rulesOf(t, domain.CircuitBreaker{MinReplicas: 2, Probes: 3})
	closed := &Fleet{}
	for i := range 2 {
		closed.Report(start, rules, Evidence{Replica: strconv.Itoa(i), Seq: 1, Known: closed.epoch, Weight: fullWeight, ForMicro: 1e6})
	}
	halfOpen := closed.Clone()
	for i := range 2 {
		halfOpen.Report(start, rules, Evidence{Replica: strconv.Itoa(i), Seq: 2, Known: halfOpen.epoch, Bad: true, Weight: fullWeight, ForMicro: 1e6})
	}
	now := start + rules.RecoveryMicro
	for token := range uint64(3) {
		halfOpen.Probe(now, rules, ProbeAsk{Replica: "0", Known: halfOpen.epoch, Token: token})
	}
	text := func(f *Fleet) string { return fmt.Sprintf("%+v", *f) }
	for what, f := range map[string]*Fleet{"closed": closed, "half-open": halfOpen} {
		clone, was := f.Clone(), text(f)
		if text(clone) != was {
			t.Errorf("%s: a clone of %s is %s", what, was, text(clone))
		}
		f.Report(now, rules, Evidence{Replica: "0", Seq: 3, Known: f.epoch, ForMicro: 1e6})
		f.Probe(now, rules, ProbeAsk{Replica: "1", Known: f.epoch, Token: 0, Settle: true, Outcome: domain.Failure})
		if text(f) == was || text(clone) != was {
			t.Errorf("%s: %s became %s, and its clone %s", what, was, text(f), text(clone))
		}
	}
}

func checkCounters(t *rapid.T, f *Fleet) {
	var bad, badWeight, allWeight, asked, good, failed int64
	for _, v := range f.votes {
		allWeight += v.weight
		if v.bad {
			bad++
			badWeight += v.weight
		}
	}
	for _, became := range f.seen {
		asked++
		switch became {
		case sawSuccess:
			good++
		case sawNoSuccess:
			failed++
		}
	}
	if bad != f.bad || badWeight != f.badWeight || allWeight != f.allWeight || asked != f.asked || good != f.good || failed != f.failed {
		t.Fatalf("the counters do not fit: %+v", *f)
	}
}

// Votes are kept by name for 1,024 replicas. More of them neither count nor
// break the counters, and one that leaves makes room.
func TestVotesAreBounded(t *testing.T) {
	t.Parallel()
	rules := rulesOf(t, domain.CircuitBreaker{Quorum: 1})
	var f Fleet
	f.Report(start, rules, Evidence{Replica: "first", Seq: 1})
	for i := range 2 * votesKept {
		f.Report(start, rules, Evidence{Replica: fmt.Sprint("r", i), Seq: 1, Known: f.epoch, Weight: 1, ForMicro: 1e7})
	}
	if len(f.votes) != votesKept || f.allWeight != votesKept-1 {
		t.Fatalf("%d votes of weight %d are kept", len(f.votes), f.allWeight)
	}
	f.Report(start, rules, Evidence{Replica: "first", Seq: 2, Known: f.epoch, Leaving: true})
	f.Report(start, rules, Evidence{Replica: "last", Seq: 1, Known: f.epoch, Weight: 1000, ForMicro: 1e7})
	if len(f.votes) != votesKept || f.allWeight != votesKept-1+1000 {
		t.Errorf("%d votes of weight %d after one left and one came", len(f.votes), f.allWeight)
	}
}

// A sim is a fleet that probes a dependency which is down for a while: the model
// behind rule B4. Some replicas stop having traffic, one may be sick on its own,
// and calls may hang while the dependency is down.
type sim struct {
	*rand.Rand
	rules    Rules
	fleet    Fleet
	now      int64
	replicas []simReplica
	heals    int64
	hangs    bool
}

type simReplica struct {
	name   string
	every  int64 // µs between its calls; 0 = no traffic
	again  int64 // when it asks next
	sick   bool
	token  uint64 // of the probe that it makes
	epoch  uint64
	ends   int64 // when that ends
	hanged bool
}

const tick = 20_000 // µs

// step lets each replica end its probe, or ask for one.
func (s *sim) step() {
	s.now += tick
	for i := range s.replicas {
		r := &s.replicas[i]
		if r.token != 0 && s.now >= r.ends {
			outcome := domain.Success
			if s.now < s.heals || r.sick {
				outcome = domain.Failure
			}
			if !r.hanged {
				s.fleet.Probe(s.now, s.rules, ProbeAsk{Replica: r.name, Known: r.epoch, Token: r.token, Settle: true, Outcome: outcome})
			}
			r.token = 0
		}
		if r.every == 0 || r.token != 0 || s.now < r.again || s.fleet.state == domain.StateClosed {
			continue
		}
		token := s.Uint64()
		answer, _ := s.fleet.Probe(s.now, s.rules, ProbeAsk{Replica: r.name, Known: s.fleet.epoch, Token: token})
		r.again = s.now + r.every/2 + s.Int64N(r.every)
		if answer.Granted {
			r.token, r.epoch = token, answer.View.Epoch
			r.hanged = s.hangs && s.now < s.heals
			r.ends = s.now + tick
			if r.hanged {
				r.ends = s.now + answer.ForMicro // it is cancelled when its lease ends, and says nothing
			}
		} else {
			r.again = max(r.again, s.now+answer.View.ForMicro+s.Int64N(answer.View.ForMicro/8+1000)) // as fleet.Breaker has it
		}
	}
}

// Half-open always ends: 1,000 fleets of all kinds close within minutes after
// their dependency has recovered, and not before; meanwhile at most Probes
// leases are ever out.
func TestHalfOpenAlwaysEnds(t *testing.T) {
	t.Parallel()
	for seed := range uint64(1000) {
		s := &sim{Rand: rand.New(rand.NewPCG(seed, 4)), now: start}
		s.rules = rulesOf(t, domain.CircuitBreaker{
			RecoveryTimeout: 10 * time.Second, MaxRecoveryTimeout: 2 * time.Minute, ProbeLease: 5 * time.Second,
			Probes: 1 + s.IntN(3), SuccessThreshold: 1 + s.IntN(3), MinReplicas: 2 + s.IntN(2),
			MaxHalfOpen: []time.Duration{0, time.Minute}[s.IntN(2)], // enough for all to get their turn
		})
		s.hangs = s.IntN(3) == 0
		s.heals = start + int64(20+s.IntN(200))*1e6
		n := []int{1, 2, 2, 3, 5, 8}[s.IntN(6)]
		for i := range n {
			every := []int64{0, 2e6, 200e3, tick}[s.IntN(4)]
			s.replicas = append(s.replicas, simReplica{name: fmt.Sprint("r", i), every: every})
		}
		s.replicas[0].every = 200e3 // one at least keeps its traffic, and is well
		if n > 1 && s.IntN(5) < 2 {
			s.replicas[n-1].sick = true
		}
		s.fleet.begin(s.rules, start, start)
		s.fleet.turn(domain.StateOpen, start, s.rules.recovery(0))

		epoch := s.fleet.epoch
		const patience = 15 * 60 * 1e6
		for s.fleet.state != domain.StateClosed {
			s.step()
			if s.now > s.heals+patience {
				t.Fatalf("seed %d: %v %d s after the dependency has recovered: %+v", seed, s.fleet.state, (s.now-s.heals)/1e6, s)
			}
			if int64(len(s.fleet.leases)) > s.rules.Probes || s.fleet.epoch < epoch {
				t.Fatalf("seed %d: %d leases, epoch %d after %d", seed, len(s.fleet.leases), s.fleet.epoch, epoch)
			}
			epoch = s.fleet.epoch
		}
		if s.now < s.heals {
			t.Fatalf("seed %d: closed %d ms before the dependency has recovered", seed, (s.heals-s.now)/1000)
		}
	}
}

// A dependency that is down is probed ever more rarely: over ten minutes a few
// dozen times, whoever asks how often.
func TestProbesOfADependencyThatIsDown(t *testing.T) {
	t.Parallel()
	for _, hangs := range []bool{false, true} {
		s := &sim{Rand: rand.New(rand.NewPCG(1, 4)), now: start, hangs: hangs, heals: 1 << 62}
		s.rules = rulesOf(t, domain.CircuitBreaker{})
		for i := range 20 {
			s.replicas = append(s.replicas, simReplica{name: fmt.Sprint("r", i), every: tick})
		}
		s.fleet.begin(s.rules, start, start)
		s.fleet.turn(domain.StateOpen, start, s.rules.recovery(0))
		probes, tokens := 0, make(map[uint64]bool)
		for s.now < start+600*1e6 {
			s.step()
			for _, l := range s.fleet.leases {
				if !tokens[l.token] {
					tokens[l.token] = true
					probes++
				}
			}
		}
		if s.fleet.state == domain.StateClosed || probes < 4 || probes > 40 {
			t.Errorf("hangs %v: %v after %d probes in ten minutes", hangs, s.fleet.state, probes)
		}
		t.Logf("hangs %v: %d probes in ten minutes", hangs, probes)
	}
}

func BenchmarkFleetReport(b *testing.B) {
	rules, err := Compile(domain.CircuitBreaker{})
	if err != nil {
		b.Fatal(err)
	}
	for _, replicas := range []int{2, 1000} {
		b.Run(fmt.Sprint(replicas, " replicas"), func(b *testing.B) {
			b.ReportAllocs()
			var f Fleet
			f.Report(start, rules, Evidence{Replica: "r0", Seq: 1})
			names := make([]string, replicas)
			for i := range names {
				names[i] = fmt.Sprint("r", i)
			}
			seq := uint64(1)
			for i := 0; b.Loop(); i++ {
				seq++
				f.Report(start, rules, Evidence{Replica: names[i%replicas], Seq: seq, Known: f.epoch, Weight: 1000, ForMicro: 1e7})
			}
		})
	}
}
