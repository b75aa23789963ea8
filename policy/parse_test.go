package policy_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/policy"
)

// TestParse: what texts mean.
func TestParse(t *testing.T) {
	for text, want := range map[string]hold.Policy{
		"none":                  hold.None{},
		" none( ) ":             hold.None{},
		"retry":                 hold.Retry{},
		"timeout(2s)":           hold.Timeout{Duration: 2 * time.Second},
		"timeout( 1m30s )":      hold.Timeout{Duration: 90 * time.Second},
		"retry(max_attempts=3)": hold.Retry{MaxAttempts: 3},
		"retry(max_attempts=3, backoff=exponential(initial=100ms, multiplier=2, max=30s, jitter=full))": hold.Retry{
			MaxAttempts: 3, Backoff: hold.Exponential(100*time.Millisecond, 2, 30*time.Second),
		},
		"retry(backoff=fixed(initial=1s,jitter=none))":  hold.Retry{Backoff: hold.Fixed(time.Second)},
		"retry(backoff=linear(jitter=0.25))":            hold.Retry{Backoff: hold.Backoff{Kind: hold.BackoffLinear, Jitter: hold.PlusMinus(0.25)}},
		"retry(backoff=decorrelated)":                   hold.Retry{Backoff: hold.Backoff{Kind: hold.BackoffDecorrelated}},
		"retry(budget=budget(ratio=0.2, per_second=1))": hold.Retry{Budget: hold.RetryBudget{Ratio: 0.2, PerSecond: 1}},
		"retry(max_attempts=-1, max_elapsed=1m)":        hold.Retry{MaxAttempts: -1, MaxElapsed: time.Minute},
		"circuit_breaker(name=payments, failure_ratio=0.5, min_calls=20, window=10s, recovery_timeout=30s)": hold.CircuitBreaker{
			Name: "payments", FailureRatio: 0.5, MinCalls: 20, Window: 10 * time.Second, RecoveryTimeout: 30 * time.Second,
		},
		"circuit_breaker(sharing=local, keyed=true, max_keys=7)": hold.CircuitBreaker{Sharing: hold.ShareLocal, Keyed: true, MaxKeys: 7},
		"rate_limit(100/s, burst=20)":                            hold.RateLimit{Limit: hold.PerSecond(100).WithBurst(20)},
		"rate_limit(10/24h)":                                     hold.RateLimit{Limit: hold.Per(10, 24*time.Hour)},
		"rate_limit(10/s, also=1000/h, burst=2000, also=5000/24h, name=api, keyed=true, outage=closed, carry=reset, lease=true)": hold.RateLimit{
			Limit: hold.PerSecond(10), Also: hold.Bands{hold.PerHour(1000).WithBurst(2000), hold.Per(5000, 24*time.Hour)},
			Name: "api", Keyed: true, Outage: hold.OutageClosed, Carry: hold.CarryReset, Lease: true,
		},
		"bulkhead(10, name=b, max_wait=1s, fleet=true)":              hold.Bulkhead{MaxConcurrent: 10, Name: "b", MaxWait: time.Second, Fleet: true},
		"hedge(200ms, max_hedges=2, budget=budget(name=b,ratio=.1))": hold.Hedge{Delay: 200 * time.Millisecond, MaxHedges: 2, Budget: hold.RetryBudget{Name: "b", Ratio: 0.1}},
		"exclusive(name=report, max_hold=1h, lease=3s)":              hold.Exclusive{Name: "report", MaxHold: time.Hour, Lease: 3 * time.Second},
		"timeout(5s)\n\t> retry(max_attempts=3)\n\t> timeout(1s)": hold.Combine(
			hold.Timeout{Duration: 5 * time.Second}, hold.Retry{MaxAttempts: 3}, hold.Timeout{Duration: time.Second}),
	} {
		got, old, err := policy.Check(text)
		if err != nil || got != want || len(old) != 0 {
			t.Errorf("%s\nis %v, %v, %v\nwant %v", text, got, old, err, want)
		}
	}
}

