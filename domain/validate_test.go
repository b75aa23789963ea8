package domain_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	hold "github.com/holdfast-go/holdfast/domain"
)

// wantField checks that err is a *hold.PolicyError about field; "" wants no error.
func wantField(t *testing.T, err error, field string) {
	t.Helper()
	if field == "" {
		if err != nil {
			t.Errorf("Validate() = %v; want nil", err)
		}
		return
	}
	policyError, ok := errors.AsType[*hold.PolicyError](err)
	if !ok || policyError.Field != field || !errors.Is(err, hold.ErrInvalidPolicy) {
		t.Errorf("Validate() = %v; want a *PolicyError about %s", err, field)
		return
	}
	if text := err.Error(); !strings.Contains(text, field) || policyError.Reason == "" || policyError.Policy == "" {
		t.Errorf("Validate() = %q; want the policy, the field and a reason in it", text)
	}
}

func TestValidateRetry(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		policy hold.Retry
		field  string
	}{
		{"the zero value makes 3 attempts", hold.Retry{}, ""},
		{"one attempt never retries", hold.Retry{MaxAttempts: 1}, ""},
		{"no count", hold.Retry{MaxAttempts: hold.UnlimitedAttempts}, ""},
		{"below no count", hold.Retry{MaxAttempts: -2}, "MaxAttempts"},
		{"time runs backwards", hold.Retry{MaxElapsed: -1}, "MaxElapsed"},
		{"a budget of a tenth", hold.Retry{Budget: hold.RetryBudget{Name: "a", Ratio: 0.1}}, ""},
		{"a budget of every call, and the most a second", hold.Retry{Budget: hold.RetryBudget{Ratio: 1, PerSecond: hold.MaxBudgetPerSecond}}, ""},
		{"percent for a budget", hold.Retry{Budget: hold.RetryBudget{Ratio: 10}}, "Budget.Ratio"},
		{"a negative budget", hold.Retry{Budget: hold.RetryBudget{Ratio: -0.1}}, "Budget.Ratio"},
		{"a budget that is no number", hold.Retry{Budget: hold.RetryBudget{Ratio: math.NaN()}}, "Budget.Ratio"},
		{"a budget of less than can be counted", hold.Retry{Budget: hold.RetryBudget{Ratio: 1e-7}}, "Budget.Ratio"},
		{"negative retries a second", hold.Retry{Budget: hold.RetryBudget{PerSecond: -1}}, "Budget.PerSecond"},
		{"more retries a second than any fleet makes", hold.Retry{Budget: hold.RetryBudget{PerSecond: hold.MaxBudgetPerSecond + 1}}, "Budget.PerSecond"},
		{"a budget that bounds nothing", hold.Retry{Budget: hold.RetryBudget{Name: "a"}}, "Budget"},
		{"a budget of no name", hold.Retry{Budget: hold.RetryBudget{Name: "a b", Ratio: 1}}, "Budget.Name"},
		{"an unknown backoff", hold.Retry{Backoff: hold.Backoff{Kind: 4}}, "Backoff.Kind"},
		{"a negative pause", hold.Retry{Backoff: hold.Fixed(-1)}, "Backoff.Initial"},
		{"a negative growth", hold.Retry{Backoff: hold.Linear(0, -1)}, "Backoff.Increment"},
		{"a growth that fixed ignores", hold.Retry{Backoff: hold.Backoff{Kind: hold.BackoffFixed, Increment: 1}}, "Backoff.Increment"},
		{"a negative cap", hold.Retry{Backoff: hold.Exponential(0, 0, -1)}, "Backoff.Max"},
		{"a cap below the start", hold.Retry{Backoff: hold.Exponential(2*time.Second, 0, time.Second)}, "Backoff.Max"},
		{"a cap below the default start", hold.Retry{Backoff: hold.Exponential(0, 0, time.Millisecond)}, "Backoff.Max"},
		{"a start above the default cap raises it", hold.Retry{Backoff: hold.Exponential(time.Hour, 0, 0)}, ""},
		{"a multiplier that shrinks", hold.Retry{Backoff: hold.Exponential(0, 0.5, 0)}, "Backoff.Multiplier"},
		{"a negative multiplier", hold.Retry{Backoff: hold.Exponential(0, -2, 0)}, "Backoff.Multiplier"},
		{"a multiplier that is no number", hold.Retry{Backoff: hold.Exponential(0, math.NaN(), 0)}, "Backoff.Multiplier"},
		{"an infinite multiplier", hold.Retry{Backoff: hold.Exponential(0, math.Inf(1), 0)}, "Backoff.Multiplier"},
		{"a multiplier of one is a fixed pause", hold.Retry{Backoff: hold.Exponential(0, 1, 0)}, ""},
		{"a multiplier for linear", hold.Retry{Backoff: hold.Backoff{Kind: hold.BackoffLinear, Multiplier: 2}}, "Backoff.Multiplier"},
		{"a jitter below the named ones", hold.Retry{Backoff: hold.Backoff{Jitter: -3}}, "Backoff.Jitter"},
		{"a jitter above the whole", hold.Retry{Backoff: hold.Backoff{Jitter: 1001}}, "Backoff.Jitter"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			wantField(t, tt.policy.Validate(), tt.field)
		})
	}
}

