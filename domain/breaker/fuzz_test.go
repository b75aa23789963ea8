package breaker

import (
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/domain"
)

// FuzzBreaker: any numbers are refused with the name of their field, or compile
// to rules within the protocol's bounds; and then neither layer grants more than
// its probes, makes anybody wait for less than nothing, or gets stuck, whatever
// the tape makes of it.
func FuzzBreaker(f *testing.F) {
	week := int64(7 * 24 * time.Hour)
	tape := []byte{0, 1, 0, 9, 1, 2, 60, 0, 3, 1, 40, 2, 1, 3, 50, 0, 2, 1, 3, 4, 5, 6, 44, 8, 1, 9, 3, 3, 0, 0, 1, 2, 3, 4, 5}
	for _, s := range []struct {
		threshold, minCalls, successes, probes, replicas int
		ratio, quorum                                    float64
		window, recovery, longest, lease, half, version  int64
		sharing                                          uint8
	}{
		{},
		{sharing: 1, threshold: 1},
		{threshold: math.MaxInt, minCalls: math.MaxInt, successes: math.MinInt, probes: -1},
		{threshold: 1 << 31, minCalls: 1 << 31, successes: 1 << 31, probes: 100, replicas: 1 << 31, version: 1<<53 - 1},
		{ratio: 0.001, quorum: 0.001, minCalls: 1, window: 1e6, recovery: 1e6, longest: 1e6, lease: 1e6, half: 1e6},
		{ratio: 1, quorum: 1, window: week, recovery: week, longest: week, lease: week, half: week, sharing: 2},
		{ratio: 0.57, recovery: 1e6, longest: week, successes: 1},
		{ratio: math.NaN(), quorum: math.NaN()},
		{quorum: math.Inf(1)},
		{window: math.MinInt64, recovery: math.MaxInt64},
		{recovery: 1001},
		{replicas: 1},
		{sharing: 3, version: -1},
	} {
		f.Add(s.threshold, s.minCalls, s.successes, s.probes, s.replicas, s.ratio, s.quorum,
			s.window, s.recovery, s.longest, s.lease, s.half, s.version, s.sharing, tape)
	}
	f.Fuzz(func(t *testing.T, threshold, minCalls, successes, probes, replicas int, ratio, quorum float64,
		window, recovery, longest, lease, half, version int64, sharing uint8, tape []byte,
	) {
		policy := domain.CircuitBreaker{
			FailureThreshold: threshold, FailureRatio: ratio, MinCalls: minCalls, Window: time.Duration(window),
			RecoveryTimeout: time.Duration(recovery), MaxRecoveryTimeout: time.Duration(longest),
			SuccessThreshold: successes, Probes: probes, ProbeLease: time.Duration(lease), MaxHalfOpen: time.Duration(half),
			Sharing: domain.Sharing(sharing), MinReplicas: replicas, Quorum: quorum, Version: version,
		}
		if policy.Sharing != domain.ShareLocal { // which has none
			policy.Ramp = policy.MaxHalfOpen
		}
		r, err := Compile(policy)
		if err != nil {
			checkRefusal(t, err)
			return
		}
		checkRules(t, r)
		playLocal(t, policy, tape)
		playFleet(t, r, tape)
	})
}

func checkRefusal(t *testing.T, err error) {
	t.Helper()
	refused, ok := errors.AsType[*domain.PolicyError](err)
	if !ok || !errors.Is(err, domain.ErrInvalidPolicy) {
		t.Fatalf("refused with %v; want a *PolicyError", err)
	}
	switch refused.Field {
	case "FailureThreshold", "FailureRatio", "MinCalls", "Window", "RecoveryTimeout", "MaxRecoveryTimeout", "SuccessThreshold",
		"Probes", "ProbeLease", "MaxHalfOpen", "Ramp", "Sharing", "MinReplicas", "Quorum", "Version":
	default:
		t.Fatalf("%v names the field %q, which has no wrong number", err, refused.Field)
	}
}

// checkRules: what is stored can be read again, and no product leaves 2^53.
func checkRules(t *testing.T, r Rules) {
	t.Helper()
	for i, n := range r.Numbers(nil) {
		least := int64(1)
		if i == 0 || i == 2 || i == 10 { // version, the quorum, which ShareAny has not, and the ramp
			least = 0
		}
		if n < least || n >= 1<<53 {
			t.Fatalf("number %d of %+v is %d", i, r, n)
		}
	}
	if r.QuorumMille > 1000 || r.MinReplicas*fullWeight*1000 >= 1<<53 || r.RecoveryMicro > r.MaxRecoveryMicro ||
		r.MaxRecoveryMicro > longestMicro || r.WindowMicro > longestMicro || r.LeaseMicro > longestMicro || r.HalfOpenMicro > longestMicro {
		t.Fatalf("rules %+v", r)
	}
	if got := r.recovery(math.MaxInt64); got != r.MaxRecoveryMicro {
		t.Fatalf("after many reopenings %+v stays open for %d µs", r, got)
	}
}

