package bucket

import (
	"math"
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/holdfast-go/holdfast/domain"
)

const start = 1_795_000_000_000_000 // a day in 2026, Unix µs

func ruleOf(t testing.TB, l domain.Limit) Rule {
	t.Helper()
	r, err := Compile(domain.RateLimit{Limit: l})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (st *State) decideOne(nowMicro int64, r Rule, ask Ask) (a Answer) {
	st.DecideOne(nowMicro, &r, Manner{}, &ask, &a)
	return a
}

// anyState draws a bucket that was just asked under the rule.
func anyState(t *rapid.T, r Rule) State {
	st := State{AtMicro: start, Rule: r}
	for i, b := range r.Bands {
		st.Credits[i] = rapid.Int64Range(-b.Full, b.Full).Draw(t, "credits")
	}
	return st
}

// anyAsk draws asks that callers make, and some that none should.
func anyAsk(t *rapid.T, r Rule) Ask {
	switch rapid.IntRange(0, 20).Draw(t, "kind") {
	case 0:
		return Ask{Cost: rapid.Int64Range(-5, r.Burst()*2).Draw(t, "tokens"), Count: 1, Bill: rapid.Uint64Range(1, 12).Draw(t, "bill")}
	case 1:
		return Ask{Cost: rapid.Int64().Draw(t, "cost"), Count: rapid.Int64().Draw(t, "count"), Turn: rapid.Bool().Draw(t, "turn")}
	default:
		return Ask{
			Cost:  rapid.OneOf(rapid.Int64Range(0, 5), rapid.Int64Range(0, r.Burst()+1)).Draw(t, "cost"),
			Count: rapid.Int64Range(1, 5).Draw(t, "count"),
			Turn:  rapid.Bool().Draw(t, "turn"),
		}
	}
}

// anyPause draws how far a clock goes on, in µs: often just to where something
// happens.
func anyPause(t *rapid.T, r Rule) int64 {
	b := r.Bands[rapid.IntRange(0, r.Count()-1).Draw(t, "band")]
	return rapid.OneOf(
		rapid.Just(int64(0)), rapid.Int64Range(0, 3), rapid.Just(b.TokenMicro()), rapid.Int64Range(0, 3*b.TokenMicro()),
		rapid.Int64Range(0, b.micro(b.Full)+1),
	).Draw(t, "pause")
}

// In any interval a bucket grants at most its burst and what it earns in it,
// whatever is asked, and however the clock steps back by up to five seconds.
// Bills are charged for tokens admitted elsewhere, and can only lower that.
func TestEnvelope(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rule := anyRule(t, "rule")
		// A grant is at the latest time that the bucket was told: it does not
		// remember what it denied, so neither the times of that.
		type grant struct{ at, tokens *big.Int }
		var grants []grant
		var st State
		clock := int64(start)
		for range rapid.IntRange(1, 40).Draw(t, "asks") {
			clock += anyPause(t, rule)
			now := clock
			if rapid.IntRange(0, 9).Draw(t, "step") == 0 {
				now -= rapid.Int64Range(0, skewMicro).Draw(t, "back")
			}
			ask, told := anyAsk(t, rule), st.AtMicro
			got := st.decideOne(now, rule, ask)
			if got.Granted < 0 || got.Granted > max(ask.Count, 0) || got.Remaining < 0 || got.Remaining > rule.Burst() {
				t.Fatalf("Decide(%+v) = %+v", ask, got)
			}
			if got.Granted > 0 && ask.Cost > 0 && ask.Bill == 0 {
				spent := new(big.Int).Mul(big.NewInt(got.Granted), big.NewInt(ask.Cost))
				if told = max(told, now); st.AtMicro != told {
					t.Fatalf("the bucket is at %d after a grant at %d", st.AtMicro, told)
				}
				grants = append(grants, grant{big.NewInt(told), spent})
			}
			for i, b := range rule.Bands {
				if st.Credits[i] < -b.Full || st.Credits[i] > b.Full {
					t.Fatalf("%d credits in band %d, outside of ±%d", st.Credits[i], i, b.Full)
				}
			}
		}
		for i := range grants {
			sum := new(big.Int)
			for j := i; j < len(grants); j++ {
				sum.Add(sum, grants[j].tokens)
				elapsed := new(big.Int).Sub(grants[j].at, grants[i].at)
				for k, b := range rule.Bands {
					most := new(big.Int).Mul(elapsed, big.NewInt(b.Earn))
					most.Add(most, big.NewInt(b.Full))
					if k < rule.Count() && new(big.Int).Mul(sum, big.NewInt(b.Worth)).Cmp(most) > 0 {
						t.Fatalf("grants %d to %d are %d tokens; at most %d credits in band %d", i, j, sum, most, k)
					}
				}
			}
		}
	})
}

