package domain_test

import (
	"fmt"
	"testing"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
)

func TestPolicyText(t *testing.T) {
	t.Parallel()
	jittered := hold.Fixed(90 * time.Second)
	jittered.Jitter = hold.PlusMinus(0.25)
	for want, p := range map[string]hold.Policy{
		"none":                        hold.None{},
		"retry()":                     hold.Retry{},
		"retry(max_attempts=-1)":      hold.Retry{MaxAttempts: hold.UnlimitedAttempts},
		"timeout(2s)":                 hold.Timeout{Duration: 2 * time.Second},
		"timeout(2m)":                 hold.Timeout{Duration: 2 * time.Minute},
		"timeout(1h30m)":              hold.Timeout{Duration: 90 * time.Minute},
		"timeout(1h)":                 hold.Timeout{Duration: time.Hour},
		"rate_limit(100/s, burst=20)": hold.RateLimit{Limit: hold.PerSecond(100).WithBurst(20)},
		"rate_limit(10/s, also=1000/h, also=5000/24h, burst=6000, name=a)": hold.RateLimit{
			Name: "a", Limit: hold.PerSecond(10), Also: hold.Bands{hold.PerHour(1000), hold.Per(5000, 24*time.Hour).WithBurst(6000)},
		},
		"rate_limit(5/s, carry=tokens)":      hold.RateLimit{Limit: hold.PerSecond(5), Carry: hold.CarryTokens},
		"rate_limit(5/s, carry=reset)":       hold.RateLimit{Limit: hold.PerSecond(5), Carry: hold.CarryReset},
		"rate_limit(5/s, lease=true)":        hold.RateLimit{Limit: hold.PerSecond(5), Lease: true},
		"rate_limit(5/s, first_fill=-1)":     hold.RateLimit{Limit: hold.PerSecond(5), FirstFill: hold.FirstEmpty},
		"rate_limit(5/s, max_wait=2s)":       hold.RateLimit{Limit: hold.PerSecond(5), MaxWait: 2 * time.Second},
		"rate_limit(5/s, shadow=true)":       hold.RateLimit{Limit: hold.PerSecond(5), Shadow: true},
		"bulkhead(10)":                       hold.Bulkhead{MaxConcurrent: 10},
		"hedge(50ms)":                        hold.Hedge{Delay: 50 * time.Millisecond},
		"exclusive()":                        hold.Exclusive{},
		"rate_limit(5/m)":                    hold.RateLimit{Limit: hold.PerMinute(5)},
		"rate_limit(5/h)":                    hold.RateLimit{Limit: hold.PerHour(5)},
		"rate_limit(1/1m30s, name=a)":        hold.RateLimit{Name: "a", Limit: hold.Per(1, 90*time.Second)},
		"circuit_breaker(name=payments)":     hold.CircuitBreaker{Name: "payments"},
		"circuit_breaker(sharing=quorum)":    hold.CircuitBreaker{Sharing: hold.ShareQuorum},
		"circuit_breaker(keyed=true)":        hold.CircuitBreaker{Keyed: true},
		"circuit_breaker(sharing=local)":     hold.CircuitBreaker{Sharing: hold.ShareLocal},
		"timeout(2s) > retry() > <nil>":      hold.Combine(hold.Timeout{Duration: 2 * time.Second}, hold.Retry{}, nil),
		"circuit_breaker(sharing=aggregate)": hold.CircuitBreaker{Sharing: hold.ShareAggregate},
		"none > retry() > none":              hold.Combine(hold.Combine(hold.None{}, hold.Retry{}), hold.None{}),
		"retry(backoff=linear(jitter=none))": hold.Retry{Backoff: hold.Linear(0, 0)},
		"bulkhead(10, name=a, max_wait=100ms, fleet=true)": hold.Bulkhead{
			Name: "a", MaxConcurrent: 10, MaxWait: 100 * time.Millisecond, Fleet: true,
		},
		"exclusive(name=a, max_hold=5m, max_wait=1s, lease=30s)": hold.Exclusive{
			Name: "a", MaxHold: 5 * time.Minute, MaxWait: time.Second, Lease: 30 * time.Second,
		},
		"hedge(50ms, max_hedges=2, budget=budget(name=a, per_second=5))": hold.Hedge{
			Delay: 50 * time.Millisecond, MaxHedges: 2, Budget: hold.RetryBudget{Name: "a", PerSecond: 5},
		},
		"retry(budget=budget(ratio=0.1, per_second=10))": hold.Retry{Budget: hold.RetryBudget{Ratio: 0.1, PerSecond: 10}},
		"retry(backoff=fixed(initial=1m30s, jitter=0.25), max_elapsed=1h)": hold.Retry{
			Backoff: jittered, MaxElapsed: time.Hour,
		},
		"retry(backoff=exponential(initial=1s, multiplier=1.5, max=1m))": hold.Retry{
			Backoff: hold.Exponential(time.Second, 1.5, time.Minute),
		},
		"retry(backoff=decorrelated(initial=1s, max=1m))": hold.Retry{Backoff: hold.Decorrelated(time.Second, time.Minute)},
		"rate_limit(1/s, keyed=true, outage=closed, version=7)": hold.RateLimit{
			Limit: hold.PerSecond(1), Keyed: true, Outage: hold.OutageClosed, Version: 7,
		},
		"circuit_breaker(slow_after=2s, slow_ratio=0.5, min_calls=5, count_window=100)": hold.CircuitBreaker{
			SlowAfter: 2 * time.Second, SlowRatio: 0.5, MinCalls: 5, CountWindow: 100,
		},
		"circuit_breaker(name=cells, keyed=true, max_keys=50, max_open_share=0.25, sharing=any)": hold.CircuitBreaker{
			Name: "cells", Keyed: true, MaxKeys: 50, MaxOpenShare: 0.25, Sharing: hold.ShareAny,
		},
		"circuit_breaker(failure_ratio=0.5, min_calls=10, probes=3, min_replicas=3, quorum=0.6)": hold.CircuitBreaker{
			FailureRatio: 0.5, MinCalls: 10, Probes: 3, MinReplicas: 3, Quorum: 0.6,
		},
	} {
		if got := p.String(); got != want {
			t.Errorf("%#v.String() = %q; want %q", p, got, want)
		}
	}
}