func TestValidateRateLimit(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		policy hold.RateLimit
		field  string
	}{
		{"a limit is required", hold.RateLimit{}, "Limit.Tokens"},
		{"ten a second", hold.RateLimit{Limit: hold.PerSecond(10)}, ""},
		{"less than one a second", hold.RateLimit{Limit: hold.Per(1, time.Hour)}, ""},
		{"no tokens", hold.RateLimit{Limit: hold.PerSecond(0)}, "Limit.Tokens"},
		{"negative tokens", hold.RateLimit{Limit: hold.PerSecond(-1)}, "Limit.Tokens"},
		{"more tokens than can be counted", hold.RateLimit{Limit: hold.PerSecond(math.MaxInt64)}, "Limit.Tokens"},
		{"no period", hold.RateLimit{Limit: hold.Per(1, 0)}, "Limit.Period"},
		{"a negative period", hold.RateLimit{Limit: hold.Per(1, -time.Second)}, "Limit.Period"},
		{"a period that is not whole microseconds", hold.RateLimit{Limit: hold.Per(1, 1500*time.Nanosecond)}, "Limit.Period"},
		{"a negative burst", hold.RateLimit{Limit: hold.PerSecond(1).WithBurst(-1)}, "Limit.Burst"},
		{"a burst of one", hold.RateLimit{Limit: hold.PerSecond(1000).WithBurst(1)}, ""},
		{"a product that floats cannot hold", hold.RateLimit{Limit: hold.PerSecond(1).WithBurst(math.MaxInt64)}, "Limit.Burst"},
		{"the same through the default burst", hold.RateLimit{Limit: hold.Per(1<<40, math.MaxInt64/1000*1000)}, "Limit.Burst"},
		{"a million a day", hold.RateLimit{Limit: hold.Per(1_000_000, 24*time.Hour)}, ""},
		{"three bands", banded(hold.PerSecond(10), hold.PerHour(1000), hold.Per(5000, 24*time.Hour)), ""},
		{"bands that differ in their bursts alone", banded(hold.PerSecond(10), hold.PerSecond(10).WithBurst(20)), "Also[0]"},
		{"a band with a smaller burst", banded(hold.PerSecond(100), hold.PerMinute(60)), "Also[0]"},
		{"a band with the same burst", banded(hold.PerSecond(100), hold.PerMinute(100)), "Also[0]"},
		{"a band that is faster", banded(hold.PerSecond(10), hold.PerMinute(601)), "Also[0]"},
		{"a band as fast", banded(hold.PerSecond(10), hold.PerMinute(600)), "Also[0]"},
		{"the first band's burst of its own", banded(hold.PerSecond(10).WithBurst(2000), hold.PerHour(1000)), "Also[0]"},
		{"bands out of order", banded(hold.PerSecond(10), hold.Per(5000, 24*time.Hour), hold.PerHour(1000)), "Also[1]"},
		{"a free place between bands", banded(hold.PerSecond(10), hold.Limit{}, hold.PerHour(1000)), "Also[1]"},
		{"a band of nonsense", banded(hold.PerSecond(10), hold.PerHour(-1)), "Also[0].Tokens"},
		{"a band that cannot be counted", banded(hold.PerSecond(10), hold.Per(1<<20, 1<<50*time.Microsecond)), "Also[0].Burst"},
		{"a name that could leave its namespace", hold.RateLimit{Name: "a}:b", Limit: hold.PerSecond(1)}, "Name"},
		{"an unknown carry", hold.RateLimit{Limit: hold.PerSecond(1), Carry: 3}, "Carry"},
		{"an unknown outage", hold.RateLimit{Limit: hold.PerSecond(1), Outage: 3}, "Outage"},
		{"a negative version", hold.RateLimit{Limit: hold.PerSecond(1), Version: -1}, "Version"},
		{"a bucket that begins empty", hold.RateLimit{Limit: hold.PerSecond(1), FirstFill: hold.FirstEmpty}, ""},
		{"a bucket that begins with more than it can hold", hold.RateLimit{Limit: hold.PerSecond(1), FirstFill: 100}, ""},
		{"a bucket that begins with less than nothing", hold.RateLimit{Limit: hold.PerSecond(1), FirstFill: -2}, "FirstFill"},
		{"a negative wait", hold.RateLimit{Limit: hold.PerSecond(1), MaxWait: -1}, "MaxWait"},
		{"the longest wait", hold.RateLimit{Limit: hold.PerSecond(1), MaxWait: hold.MaxWait}, ""},
		{"a wait above an hour", hold.RateLimit{Limit: hold.PerSecond(1), MaxWait: hold.MaxWait + 1}, "MaxWait"},
		{"a version beyond a float", hold.RateLimit{Limit: hold.PerSecond(1), Version: 1 << 53}, "Version"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			wantField(t, tt.policy.Validate(), tt.field)
		})
	}
}