// No refill is lost: who takes all there is whenever there is any gets, to the
// last credit, the burst and everything earned; asking in vain changes nothing.
func TestNoRefillIsLost(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rule := anySimpleRule(t, "rule")
		band := rule.Bands[0]
		var st State
		now, got := int64(start), new(big.Int)
		take := func() {
			a := st.decideOne(now, rule, Ask{Cost: 1, Count: math.MaxInt64})
			got.Add(got, big.NewInt(a.Granted))
			if a.RetryMicro < 1 || a.RetryMicro > band.TokenMicro() {
				t.Fatalf("the next token in %d µs; want at most %d", a.RetryMicro, band.TokenMicro())
			}
		}
		take()
		for range rapid.IntRange(1, 50).Draw(t, "takes") {
			now = rapid.Int64Range(now, st.AtMicro+ceilDiv(band.Full-st.Credits[0], band.Earn)-1).Draw(t, "time") // not so late that it is full
			for range rapid.IntRange(0, 3).Draw(t, "vain") {
				all := st.decideOne(now, rule, Ask{Cost: rule.Burst(), Count: 1, Turn: true})
				got.Add(got, big.NewInt(all.Granted*rule.Burst()))
				st.decideOne(now, rule, Ask{Count: 1})
			}
			take()
		}
		earned := new(big.Int).Mul(big.NewInt(now-start), big.NewInt(band.Earn))
		earned.Add(earned, big.NewInt(band.Full))
		spent := new(big.Int).Mul(got, big.NewInt(band.Worth))
		if left := earned.Sub(earned, spent); left.Sign() < 0 || left.Cmp(big.NewInt(band.Worth)) >= 0 {
			t.Fatalf("%d credits are missing after %d tokens; want less than one token's %d", left, got, band.Worth)
		}
	})
}

// Waiting exactly as long as told succeeds, and a µs less does not.
func TestRetryAfterIsExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rule := anyRule(t, "rule")
		st := anyState(t, rule)
		ask := Ask{Cost: rapid.Int64Range(1, rule.Burst()).Draw(t, "cost"), Count: 1, Turn: rapid.Bool().Draw(t, "turn")}
		before := st
		got := st.decideOne(start, rule, ask)
		if got.Granted == 1 {
			t.Skip("nothing to wait for")
		}
		early, late := st, st
		if a := early.decideOne(start+got.RetryMicro-1, rule, ask); a.Granted != 0 {
			t.Fatalf("a µs before RetryMicro %d: %+v from %+v", got.RetryMicro, a, before)
		}
		if a := late.decideOne(start+got.RetryMicro, rule, ask); a.Granted != 1 {
			t.Fatalf("after RetryMicro %d: %+v from %+v", got.RetryMicro, a, before)
		}
	})
}

// A call of several is the same as several calls of one, and asks in one
// decision the same as decisions at one time; only a turn is shared.
func TestCase38ManyAreAsOneByOne(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rule := anyRule(t, "rule")
		st := anyState(t, rule)
		single, batch := st, st
		ask := Ask{Cost: rapid.Int64Range(1, rule.Burst()).Draw(t, "cost"), Count: rapid.Int64Range(1, 20).Draw(t, "count")}
		many := st.decideOne(start, rule, ask)
		var granted int64
		asks, answers := make([]Ask, ask.Count), make([]Answer, ask.Count)
		for i := range asks {
			asks[i] = Ask{Cost: ask.Cost, Count: 1}
			granted += single.decideOne(start, rule, asks[i]).Granted
		}
		batch.Decide(start, &rule, Manner{}, asks, answers)
		if many.Granted != granted || single != st || batch != st {
			t.Fatalf("%d at once: %d granted, %+v\none by one: %d granted, %+v\nin a batch: %+v",
				ask.Count, many.Granted, st, granted, single, batch)
		}
	})
}

// A bucket that is full answers as one that is not there, so that expiry decides
// nothing; before that it does not.
func TestFullIsAsGoodAsNone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rule, other := anyRule(t, "rule"), anyRule(t, "other")
		var st State
		for range rapid.IntRange(1, 10).Draw(t, "asks") {
			st.decideOne(start, rapid.SampledFrom([]Rule{rule, rule, other}).Draw(t, "whose"), anyAsk(t, rule))
		}
		if st == (State{}) {
			t.Skip("nothing was kept")
		}
		now := st.AtMicro + st.FullMicro()
		whose, ask := rapid.SampledFrom([]Rule{rule, other}).Draw(t, "whose"), anyAsk(t, rule)
		kept, none := st, State{}
		if a, b := kept.decideOne(now, whose, ask), none.decideOne(now, whose, ask); a != b || kept != none && none != (State{}) {
			t.Fatalf("at %d µs: %+v, %+v\nwithout the bucket: %+v, %+v", st.FullMicro(), a, kept, b, none)
		}
		if st.FullMicro() > 0 {
			before := st
			if before.advance(now - 1); before.isFull() {
				t.Fatalf("full already a µs before: %+v", before)
			}
		}
	})
}

// Case 8: peeks, however many and whoever's, change nothing.
func TestCase08PeeksChangeNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rule, other := anyRule(t, "rule"), anyRule(t, "other")
		st := anyState(t, rule)
		before := st
		for range 5 {
			now := start + rapid.Int64Range(-1e10, 1e10).Draw(t, "elapsed")
			got := st.decideOne(now, rapid.SampledFrom([]Rule{rule, other}).Draw(t, "whose"), Ask{Count: 3})
			if got.Granted != 3 || st != before {
				t.Fatalf("a peek: %+v, and %+v became %+v", got, before, st)
			}
		}
	})
}