// TestBadText: what a person gets to see who made a mistake.
func TestBadText(t *testing.T) {
	for text, want := range map[string]string{
		"":                                      `column 1: the text ends; expected a policy, such as retry(max_attempts=3)`,
		"  ":                                    `column 3: the text ends; expected a policy, such as retry(max_attempts=3)`,
		"retyr(max_attempts=3)":                 `column 1: "retyr" is no kind of policy; expected one of none, retry, circuit_breaker, rate_limit, timeout, bulkhead, hedge, exclusive; did you mean retry?`,
		"timeout(5s) > circuitbreaker":          `column 15: "circuitbreaker" is no kind of policy; expected one of none, retry, circuit_breaker, rate_limit, timeout, bulkhead, hedge, exclusive; did you mean circuit_breaker?`,
		"retry(max_atempts=3)":                  `column 7: retry has no field "max_atempts"; expected one of max_attempts, backoff, max_elapsed, budget; did you mean max_attempts?`,
		"retry(3)":                              `column 7: "3" has no name in retry; expected name=value`,
		"retry(max_attempts=three)":             `column 20: there is "three" for max_attempts; expected a whole number`,
		"retry(max_attempts=3":                  `column 21: the text ends; expected "," or ")"`,
		"retry(max_attempts=)":                  `column 20: there is ")"; expected a value for max_attempts`,
		"retry(max_attempts=3, )":               `column 23: there is ")"; expected a value, or name=value`,
		"retry(max_attempts=3) timeout(1s)":     `column 23: there is "timeout"; expected ">" before the next layer, or the end`,
		"retry >":                               `column 8: the text ends; expected a policy, such as retry(max_attempts=3)`,
		"retry(max_attempts=3, max_attempts=4)": `column 23: "max_attempts" stands twice`,
		"retry(max_attempts=-7)":                `column 20: retry.MaxAttempts must be positive, or -1 for no count`,
		"retry(max_attempts=99999999999999999999)":                    `column 20: there is "99999999999999999999" for max_attempts; expected a whole number`,
		"retry(backoff=expnential(initial=1s))":                       `column 15: there is "expnential" for backoff; expected one of exponential, fixed, linear, decorrelated; did you mean exponential?`,
		"retry(backoff=fixed(start=1s))":                              `column 21: fixed has no field "start"; expected one of initial, increment, multiplier, max, jitter`,
		"retry(backoff=fixed(initial=1s, jitter=2))":                  `column 40: there is "2" for jitter; expected full, none, equal, or a fraction such as 0.2`,
		"retry(backoff=exponential(initial=1m, max=1s))":              `column 43: retry.Backoff.Max is below Initial`,
		"retry(budget=0.2)":                                           `column 14: there is "0.2" for budget; expected budget(ratio=…), such as budget(ratio=0.2, per_second=1)`,
		"retry(max_elapsed=fixed(initial=1s))":                        `column 19: there is "fixed"(…) for max_elapsed; expected a duration, such as 100ms or 1m30s`,
		"timeout":                                                     `column 1: timeout has no value; expected a duration first, as in timeout(…)`,
		"timeout(duration=2s)":                                        `column 9: timeout has no field "duration"`,
		"timeout(2)":                                                  `column 9: there is "2"; expected a duration, such as 100ms or 1m30s`,
		"timeout(2s, 3s)":                                             `column 13: "3s" has no name in timeout; expected name=value`,
		"timeout(-2s)":                                                `column 1: timeout.Duration must be positive`,
		"rate_limit(100)":                                             `column 12: there is "100"; expected a rate, such as 100/s, 50/m or 1000/24h`,
		"rate_limit(100/day)":                                         `column 12: there is "100/day"; expected a rate, such as 100/s, 50/m or 1000/24h`,
		"rate_limit(100/s, burst=0)":                                  `column 25: there is "0" for burst; expected a number above 0`,
		"rate_limit(100/s, burst=5, burst=6)":                         `column 28: the rate before it has a burst already`,
		"rate_limit(9/s, also=1/m, also=1/h, also=1/24h, also=1/48h)": `column 49: there are more bands than a limit can have`,
		"rate_limit(100/s, keyed=yes)":                                `column 25: there is "yes" for keyed; expected true or false`,
		"rate_limit(100/s, outage=locl_share)":                        `column 26: there is "locl_share" for outage; expected one of local_share, open, closed; did you mean local_share?`,
		"circuit_breaker(name=two words)":                             `column 26: there is "words"; expected "," or ")"`,
		"circuit_breaker(failure_ratio=1.5)":                          `column 31: circuit_breaker.FailureRatio must be between 0.001 and 1`,
		"circuit_breaker(failure_ratio=NaN)":                          `column 31: there is "NaN" for failure_ratio; expected a number, such as 0.5`,
		"circuit_breaker(quorum=0x1p-2)":                              `column 24: there is "0x1p-2" for quorum; expected a number, such as 0.5`,
		"bulkhead(name=b)":                                            `column 1: bulkhead has no value; expected how many calls may run first, as in bulkhead(…)`,
		"none(a)":                                                     `column 6: "a" has no name in none; expected name=value`,
		"a(b(c(d(e(f(g))))))":                                         `column 10: it is nested too deeply`,
		"Überfall(1s)":                                                `column 1: "Überfall" is no kind of policy; expected one of none, retry, circuit_breaker, rate_limit, timeout, bulkhead, hedge, exclusive`,
		"retry(ü=1, max_atempts=1)":                                   `column 7: retry has no field "ü"; expected one of max_attempts, backoff, max_elapsed, budget`,
		"timeout(1s)>retry(ä=1)":                                      `column 19: retry has no field "ä"; expected one of max_attempts, backoff, max_elapsed, budget`,
		"timeout(äöü) > bulkhed(1)":                                   `column 9: there is "äöü"; expected a duration, such as 100ms or 1m30s`,
		"timeout(1s) > bulkhead(ä)":                                   `column 24: there is "ä"; expected a whole number`,
		strings.Repeat("x", 1<<16) + "y":                              `column 1: the text is longer than 65536 bytes`,
		strings.Repeat("x", 50):                                       `column 1: "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…" is no kind of policy; expected one of none, retry, circuit_breaker, rate_limit, timeout, bulkhead, hedge, exclusive`,
	} {
		got, err := policy.Parse(text)
		if err == nil || got != nil || err.Error() != want {
			t.Errorf("%.60s\nis %v, %v\nwant   %s", text, got, err, want)
		}
		if wrong, ok := errors.AsType[*policy.SyntaxError](err); !ok || !errors.Is(err, hold.ErrInvalidPolicy) || wrong.Column < 1 {
			t.Errorf("%.60s: %#v", text, err)
		}
	}
}