// playLocal makes calls, three bytes each: how long after the last one, its
// outcome, and which of those under way it ends.
func playLocal(t *testing.T, policy domain.CircuitBreaker, tape []byte) {
	t.Helper()
	l := NewLocal(policy)
	var now time.Duration
	var under []Ticket
	for step := range slices.Chunk(tape, 3) {
		if len(step) < 3 || now > 1<<60 {
			return
		}
		now += time.Duration(1) << (step[0] % 52)
		epoch := l.Epoch()
		ticket, ok, retry := l.Admit(now)
		if ok {
			under = append(under, ticket)
		} else {
			checkLocalRetry(t, l, now, retry)
		}
		if len(l.out) > l.probes || l.Epoch() < epoch || l.RetryAfter(now) < 0 {
			t.Fatalf("%v: at %v %+v", policy, now, l)
		}
		if len(under) > 0 {
			l.Settle(now, under[int(step[2])%len(under)], domain.Outcome(step[1]%5), 0)
		}
		if e := l.Evidence(now); e.Weight < 0 || e.Weight > fullWeight || e.ForMicro < 0 || e.Calls < 0 || e.Failures < 0 || e.Failures > e.Calls {
			t.Fatalf("%v: evidence %+v", policy, e)
		}
	}
}

// checkLocalRetry: who waits that long is let through, if nobody else was.
func checkLocalRetry(t *testing.T, l Local, now, retry time.Duration) {
	t.Helper()
	l.out = slices.Clone(l.out)
	if retry < 1 {
		t.Fatalf("refused for %v", retry)
	}
	if _, ok, again := l.Admit(now + retry); !ok {
		t.Fatalf("after a wait of %v refused for %v", retry, again)
	}
}

// playFleet lets replicas report, ask and settle, four bytes each time: how long
// after the last one (or before it), who, what, and which token.
func playFleet(t *testing.T, r Rules, tape []byte) {
	t.Helper()
	var fl Fleet
	var view View
	now := int64(1_795_000_000_000_000)
	for step := range slices.Chunk(tape, 4) {
		if len(step) < 4 || now > 1<<52 {
			return
		}
		if now += int64(1) << (step[0] % 44); step[0] >= 250 {
			now -= int64(step[1]) * 10_000_000
		}
		replica, known, before := string(rune('a'+step[1]%5)), view.Epoch, fl.epoch
		if step[2]&0x80 != 0 {
			known = known*uint64(step[3]%3) + uint64(step[3]/3) // another one: none, a late one, a lost one
		}
		if step[2]%3 == 0 {
			view, _ = fl.Report(now, r, Evidence{
				Replica: replica, Seq: uint64(step[3]), Known: known, Weight: int64(step[3]) * 10, Bad: step[2]&4 != 0,
				ForMicro: int64(1) << (step[3] % 64), Leaving: step[2]&0x70 == 0x70,
			})
		} else {
			answer, _ := fl.Probe(now, r, ProbeAsk{
				Replica: replica, Known: known, Token: uint64(step[3] % 8), Settle: step[2]%3 == 1, Outcome: domain.Outcome(step[3] % 5),
			})
			view = answer.View
			if answer.Granted && (answer.ForMicro < 1 || answer.ForMicro > r.LeaseMicro || view.State != domain.StateHalfOpen) {
				t.Fatalf("granted %+v under %+v", answer, r)
			}
		}
		checkFleet(t, &fl, r, view, before)
	}
}

func checkFleet(t *testing.T, f *Fleet, r Rules, v View, before uint64) {
	t.Helper()
	if int64(len(f.leases)) > r.Probes || f.bad < 0 || f.badWeight < 0 || f.allWeight < f.badWeight || f.asked < f.good+f.failed {
		t.Fatalf("%+v under %+v", *f, r)
	}
	if f.epoch < before || v.ForMicro < 0 || v.ForMicro > max(r.MaxRecoveryMicro, r.LeaseMicro) || v.Foreign {
		t.Fatalf("%+v of %+v, whose epoch was %d", v, *f, before)
	}
}