func TestValidateBulkheadAndHedge(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		policy hold.Policy
		field  string
	}{
		{"a bulkhead without room", hold.Bulkhead{}, "MaxConcurrent"},
		{"a negative bulkhead", hold.Bulkhead{MaxConcurrent: -1}, "MaxConcurrent"},
		{"a bulkhead of one", hold.Bulkhead{MaxConcurrent: 1}, ""},
		{"the largest bulkhead, and the longest wait", hold.Bulkhead{MaxConcurrent: hold.MaxConcurrentCalls, MaxWait: hold.MaxWait, Fleet: true}, ""},
		{"a bulkhead that bounds nothing", hold.Bulkhead{MaxConcurrent: hold.MaxConcurrentCalls + 1}, "MaxConcurrent"},
		{"a negative wait", hold.Bulkhead{MaxConcurrent: 1, MaxWait: -1}, "MaxWait"},
		{"a wait above an hour", hold.Bulkhead{MaxConcurrent: 1, MaxWait: hold.MaxWait + 1}, "MaxWait"},
		{"a bulkhead whose name could leave its namespace", hold.Bulkhead{Name: "a}:b", MaxConcurrent: 1}, "Name"},
		{"a hedge without a delay", hold.Hedge{}, "Delay"},
		{"a negative delay", hold.Hedge{Delay: -1}, "Delay"},
		{"a hedge", hold.Hedge{Delay: 1}, ""},
		{"negative hedges", hold.Hedge{Delay: 1, MaxHedges: -1}, "MaxHedges"},
		{"a hedge with a budget of nonsense", hold.Hedge{Delay: 1, Budget: hold.RetryBudget{Ratio: 2}}, "Budget.Ratio"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			wantField(t, tt.policy.Validate(), tt.field)
		})
	}
	want := hold.Hedge{Delay: 1, MaxHedges: 1, Budget: hold.RetryBudget{Ratio: 0.1}}
	if got := (hold.Hedge{Delay: 1}).WithDefaults(); got != want || got.WithDefaults() != want {
		t.Errorf("the defaults are %+v; want %+v", got, want)
	}
	named := hold.Hedge{Delay: 1, MaxHedges: 2, Budget: hold.RetryBudget{Name: "a", PerSecond: 5}}
	if got := named.WithDefaults(); got != named {
		t.Errorf("the defaults change %+v to %+v", named, got)
	}
}

func TestValidateExclusive(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		policy hold.Exclusive
		field  string
	}{
		{"the zero value", hold.Exclusive{}, ""},
		{"the longest of all", hold.Exclusive{MaxHold: hold.MaxHold, MaxWait: hold.MaxWait, Lease: hold.MaxLockLease}, ""},
		{"a negative hold", hold.Exclusive{MaxHold: -1}, "MaxHold"},
		{"a hold above a day", hold.Exclusive{MaxHold: hold.MaxHold + 1}, "MaxHold"},
		{"a negative wait", hold.Exclusive{MaxWait: -1}, "MaxWait"},
		{"a wait above an hour", hold.Exclusive{MaxWait: hold.MaxWait + 1}, "MaxWait"},
		{"the shortest lease", hold.Exclusive{Lease: hold.MinLockLease}, ""},
		{"a lease too short to be extended in time", hold.Exclusive{Lease: hold.MinLockLease - 1}, "Lease"},
		{"a negative lease", hold.Exclusive{Lease: -1}, "Lease"},
		{"a lease above an hour", hold.Exclusive{Lease: hold.MaxLockLease + 1}, "Lease"},
		{"a name that could leave its namespace", hold.Exclusive{Name: "a}:b"}, "Name"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			wantField(t, tt.policy.Validate(), tt.field)
		})
	}
	want := hold.Exclusive{MaxHold: time.Minute, Lease: 10 * time.Second}
	if got := (hold.Exclusive{}).WithDefaults(); got != want || got.WithDefaults() != want {
		t.Errorf("the defaults are %+v; want %+v", got, want)
	}
	given := hold.Exclusive{Name: "a", MaxHold: 1, MaxWait: 2, Lease: time.Second}
	if got := given.WithDefaults(); got != given {
		t.Errorf("the defaults change %+v to %+v", given, got)
	}
}

