// Package ratelimit has the surface of github.com/go-redis/redis_rate/v10 over the
// limits of Holdfast, for programs that come from there: change the import and the
// constructor, and the rest compiles as it is.
//
//	import redis_rate "github.com/holdfast-go/holdfast/compat/ratelimit"
//
//	limiter := redis_rate.NewLimiter(orch) // an orchestrator, where a Redis client was
//	…
//	res, err := limiter.Allow(ctx, "project:123", redis_rate.PerSecond(10))
//
// New programs should use [orchestrator.Orchestrator.Limiter] or a guard.
//
// # What is the same
//
// The types, their fields and their methods; that a call is allowed by
// res.Allowed > 0; that a refused call takes nothing; that RetryAfter is -1 unless
// it was refused. A limit admits at most Burst + Rate·t/Period in any interval t.
//
// # What is different
//
//   - Each distinct [Limit] is one keyed limit of the fleet, so a key that is asked
//     about under two Limits has a bucket in each: a change of the numbers begins
//     with full buckets. A process can use [MaxLimits] of them. Numbers that change
//     while the program runs want a limit with a name, of an orchestrator.
//   - The buckets of redis_rate in Redis are not read: they begin full, once, and
//     while some replicas use the one and some the other, both admit.
//   - Callers that ask at the same time share one store call, and a denial that is
//     known is answered from memory, for up to a second.
//   - While the store is out of reach calls are not errors: each replica admits its
//     share of the limit ([domain.OutageLocalShare]).
//   - A cost above Burst, which no wait helps, is [domain.ErrCostTooHigh]; it was a
//     refusal. A negative cost is an error; it put tokens back. A Burst of 0 is
//     [domain.ErrInvalidPolicy]; it refused every call.
//   - Remaining is what is left after a refusal, too; it was 0.
//   - ResetAfter is rounded up to a whole token.
//   - Reset needs to know which Limits there are: see [Limiter.Reset].
package ratelimit
