package policy_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/policy"
)

// TestRoundTrip: the text of every policy that is valid is read back to an equal one.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := policies().Draw(t, "policy")
		if p.Validate() != nil {
			t.Skip()
		}
		got, old, err := policy.Check(p.String())
		if err != nil || got != p || len(old) != 0 {
			t.Errorf("%s\nis %v, %v, %v", p, got, old, err)
		}
	})
}

// policies are one to five layers, nested in any way. Most of them are valid.
func policies() *rapid.Generator[hold.Policy] {
	return rapid.Custom(func(t *rapid.T) hold.Policy {
		layers := rapid.SliceOfN(layer(), 1, 5).Draw(t, "layers")
		if len(layers) > 2 && rapid.Bool().Draw(t, "nested") {
			return hold.Combine(hold.Combine(layers[0], layers[1]), layers[2:]...)
		}
		return hold.Combine(layers[0], layers[1:]...)
	})
}

func layer() *rapid.Generator[hold.Policy] {
	return rapid.OneOf(
		rapid.Just[hold.Policy](hold.None{}),
		rapid.Map(rapid.Custom(retry), as[hold.Retry]), rapid.Map(rapid.Custom(breaker), as[hold.CircuitBreaker]),
		rapid.Map(rapid.Custom(limit), as[hold.RateLimit]), rapid.Map(rapid.Custom(timeout), as[hold.Timeout]),
		rapid.Map(rapid.Custom(bulkhead), as[hold.Bulkhead]), rapid.Map(rapid.Custom(hedge), as[hold.Hedge]),
		rapid.Map(rapid.Custom(exclusive), as[hold.Exclusive]),
	)
}

func as[P hold.Policy](p P) hold.Policy { return p }

// sometimes is one of two: the zero value, which is not written down, and another.
func sometimes[V any](t *rapid.T, g *rapid.Generator[V], name string) V {
	var zero V
	if rapid.Bool().Draw(t, "with "+name) {
		return g.Draw(t, name)
	}
	return zero
}

func period(most time.Duration) *rapid.Generator[time.Duration] {
	return rapid.Map(rapid.Int64Range(1, int64(most/time.Microsecond)), func(n int64) time.Duration {
		if n%3 == 0 { // whole ones, as people write them
			return max(time.Duration(n)*time.Microsecond/time.Second*time.Second, time.Second)
		}
		return time.Duration(n) * time.Microsecond
	})
}

var (
	name  = rapid.StringMatching(`[A-Za-z0-9._-]{1,64}`)
	share = rapid.Float64Range(0.001, 1)
)

func budget(t *rapid.T) hold.RetryBudget {
	return hold.RetryBudget{
		Name: sometimes(t, name, "budget"), Ratio: sometimes(t, share, "ratio"), PerSecond: sometimes(t, rapid.Int64Range(1, 1000), "per second"),
	}
}

func retry(t *rapid.T) hold.Retry {
	kind := rapid.SampledFrom([]hold.BackoffKind{
		hold.BackoffExponential, hold.BackoffFixed, hold.BackoffLinear, hold.BackoffDecorrelated,
	}).Draw(t, "kind")
	b := hold.Backoff{
		Kind: kind, Initial: sometimes(t, period(time.Second), "initial"), Max: sometimes(t, period(time.Hour), "max"),
		Jitter: hold.Jitter(rapid.IntRange(-2, 1000).Draw(t, "jitter")),
	}
	if kind == hold.BackoffExponential {
		b.Multiplier = sometimes(t, rapid.Float64Range(1, 1000), "multiplier")
	}
	if kind == hold.BackoffLinear {
		b.Increment = sometimes(t, period(time.Minute), "increment")
	}
	return hold.Retry{
		MaxAttempts: sometimes(t, rapid.IntRange(-1, 100), "attempts"), Backoff: b,
		MaxElapsed: sometimes(t, period(time.Hour), "elapsed"), Budget: budget(t),
	}
}

