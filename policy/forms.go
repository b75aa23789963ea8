package policy

import (
	"strconv"
	"time"

	"github.com/holdfast-go/holdfast/domain"
)

func timeoutForm() form[domain.Timeout] {
	return form[domain.Timeout]{bare: "a duration", bareName: "duration", setBare: func(p *domain.Timeout, a arg) (err error) {
		p.Duration, err = parseDuration(a)
		return err
	}}
}

func bulkheadForm() form[domain.Bulkhead] {
	type b = domain.Bulkhead
	return form[b]{
		bare:     "how many calls may run",
		bareName: "max_concurrent",
		setBare:  number("", func(p *b) *int { return &p.MaxConcurrent }).set,
		fields: []field[b]{
			text("name", func(p *b) *string { return &p.Name }),
			duration("max_wait", func(p *b) *time.Duration { return &p.MaxWait }),
			flag("fleet", func(p *b) *bool { return &p.Fleet }),
		},
	}
}

func exclusiveForm() form[domain.Exclusive] {
	type x = domain.Exclusive
	return form[x]{fields: []field[x]{
		text("name", func(p *x) *string { return &p.Name }),
		duration("max_hold", func(p *x) *time.Duration { return &p.MaxHold }),
		duration("max_wait", func(p *x) *time.Duration { return &p.MaxWait }),
		duration("lease", func(p *x) *time.Duration { return &p.Lease }),
	}}
}

func hedgeForm() form[domain.Hedge] {
	type h = domain.Hedge
	return form[h]{
		bare:     "a delay",
		bareName: "delay",
		setBare:  duration("", func(p *h) *time.Duration { return &p.Delay }).set,
		fields: []field[h]{
			number("max_hedges", func(p *h) *int { return &p.MaxHedges }),
			budget(func(p *h) *domain.RetryBudget { return &p.Budget }),
		},
	}
}

func retryForm() form[domain.Retry] {
	type r = domain.Retry
	attempts := number("max_attempts", func(p *r) *int { return &p.MaxAttempts })
	return form[r]{fields: []field[r]{
		attempts,
		{name: "max_retries", set: retriesToAttempts(attempts.set), old: func(retries string) string {
			n, _ := strconv.Atoi(retries)
			return attempts.name + "=" + strconv.Itoa(n+1)
		}},
		{
			name: "backoff", object: domain.BackoffExponential.String(), kinds: true,
			set: func(p *r, a arg) (err error) { p.Backoff, err = backoff(a); return err },
		},
		duration("max_elapsed", func(p *r) *time.Duration { return &p.MaxElapsed }),
		budget(func(p *r) *domain.RetryBudget { return &p.Budget }),
	}}
}

// retriesToAttempts reads a number of retries, which older code counted, as the number of
// attempts that is one more.
func retriesToAttempts(set func(*domain.Retry, arg) error) func(*domain.Retry, arg) error {
	return func(p *domain.Retry, a arg) error {
		if err := set(p, a); err != nil {
			return err
		}
		if p.MaxAttempts < 0 || p.MaxAttempts >= 1<<31-1 {
			return wrong(a, "a number of retries")
		}
		p.MaxAttempts++
		return nil
	}
}

func budget[T any](of func(*T) *domain.RetryBudget) field[T] {
	type b = domain.RetryBudget
	inner := form[b]{fields: []field[b]{
		text("name", func(p *b) *string { return &p.Name }),
		float("ratio", func(p *b) *float64 { return &p.Ratio }),
		long("per_second", func(p *b) *int64 { return &p.PerSecond }),
	}}
	return field[T]{name: "budget", object: "budget", set: func(p *T, a arg) error {
		if a.call == nil || a.value.text != "budget" {
			return wrong(a, "budget(ratio=…), such as budget(ratio=0.2, per_second=1)")
		}
		_, err := inner.fill(of(p), a.call)
		return err
	}}
}

// backoff reads one: its kind, in parentheses its numbers. As of all fields, one that is not
// given is zero: a fixed one that is to be exact says jitter=none.
func backoff(a arg) (domain.Backoff, error) {
	type b = domain.Backoff
	k, err := choose(arg{name: a.name, value: a.value}, []domain.BackoffKind{
		domain.BackoffExponential, domain.BackoffFixed, domain.BackoffLinear, domain.BackoffDecorrelated,
	})
	made := b{Kind: k}
	if err != nil || a.call == nil {
		return made, err
	}
	inner := form[b]{fields: []field[b]{
		duration("initial", func(p *b) *time.Duration { return &p.Initial }),
		duration("increment", func(p *b) *time.Duration { return &p.Increment }),
		float("multiplier", func(p *b) *float64 { return &p.Multiplier }),
		duration("max", func(p *b) *time.Duration { return &p.Max }),
		parsed("jitter", jitter, func(p *b) *domain.Jitter { return &p.Jitter }),
	}}
	_, err = inner.fill(&made, a.call)
	return made, err
}

func jitter(a arg) (domain.Jitter, error) {
	named := []domain.Jitter{domain.FullJitter, domain.NoJitter, domain.EqualJitter}
	for _, j := range named {
		if word, ok := plain(a); ok && word == j.String() {
			return j, nil
		}
	}
	if fraction, err := parseFloat(a); err == nil {
		if j := domain.PlusMinus(fraction); fraction > 0 && fraction <= 1 {
			return j, nil
		}
	}
	return 0, wrong(a, "full, none, equal, or a fraction such as 0.2")
}

func breakerForm() form[domain.CircuitBreaker] {
	type c = domain.CircuitBreaker
	return form[c]{fields: []field[c]{
		text("name", func(p *c) *string { return &p.Name }),
		flag("keyed", func(p *c) *bool { return &p.Keyed }),
		number("max_keys", func(p *c) *int { return &p.MaxKeys }),
		float("max_open_share", func(p *c) *float64 { return &p.MaxOpenShare }),
		number("failure_threshold", func(p *c) *int { return &p.FailureThreshold }),
		float("failure_ratio", func(p *c) *float64 { return &p.FailureRatio }),
		duration("slow_after", func(p *c) *time.Duration { return &p.SlowAfter }),
		float("slow_ratio", func(p *c) *float64 { return &p.SlowRatio }),
		number("min_calls", func(p *c) *int { return &p.MinCalls }),
		duration("window", func(p *c) *time.Duration { return &p.Window }),
		number("count_window", func(p *c) *int { return &p.CountWindow }),
		duration("recovery_timeout", func(p *c) *time.Duration { return &p.RecoveryTimeout }),
		duration("max_recovery_timeout", func(p *c) *time.Duration { return &p.MaxRecoveryTimeout }),
		number("success_threshold", func(p *c) *int { return &p.SuccessThreshold }),
		number("probes", func(p *c) *int { return &p.Probes }),
		duration("probe_lease", func(p *c) *time.Duration { return &p.ProbeLease }),
		duration("max_half_open", func(p *c) *time.Duration { return &p.MaxHalfOpen }),
		duration("ramp", func(p *c) *time.Duration { return &p.Ramp }),
		choice("sharing", func(p *c) *domain.Sharing { return &p.Sharing },
			domain.ShareDefault, domain.ShareQuorum, domain.ShareAny, domain.ShareLocal, domain.ShareAggregate),
		number("min_replicas", func(p *c) *int { return &p.MinReplicas }),
		float("quorum", func(p *c) *float64 { return &p.Quorum }),
		long("version", func(p *c) *int64 { return &p.Version }),
	}}
}