// TestNamesOfValues covers every named value and one that is none.
func TestNamesOfValues(t *testing.T) {
	t.Parallel()
	for want, values := range map[string][]fmt.Stringer{
		"success":             {hold.Success},
		"failure":             {hold.Failure},
		"local failure":       {hold.LocalFailure},
		"ignored":             {hold.Ignored},
		"closed":              {hold.StateClosed, hold.OutageClosed},
		"half-open":           {hold.StateHalfOpen},
		"open":                {hold.StateOpen, hold.OutageOpen},
		"replica":             {hold.ScopeReplica},
		"fleet":               {hold.ScopeFleet},
		"operator":            {hold.ScopeOperator},
		"default":             {hold.ShareDefault},
		"quorum":              {hold.ShareQuorum},
		"any":                 {hold.ShareAny},
		"local":               {hold.ShareLocal},
		"aggregate":           {hold.ShareAggregate},
		"local_share":         {hold.OutageLocalShare},
		"full":                {hold.FullJitter},
		"none":                {hold.NoJitter, hold.None{}},
		"equal":               {hold.EqualJitter},
		"0.125":               {hold.PlusMinus(0.125)},
		"exponential":         {hold.BackoffExponential},
		"fixed":               {hold.BackoffFixed},
		"linear":              {hold.BackoffLinear},
		"decorrelated":        {hold.BackoffDecorrelated},
		"breaker":             {hold.EventBreaker},
		"store down":          {hold.EventStoreDown},
		"store up":            {hold.EventStoreUp},
		"store misconfigured": {hold.EventStoreConfig},
		"settings differ":     {hold.EventSettings},
		"state lost":          {hold.EventLost},
		"retry budget empty":  {hold.EventBudgetEmpty},
		"open share exceeded": {hold.EventShareExceeded},
		"open share restored": {hold.EventShareRestored},
		"keys full":           {hold.EventKeysFull},
		"lock lost":           {hold.EventLockLost},
		"unknown": {
			hold.Outcome(99), hold.State(99), hold.Scope(99), hold.Sharing(99), hold.Outage(99),
			hold.BackoffKind(99), hold.EventKind(0), hold.EventKind(99),
		},
	} {
		for _, v := range values {
			if got := v.String(); got != want {
				t.Errorf("%T(%d).String() = %q; want %q", v, v, got, want)
			}
		}
	}
}