// TestBadPolicySaysWhy: where the text can be read, the domain's error is behind it.
func TestBadPolicySaysWhy(t *testing.T) {
	_, err := policy.Parse("timeout(2s) > retry(max_attempts=-7)")
	invalid, ok := errors.AsType[*hold.PolicyError](err)
	if !ok || invalid.Field != "MaxAttempts" {
		t.Errorf("%#v", err)
	}
}

// TestDeprecated: older code counted retries.
func TestDeprecated(t *testing.T) {
	got, old, err := policy.Check("timeout(2s) > retry(max_retries = 3)")
	want := hold.Combine(hold.Timeout{Duration: 2 * time.Second}, hold.Retry{MaxAttempts: 4})
	if err != nil || got != want || len(old) != 1 || old[0].String() != "column 21: max_retries=3 is deprecated; write max_attempts=4" {
		t.Errorf("%v, %v, %v", got, old, err)
	}
	if _, err := policy.Parse("retry(max_retries=-1)"); err == nil {
		t.Error("less than no retry was taken")
	}
}

// TestEveryFieldHasItsPlace: a field that is added to a policy has to be added to its text.
func TestEveryFieldHasItsPlace(t *testing.T) {
	for _, tt := range []struct {
		policy hold.Policy
		bare   []string // which stand without a name
	}{
		{hold.Retry{}, nil},
		{hold.CircuitBreaker{}, nil},
		{hold.RateLimit{}, []string{"Limit"}},
		{hold.Timeout{}, []string{"Duration"}},
		{hold.Bulkhead{}, []string{"MaxConcurrent"}},
		{hold.Hedge{}, []string{"Delay"}},
		{hold.Exclusive{}, nil},
	} {
		kind, _, _ := strings.Cut(tt.policy.String(), "(")
		_, err := policy.Parse(kind + "(no_such_field=1)")
		wrong, ok := errors.AsType[*policy.SyntaxError](err)
		if !ok {
			t.Fatal(err)
		}
		known := strings.Split(strings.TrimPrefix(wrong.Expected, "one of "), ", ")
		fields := reflect.TypeOf(tt.policy)
		for field := range fields.Fields() {
			name := field.Name
			if !slices.Contains(tt.bare, name) && !slices.Contains(known, snake(name)) {
				t.Errorf("%s has no field %s in its text", kind, snake(name))
			}
		}
	}
}

func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if 'A' <= r && r <= 'Z' {
			if i > 0 {
				b.WriteByte('_')
			}
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}