// Two versions that take turns within a minute mint nothing, whatever their
// numbers: together they are granted at most the larger burst and what the
// faster rate earns.
func TestAlternatingVersionsMintNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		some := func(label string) Rule {
			l := domain.PerSecond(rapid.OneOf(rapid.Int64Range(1, 20), rapid.Int64Range(1, 2000)).Draw(t, label+" tokens"))
			l.Burst = rapid.OneOf(rapid.Int64Range(1, 20), rapid.Int64Range(1, 5000)).Draw(t, label+" burst")
			r, err := Compile(domain.RateLimit{Limit: l, Version: rapid.Int64Range(0, 1).Draw(t, label+" version")})
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		rules := []Rule{some("a"), some("b")}
		how := rapid.SampledFrom([]domain.Carry{domain.CarryProportion, domain.CarryTokens}).Draw(t, "carry")
		var st State
		now, granted := int64(start), int64(0)
		for now < start+claimMicro/2 {
			whose := rapid.SampledFrom(rules).Draw(t, "whose")
			var a Answer
			ask := Ask{Cost: 1, Count: rapid.SampledFrom([]int64{1, 10, 10_000}).Draw(t, "count")}
			st.DecideOne(now, &whose, Manner{Carry: how}, &ask, &a)
			granted += a.Granted
			now += rapid.OneOf(rapid.Int64Range(0, 1000), rapid.Int64Range(0, 5_000_000)).Draw(t, "pause")
		}
		most := new(big.Rat)
		for _, r := range rules { // the larger burst, the faster rate
			fast := new(big.Rat).Mul(big.NewRat(now-start, 1), big.NewRat(r.Bands[0].Earn, r.Bands[0].Worth))
			for _, other := range rules {
				if sum := new(big.Rat).Add(fast, big.NewRat(other.Burst(), 1)); sum.Cmp(most) > 0 {
					most = sum
				}
			}
		}
		if big.NewRat(granted, 1).Cmp(most) > 0 {
			t.Fatalf("%d granted in %d µs; at most %s", granted, now-start, most.FloatString(1))
		}
	})
}

// A bill is charged once, however often it comes, among the last eight.
func TestBillsAreChargedOnce(t *testing.T) {
	t.Parallel()
	rule := ruleOf(t, domain.PerSecond(100))
	var st State
	for round := range 3 {
		for bill := range uint64(billsKept) {
			st.decideOne(start, rule, Ask{Cost: 2, Count: 1, Bill: bill + 1})
		}
		if b := rule.Bands[0]; st.Credits[0] != b.Full-2*billsKept*b.Worth {
			t.Fatalf("round %d: %d credits; want each bill charged once", round, st.Credits[0])
		}
	}
	st.decideOne(start, rule, Ask{Cost: 1000, Count: 1, Bill: 99})
	st.decideOne(start, rule, Ask{Cost: 1000, Count: 1, Bill: 100})
	if st.Credits[0] != -rule.Bands[0].Full {
		t.Errorf("%d credits; want a debt of one burst at most", st.Credits[0])
	}
}

// A zero State is full and may be dropped.
func TestZeroState(t *testing.T) {
	t.Parallel()
	var st State
	if got := st.FullMicro(); got != 0 {
		t.Errorf("FullMicro() = %d; want 0", got)
	}
	rule := ruleOf(t, domain.PerSecond(1))
	if foreign := st.Decide(start, &rule, Manner{}, nil, nil); foreign || st != (State{}) {
		t.Errorf("deciding nothing: %v, %+v", foreign, st)
	}
}

func BenchmarkDecide(b *testing.B) {
	rule := ruleOf(b, domain.PerSecond(1_000_000_000).WithBurst(1000))
	empty := ruleOf(b, domain.Per(1, time.Hour))
	benchmarks := map[string]func(b *testing.B){
		"allowed": func(b *testing.B) {
			var st State
			asks, answers := [1]Ask{{Cost: 1, Count: 1}}, [1]Answer{}
			for now := int64(start); b.Loop(); now++ {
				st.Decide(now, &rule, Manner{}, asks[:], answers[:])
			}
		},
		"denied": func(b *testing.B) {
			var st State
			asks, answers := [1]Ask{{Cost: 1, Count: 1}}, [1]Answer{}
			for now := int64(start); b.Loop(); now++ {
				st.Decide(now, &empty, Manner{}, asks[:], answers[:])
			}
		},
		"a flight of 64": func(b *testing.B) {
			var st State
			asks, answers := [64]Ask{}, [64]Answer{}
			for i := range asks {
				asks[i] = Ask{Cost: 1, Count: 1, Turn: true}
			}
			for now := int64(start); b.Loop(); now++ {
				st.Decide(now, &rule, Manner{}, asks[:], answers[:])
			}
		},
	}
	for name, f := range benchmarks {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			f(b)
		})
	}
}