func TestCase31ValidateCircuitBreaker(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		policy hold.CircuitBreaker
		field  string
	}{
		{"the zero value has defaults", hold.CircuitBreaker{}, ""},
		{"a negative threshold", hold.CircuitBreaker{FailureThreshold: -1}, "FailureThreshold"},
		{"a threshold beyond any window", hold.CircuitBreaker{FailureThreshold: math.MaxInt}, "FailureThreshold"},
		{"a negative ratio", hold.CircuitBreaker{FailureRatio: -0.1}, "FailureRatio"},
		{"a ratio above all", hold.CircuitBreaker{FailureRatio: 1.01}, "FailureRatio"},
		{"percent for a ratio", hold.CircuitBreaker{FailureRatio: 50}, "FailureRatio"},
		{"a ratio below the thousandth", hold.CircuitBreaker{FailureRatio: 0.0001}, "FailureRatio"},
		{"a ratio that is no number", hold.CircuitBreaker{FailureRatio: math.NaN()}, "FailureRatio"},
		{"an infinite ratio", hold.CircuitBreaker{FailureRatio: math.Inf(1)}, "FailureRatio"},
		{"every call", hold.CircuitBreaker{FailureRatio: 1}, ""},
		{"negative calls", hold.CircuitBreaker{MinCalls: -1}, "MinCalls"},
		{"a negative window", hold.CircuitBreaker{Window: -time.Second}, "Window"},
		{"a window of a month", hold.CircuitBreaker{Window: 30 * 24 * time.Hour}, "Window"},
		{"a window in nanoseconds", hold.CircuitBreaker{Window: time.Second + 1}, "Window"},
		{"a window that was meant in seconds", hold.CircuitBreaker{Window: 10 * time.Microsecond}, "Window"},
		{"a negative recovery", hold.CircuitBreaker{RecoveryTimeout: -1}, "RecoveryTimeout"},
		{
			"growth that ends before it begins",
			hold.CircuitBreaker{RecoveryTimeout: time.Minute, MaxRecoveryTimeout: time.Second},
			"MaxRecoveryTimeout",
		},
		{"a cap below the default recovery", hold.CircuitBreaker{MaxRecoveryTimeout: time.Second}, "MaxRecoveryTimeout"},
		{"a recovery above the default cap raises it", hold.CircuitBreaker{RecoveryTimeout: time.Hour}, ""},
		{"negative successes", hold.CircuitBreaker{SuccessThreshold: -1}, "SuccessThreshold"},
		{"negative probes", hold.CircuitBreaker{Probes: -1}, "Probes"},
		{"a stampede of probes", hold.CircuitBreaker{Probes: 101}, "Probes"},
		{"a negative lease", hold.CircuitBreaker{ProbeLease: -1}, "ProbeLease"},
		{"a negative half-open", hold.CircuitBreaker{MaxHalfOpen: -1}, "MaxHalfOpen"},
		{"an unknown sharing", hold.CircuitBreaker{Sharing: hold.ShareAggregate + 1}, "Sharing"},
		{"slow calls", hold.CircuitBreaker{SlowAfter: time.Second, SlowRatio: 0.5}, ""},
		{"slow calls that trip nothing", hold.CircuitBreaker{SlowAfter: time.Second}, "SlowRatio"},
		{"a share of slow calls, and none is slow", hold.CircuitBreaker{SlowRatio: 0.5}, "SlowAfter"},
		{"percent of slow calls", hold.CircuitBreaker{SlowAfter: time.Second, SlowRatio: 50}, "SlowRatio"},
		{"a share of slow calls that is no number", hold.CircuitBreaker{SlowAfter: time.Second, SlowRatio: math.NaN()}, "SlowRatio"},
		{"a negative time", hold.CircuitBreaker{SlowAfter: -1, SlowRatio: 0.5}, "SlowAfter"},
		{"the last calls", hold.CircuitBreaker{FailureRatio: 0.5, CountWindow: 20}, ""},
		{"fewer of the last calls than count", hold.CircuitBreaker{FailureRatio: 0.5, CountWindow: 19}, "CountWindow"},
		{"fewer than are asked for", hold.CircuitBreaker{FailureRatio: 0.5, MinCalls: 5, CountWindow: 4}, "CountWindow"},
		{"the last calls of a year", hold.CircuitBreaker{CountWindow: 10_001}, "CountWindow"},
		{"a fleet that one replica opens, by accident", hold.CircuitBreaker{MinReplicas: 1}, "MinReplicas"},
		{"negative replicas", hold.CircuitBreaker{MinReplicas: -1}, "MinReplicas"},
		{"a quorum above all", hold.CircuitBreaker{Quorum: 2}, "Quorum"},
		{"a quorum that is no number", hold.CircuitBreaker{Quorum: math.NaN()}, "Quorum"},
		{"a name that is too long", hold.CircuitBreaker{Name: strings.Repeat("a", 65)}, "Name"},
		{"a negative version", hold.CircuitBreaker{Version: -1}, "Version"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			wantField(t, tt.policy.Validate(), tt.field)
		})
	}
}

