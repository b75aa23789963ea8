package bucket

import (
	"errors"
	"math"
	"math/big"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/domain"
)

// A limitSeed is the numbers of a limit and what is done with it, in bytes: see reader.
type limitSeed struct {
	tokens, period, burst, version int64
	outage                         uint8
	tape                           []byte
}

func limitSeeds() []limitSeed {
	const most = math.MaxInt64
	tape := []byte{0, 1, 2, 3, 9, 1, 1, 1, 40, 2, 200, 0, 52, 7, 3, 2, 60, 4, 255, 1, 0, 3, 1, 0, 30, 9, 9, 3}
	return []limitSeed{
		{10, int64(time.Second), 10, 0, 0, tape},
		{1, int64(time.Hour), 1, 1 << 52, 2, tape},
		{1 << 49, 1000, 1 << 49, 0, 1, tape},
		{1, 1000 << 49, 1, 0, 0, tape},
		{1<<49 - 1, most / 1000 * 1000, 0, 0, 0, tape},
		{7, 1000 * (1<<49 - 1), 1, 0, 0, tape},
		{999_983, int64(time.Second), 77, 0, 0, tape},
		{most, most, most, most, 255, tape},
		{-1, -1, -1, -1, 3, tape},
		{10, 1500, 10, 0, 0, nil},
		{3, 1000, 1 << 50, 0, 0, nil},
		{1, 1000, 0, 1 << 53, 0, nil},
		{},
	}
}

// FuzzLimit: any numbers are refused with the name of their field, or compile to
// a rule that loses nothing; and then no tape of asks gets more out of it than
// the burst and what is earned, and each RetryAfter is true.
func FuzzLimit(f *testing.F) {
	for _, s := range limitSeeds() {
		f.Add(s.tokens, s.period, s.burst, s.version, s.outage, s.tape)
	}
	f.Fuzz(func(t *testing.T, tokens, period, burst, version int64, outage uint8, tape []byte) {
		limit := domain.Limit{Tokens: tokens, Period: time.Duration(period), Burst: burst}
		r, err := Compile(domain.RateLimit{Limit: limit, Version: version, Outage: domain.Outage(outage)})
		if err != nil {
			checkRefusal(t, err)
			return
		}
		checkRule(t, limit.WithDefaults(), r)
		playLimit(t, r, tape)
	})
}

func checkRefusal(t *testing.T, err error) {
	t.Helper()
	refused, ok := errors.AsType[*domain.PolicyError](err)
	if !ok || !errors.Is(err, domain.ErrInvalidPolicy) {
		t.Fatalf("refused with %v; want a *PolicyError", err)
	}
	switch refused.Field {
	case "Limit.Tokens", "Limit.Period", "Limit.Burst", "Version", "Outage":
	default:
		t.Fatalf("%v names the field %q, which has no wrong number", err, refused.Field)
	}
}

// checkRule: the rule is the limit in lowest terms, to the last credit.
func checkRule(t *testing.T, l domain.Limit, r Rule) {
	t.Helper()
	product := func(a, b int64) *big.Int { return new(big.Int).Mul(big.NewInt(a), big.NewInt(b)) }
	b := r.Bands[0]
	if r.Count() != 1 || b.Earn < 1 || b.Worth < 1 || b.Full < b.Worth || b.Full > domain.MaxCredits || b.Burst() != l.Burst || b.TokenMicro() < 1 {
		t.Fatalf("%v is %+v", l, r)
	}
	if product(l.Tokens, b.Worth).Cmp(product(l.Period.Microseconds(), b.Earn)) != 0 ||
		new(big.Int).GCD(nil, nil, big.NewInt(b.Earn), big.NewInt(b.Worth)).Cmp(big.NewInt(1)) != 0 {
		t.Fatalf("%v is %+v, which is another rate, or not in lowest terms", l, r)
	}
}

// A reader takes what to do from a fuzzer's bytes, four for each step.
type reader struct{ tape []byte }

func (r *reader) step() (b [4]byte, ok bool) {
	if len(r.tape) < len(b) {
		return b, false
	}
	copy(b[:], r.tape)
	r.tape = r.tape[len(b):]
	return b, true
}

// number is a small number, or one near a bound.
func number(b byte, burst int64) int64 {
	switch b {
	case 255:
		return burst
	case 254:
		return burst + 1
	case 253:
		return math.MaxInt64
	case 252:
		return math.MinInt64
	case 251:
		return -1
	case 250:
		return burst/2 + 1
	default:
		return int64(b)
	}
}

// playLimit asks a bucket what the tape says, on a clock that sometimes steps back.
func playLimit(t *testing.T, r Rule, tape []byte) {
	t.Helper()
	var st State
	clock, latest := int64(start), int64(start)
	granted := new(big.Int)
	in := reader{tape}
	for range 200 {
		b, ok := in.step()
		if !ok {
			return
		}
		if clock += int64(1) << (b[0] % 50); b[0] >= 250 {
			clock -= 6 * int64(b[1]) * 1_000_000
		}
		clock = min(clock, 1<<53)
		latest = max(latest, clock)
		ask := Ask{Cost: number(b[1], r.Burst()), Count: number(b[2], r.Burst()), Turn: b[3]&1 != 0}
		if b[3]&6 == 6 {
			ask.Bill, ask.Count = uint64(b[3]), 1
		}
		a := decide(t, &st, clock, r, ask)
		if ask.Bill == 0 && ask.Cost > 0 {
			granted.Add(granted, new(big.Int).Mul(big.NewInt(a.Granted), big.NewInt(ask.Cost)))
		}
		// A clock that stepped back far re-bases the bucket: what it earned before it may earn again.
		if b[0] >= 250 {
			granted.SetInt64(0)
			st, clock = State{}, latest
			continue
		}
		checkEnvelope(t, r, granted, clock-start)
	}
}