func breaker(t *rapid.T) hold.CircuitBreaker {
	b := hold.CircuitBreaker{
		Name: sometimes(t, name, "name"), FailureThreshold: sometimes(t, rapid.IntRange(1, 100), "threshold"),
		FailureRatio: sometimes(t, share, "ratio"), MinCalls: sometimes(t, rapid.IntRange(1, 1000), "calls"),
		Window: sometimes(t, period(time.Minute), "window"), RecoveryTimeout: sometimes(t, period(time.Minute), "recovery"),
		MaxRecoveryTimeout: sometimes(t, period(time.Hour), "longest"), SuccessThreshold: sometimes(t, rapid.IntRange(1, 10), "successes"),
		Probes: sometimes(t, rapid.IntRange(1, 10), "probes"), ProbeLease: sometimes(t, period(time.Minute), "lease"),
		MaxHalfOpen: sometimes(t, period(time.Hour), "half-open"),
		Sharing: rapid.SampledFrom([]hold.Sharing{
			hold.ShareDefault, hold.ShareQuorum, hold.ShareAny, hold.ShareLocal, hold.ShareAggregate,
		}).Draw(t, "sharing"),
		MinReplicas: sometimes(t, rapid.IntRange(1, 10), "replicas"), Quorum: sometimes(t, share, "quorum"),
		Version: sometimes(t, rapid.Int64Range(1, 1<<53-1), "version"),
	}
	if rapid.Bool().Draw(t, "keyed") {
		b.Keyed, b.MaxKeys, b.MaxOpenShare = true, sometimes(t, rapid.IntRange(1, 100), "keys"), sometimes(t, share, "open share")
	} else {
		b.Ramp = sometimes(t, period(time.Hour), "ramp")
	}
	if rapid.Bool().Draw(t, "slow") {
		b.SlowAfter, b.SlowRatio = period(time.Minute).Draw(t, "slow after"), share.Draw(t, "slow ratio")
	}
	b.CountWindow = sometimes(t, rapid.IntRange(1, 10_000), "count window")
	return b
}

func band(t *rapid.T, tokens int64, every time.Duration) hold.Limit {
	return hold.Limit{Tokens: tokens, Period: every, Burst: sometimes(t, rapid.Int64Range(tokens+1, 2*tokens), "burst")}
}

func limit(t *rapid.T) hold.RateLimit {
	p := hold.RateLimit{
		Name: sometimes(t, name, "name"), Limit: band(t, rapid.Int64Range(1, 100).Draw(t, "tokens"), period(time.Second).Draw(t, "period")),
		Keyed: rapid.Bool().Draw(t, "keyed"), Outage: hold.Outage(rapid.IntRange(0, 2).Draw(t, "outage")),
		Carry: hold.Carry(rapid.IntRange(0, 2).Draw(t, "carry")), FirstFill: rapid.Int64Range(-1, 100).Draw(t, "fill"),
		MaxWait: sometimes(t, period(time.Hour), "wait"), Shadow: rapid.Bool().Draw(t, "shadow"), Lease: rapid.Bool().Draw(t, "lease"),
		Version: sometimes(t, rapid.Int64Range(1, 1<<53-1), "version"),
	}
	every := []time.Duration{time.Hour, 24 * time.Hour, 720 * time.Hour}
	for i := range rapid.IntRange(0, 3).Draw(t, "bands") {
		p.Also[i] = band(t, 300<<i, every[i])
	}
	return p
}

func timeout(t *rapid.T) hold.Timeout {
	return hold.Timeout{Duration: period(time.Hour).Draw(t, "timeout")}
}

func bulkhead(t *rapid.T) hold.Bulkhead {
	return hold.Bulkhead{
		MaxConcurrent: rapid.IntRange(1, 1000).Draw(t, "concurrent"), Name: sometimes(t, name, "name"),
		MaxWait: sometimes(t, period(time.Hour), "wait"), Fleet: rapid.Bool().Draw(t, "fleet"),
	}
}

func hedge(t *rapid.T) hold.Hedge {
	return hold.Hedge{Delay: period(time.Minute).Draw(t, "delay"), MaxHedges: sometimes(t, rapid.IntRange(1, 5), "hedges"), Budget: budget(t)}
}

func exclusive(t *rapid.T) hold.Exclusive {
	return hold.Exclusive{
		Name: sometimes(t, name, "name"), MaxHold: sometimes(t, period(time.Hour), "hold"),
		MaxWait: sometimes(t, period(time.Hour), "wait"), Lease: sometimes(t, period(time.Minute), "lease"),
	}
}

// FuzzParse: whatever the text, there is a policy or an error with a column in it, and what
// was read once is read again from its own text.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"retry(max_attempts=3, backoff=exponential(initial=100ms, multiplier=2, max=30s, jitter=full)) > timeout(2s)",
		"rate_limit(10/s, burst=20, also=1000/h, burst=2000, name=api)", "circuit_breaker(name=a, failure_ratio=0.5)",
		"hedge(1s, budget=budget(ratio=.5))", "a(b(c(d", "\xff(=>,)",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := policy.Parse(text)
		if err != nil {
			if p != nil || err.Error() == "" {
				t.Errorf("%v, %v", p, err)
			}
			return
		}
		again, err := policy.Parse(p.String())
		if err != nil || again != p {
			t.Errorf("%q is %s, which is %v, %v", text, p, again, err)
		}
	})
}
