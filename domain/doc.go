// Package domain is what a team declares: which retry, breaker, limit and
// timeout an operation needs, as plain data, and the words in which the answers
// come back (outcomes, errors, events).
//
// It imports a short list of standard packages and nothing else, so that a
// domain layer that uses it stays free of infrastructure. Programs usually
// import it under the name hold, since they have a domain of their own:
//
//	import hold "github.com/holdfast-go/holdfast/domain"
//
//	var charge = hold.Combine(
//		hold.Timeout{Duration: 2 * time.Second},
//		hold.Retry{MaxAttempts: 3},
//		hold.CircuitBreaker{Name: "payments", FailureRatio: 0.5},
//		hold.RateLimit{Name: "payments", Limit: hold.PerSecond(100)},
//	)
//
// Every policy is a comparable value: it can be compared with ==, logged, and
// used as a map key. A zero field means its documented default. What cannot be
// meant (a negative duration, a ratio above 1, a missing limit) is refused by
// Validate with the name of the field.
package domain