// decide asks once, and checks the answer and the state.
func decide(t *testing.T, st *State, clock int64, r Rule, ask Ask) (a Answer) {
	t.Helper()
	var answers [1]Answer
	foreign := st.Decide(clock, &r, Manner{}, []Ask{ask}, answers[:])
	a = answers[0]
	never := ask.Bill == 0 && (ask.Cost < 0 || ask.Count < 1 || ask.Cost > r.Burst())
	if foreign || a.Granted < 0 || a.Granted > max(ask.Count, 0) || a.Remaining < 0 || a.Remaining > r.Burst() || never != (a.RetryMicro == Never) {
		t.Fatalf("%+v at %d: %+v, foreign %v", ask, clock, a, foreign)
	}
	if a.RetryMicro != Never && (a.RetryMicro < 0 || time.Duration(a.RetryMicro)*time.Microsecond/time.Microsecond != time.Duration(a.RetryMicro)) {
		t.Fatalf("%+v: retry after %d µs", ask, a.RetryMicro)
	}
	if st.Rule != (Rule{}) && (st.Credits[0] < -r.Bands[0].Full || st.Credits[0] > r.Bands[0].Full || st.Turn < 0 || st.Turn > turnMicro || st.FullMicro() < 0) {
		t.Fatalf("%+v left %+v", ask, *st)
	}
	if ask.Bill == 0 && ask.Cost > 0 && !never && a.Granted < ask.Count && clock >= st.AtMicro {
		checkRetry(t, *st, clock, r, ask, a.RetryMicro)
	}
	return a
}

// checkRetry: after waiting so long the next of them is granted, and a moment
// before it is not, unless it is another's turn.
func checkRetry(t *testing.T, st State, clock int64, r Rule, ask Ask, retry int64) {
	t.Helper()
	ask.Count = 1
	var answers [1]Answer
	early, late := st, st
	if late.Decide(clock+retry, &r, Manner{}, []Ask{ask}, answers[:]); answers[0].Granted != 1 {
		t.Fatalf("%+v waited for %d µs and was not granted: %+v", ask, retry, answers[0])
	}
	if early.Decide(clock+retry-1, &r, Manner{}, []Ask{ask}, answers[:]); answers[0].Granted != 0 && !ask.Turn {
		t.Fatalf("%+v need not have waited for %d µs: %+v", ask, retry, answers[0])
	}
}

// checkEnvelope: granted tokens are at most the burst and what was earned.
func checkEnvelope(t *testing.T, r Rule, granted *big.Int, elapsed int64) {
	t.Helper()
	b := r.Bands[0]
	most := new(big.Int).Mul(big.NewInt(b.Earn), big.NewInt(elapsed))
	most.Add(most, big.NewInt(b.Full))
	if new(big.Int).Mul(granted, big.NewInt(b.Worth)).Cmp(most) > 0 {
		t.Fatalf("%v tokens in %d µs under %+v", granted, elapsed, r)
	}
}

// FuzzShare: a replica's part in an outage is never more than the limit divided
// by the replicas, a burst of it aside, whatever the limit and the fleet.
func FuzzShare(f *testing.F) {
	for _, s := range limitSeeds() {
		f.Add(s.tokens, s.period, s.burst, 3, s.tape)
		f.Add(s.tokens, s.period, s.burst, math.MaxInt, s.tape)
	}
	f.Fuzz(func(t *testing.T, tokens, period, burst int64, replicas int, tape []byte) {
		r, err := Compile(domain.RateLimit{Limit: domain.Limit{Tokens: tokens, Period: time.Duration(period), Burst: burst}})
		if err != nil {
			t.Skip("FuzzLimit looks at these")
		}
		playShare(t, r, replicas, tape)
	})
}

func playShare(t *testing.T, r Rule, replicas int, tape []byte) {
	t.Helper()
	var s Share
	earned, taken := new(big.Int), new(big.Int)
	in := reader{tape}
	for {
		b, ok := in.step()
		if !ok {
			return
		}
		elapsed := int64(1) << (b[0] % 50)
		s.Earn(r, replicas, elapsed)
		earned.Add(earned, new(big.Int).Mul(big.NewInt(r.Bands[0].Earn), big.NewInt(elapsed)))
		cost := min(max(number(b[1], r.Burst()), 0), r.Burst())
		passed, retry, _ := s.Take(cost)
		if passed {
			taken.Add(taken, big.NewInt(cost))
		} else {
			if retry < 1 {
				t.Fatalf("%d tokens of %+v among %d are denied for %d µs", cost, r, replicas, retry)
			}
			later := s
			if later.Earn(r, replicas, retry); !pass(&later, cost) {
				t.Fatalf("%d tokens of %+v among %d are not there after %d µs", cost, r, replicas, retry)
			}
		}
		// taken·worth·replicas ≤ earned, and a last cost that went into debt
		spent := new(big.Int).Mul(new(big.Int).Sub(taken, big.NewInt(r.Burst())), big.NewInt(r.Bands[0].Worth))
		if spent.Mul(spent, big.NewInt(max(s.count, 1))).Cmp(earned) > 0 {
			t.Fatalf("%v tokens were taken of %+v among %d, which earned %v", taken, r, replicas, earned)
		}
	}
}

func pass(s *Share, cost int64) bool {
	ok, _, _ := s.Take(cost)
	return ok
}
