package breaker

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/holdfast-go/holdfast/domain"
)

// timed makes calls one after the other that take so long: capital letters are slow ones.
func (b *lone) timed(outcomes string) {
	b.t.Helper()
	for _, o := range outcomes {
		took := b.SlowAfter()
		if o >= 'a' && o <= 'z' {
			o -= 'a' - 'A'
		} else {
			took++
		}
		b.Settle(b.now, b.admit(), outcomeOf(o), took)
	}
}

// Case 24: a slow call that succeeds counts to the slow ratio, exactly, with a least number
// of calls; one that fails as well counts once in each.
func TestCase24SlowCalls(t *testing.T) {
	t.Parallel()
	slow := domain.CircuitBreaker{SlowAfter: time.Second, SlowRatio: 0.5, MinCalls: 4, FailureThreshold: 100}
	both := domain.CircuitBreaker{SlowAfter: time.Second, SlowRatio: 0.75, FailureRatio: 0.5, MinCalls: 4}
	thirds := domain.CircuitBreaker{SlowAfter: time.Second, SlowRatio: 2.0 / 3, MinCalls: 3, FailureThreshold: 100}
	for _, tt := range []struct {
		name   string
		policy domain.CircuitBreaker
		calls  string
		want   domain.State
	}{
		{"too few calls", slow, "SSS", closed},
		{"all of them", slow, "SSSS", open},
		{"exactly the ratio", slow, "SsSs", open},
		{"one less", slow, "sSsss", closed},
		{"as long as is allowed is not slow", slow, "ssssssss", closed},
		{"two of three are two thirds", thirds, "SsS", open},
		{"slow failures count as slow", slow, "FsFs", open},
		{"and as failures", both, "FsFs", open},
		{"once in each", both, "FsssFsss", closed},
		{"its own trouble is not the dependency's slowness", slow, "LLLLsL", closed},
		{"what says nothing says nothing slowly", slow, "IIIIIII", closed},
		{"a breaker without it knows no slow calls", domain.CircuitBreaker{MinCalls: 1}, "SSSSSSSS", closed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newLone(t, tt.policy)
			for i, o := range tt.calls {
				if b.State() == open {
					t.Fatalf("it was open after %d of %d calls", i, len(tt.calls))
				}
				b.timed(string(o))
			}
			b.is(tt.want, tt.name)
		})
	}
}

// A slow probe is a failed one: the dependency is not well.
func TestCase24ASlowProbeReopens(t *testing.T) {
	t.Parallel()
	b := newLone(t, domain.CircuitBreaker{
		SlowAfter: time.Second, SlowRatio: 0.5, MinCalls: 2, RecoveryTimeout: time.Minute, SuccessThreshold: 1,
	})
	b.timed("SS")
	b.is(open, "two slow calls")
	b.now += time.Minute
	b.timed("S")
	b.is(open, "a slow probe")
	b.now += 2 * time.Minute
	b.timed("s")
	b.is(closed, "a quick one")
	if e := b.Evidence(b.now); e.Calls != 0 || b.Slow() != 0 {
		t.Errorf("%+v, %d slow; want clean counts", e, b.Slow())
	}
}

// A replica whose calls are slow has an opinion to tell, and what it tells is of the
// window in time.
func TestSlownessIsEvidence(t *testing.T) {
	t.Parallel()
	b := newLone(t, domain.CircuitBreaker{SlowAfter: time.Second, SlowRatio: 0.5, MinCalls: 20, Window: 10 * time.Second})
	b.timed("SsSsS")
	if e := b.Evidence(b.now); !e.Bad || e.Calls != 5 || e.Weight != 250 || b.Slow() != 3 {
		t.Errorf("%+v, %d slow; want it bad by a quarter", e, b.Slow())
	}
	b.now += 11 * time.Second
	b.timed("s")
	if e := b.Evidence(b.now); e.Bad || e.Calls != 1 {
		t.Errorf("%+v; want the slow calls forgotten", e)
	}
}

// With a window of calls it does not matter how long ago they were.
func TestCountWindow(t *testing.T) {
	t.Parallel()
	policy := domain.CircuitBreaker{FailureRatio: 0.5, MinCalls: 4, CountWindow: 6, Window: time.Second}
	b := newLone(t, policy)
	for _, o := range "SSSFF" {
		b.call(string(o))
		b.now += time.Hour
	}
	b.is(closed, "two of five")
	b.call("S")
	b.is(closed, "two of six")
	b.call("F")
	b.is(open, "three of the last six, the first success is forgotten")
	b.now += time.Hour
	b.call("SS")
	b.is(closed, "it has recovered")
	b.call("FFF")
	b.is(closed, "what came before it opened is forgotten, too")
	b.call("F")
	b.is(open, "four of four")

	slow := newLone(t, domain.CircuitBreaker{SlowAfter: time.Second, SlowRatio: 0.5, MinCalls: 2, CountWindow: 2, FailureThreshold: 9})
	slow.timed("Ss")
	slow.is(open, "the same for slow calls")

	b = newLone(t, policy)
	b.call("SSF")
	policy.CountWindow = 8
	b.Configure(policy)
	b.call("FF")
	b.is(closed, "a window of another size begins empty")
	policy.CountWindow = 0
	b.Configure(policy)
	b.now += 2 * time.Second
	b.call("FFFS")
	b.is(open, "without it the window in time counts")
}

// A window of calls is the sum of the last ones, whatever came before.
func TestTheLastCallsAddUp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		size := rapid.IntRange(1, 20).Draw(rt, "size")
		r, all := newLastCalls(size), []tally{}
		for range rapid.IntRange(0, 60).Draw(rt, "calls") {
			one := tally{calls: 1, failures: rapid.Int64Range(0, 1).Draw(rt, "failed"), slow: rapid.Int64Range(0, 1).Draw(rt, "slow")}
			r.count(one)
			all = append(all, one)
			var want tally
			for _, t := range all[max(len(all)-size, 0):] {
				want.add(t, 1)
			}
			if r.sum() != want {
				rt.Fatalf("%+v; want %+v", r.sum(), want)
			}
		}
	})
}

// Under ShareAggregate an opinion is a whole one sooner, and never more than that.
func TestOpinionsOfTheLittleSeen(t *testing.T) {
	t.Parallel()
	for calls, want := range map[string]int64{"F": 200, "FF": 400, "FFFFF": 1000, "FFFFFFFFFFFFFFFF": 1000} {
		b := newLone(t, domain.CircuitBreaker{FailureRatio: 0.9, MinCalls: 20, MinReplicas: 4, Sharing: domain.ShareAggregate})
		b.call(calls)
		if e := b.Evidence(b.now); e.Weight != want || !e.Bad {
			t.Errorf("%d failures: %+v; want a weight of %d", len(calls), e, want)
		}
	}
}