func TestCase31DefaultsAreValidAndFinal(t *testing.T) {
	t.Parallel()
	want := hold.CircuitBreaker{
		FailureThreshold: 5, MinCalls: 20, Window: 10 * time.Second, RecoveryTimeout: 30 * time.Second,
		MaxRecoveryTimeout: 5 * time.Minute, SuccessThreshold: 2, Probes: 1, ProbeLease: 10 * time.Second,
		MaxHalfOpen: 30 * time.Second, Sharing: hold.ShareQuorum, MinReplicas: 2, Quorum: 0.5,
	}
	if got := (hold.CircuitBreaker{}).WithDefaults(); got != want {
		t.Errorf("the zero breaker is %v; want %v", got, want)
	}
	ratio := hold.CircuitBreaker{FailureRatio: 0.5}.WithDefaults()
	if ratio.FailureThreshold != 0 {
		t.Errorf("beside a ratio the threshold is %d; want it off", ratio.FailureThreshold)
	}
	for _, p := range []interface{ Validate() error }{want, ratio, hold.Retry{}.WithDefaults(), hold.Backoff{}.WithDefaults()} {
		if err := p.Validate(); err != nil {
			t.Errorf("%v with its defaults: %v", p, err)
		}
	}
	if again := want.WithDefaults(); again != want {
		t.Errorf("defaults twice: %v; want %v", again, want)
	}
}

func TestValidateTimeout(t *testing.T) {
	t.Parallel()
	wantField(t, hold.Timeout{Duration: 1}.Validate(), "")
	wantField(t, hold.Timeout{}.Validate(), "Duration")
	wantField(t, hold.Timeout{Duration: -1}.Validate(), "Duration")
}

func TestValidateName(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		valid bool
	}{
		{"payments", true},
		{"Payments_v2.eu-west-1", true},
		{strings.Repeat("x", 64), true},
		{"", false},
		{strings.Repeat("x", 65), false},
		{"a b", false},
		{"a:b", false},
		{"a{b}", false},
		{"a/b", false},
		{"größe", false},
		{"a\x00", false},
		{"a\n", false},
	} {
		if err := hold.ValidateName("rate_limit", tt.name); (err == nil) != tt.valid {
			t.Errorf("ValidateName(%q) = %v; want valid: %t", tt.name, err, tt.valid)
		}
	}
}

// TestLimitIsExact: what Validate lets through can be counted in integers that
// a float64 holds exactly.
func TestLimitIsExact(t *testing.T) {
	t.Parallel()
	anything := rapid.OneOf(rapid.Int64Range(1, 1_000_000), rapid.Int64())
	rapid.Check(t, func(t *rapid.T) {
		l := hold.Per(anything.Draw(t, "tokens"), time.Duration(anything.Draw(t, "period µs"))*time.Microsecond).
			WithBurst(anything.Draw(t, "burst"))
		if l.Validate() != nil {
			return
		}
		earn, worth := l.Reduced()
		micros := l.Period.Microseconds()
		if earn <= 0 || worth <= 0 || l.Tokens%earn != 0 || micros%worth != 0 || l.Tokens/earn != micros/worth {
			t.Fatalf("%s reduces to %d a µs and %d a token", l, earn, worth)
		}
		if full := float64(l.WithDefaults().Burst) * float64(worth); full > hold.MaxCredits {
			t.Fatalf("%s: a full bucket holds %g credits", l, full)
		}
	})
}

// banded is a limit of several bands.
func banded(first hold.Limit, further ...hold.Limit) hold.RateLimit {
	r := hold.RateLimit{Limit: first}
	copy(r.Also[:], further)
	return r
}
