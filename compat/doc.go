// Package compat is the older way to say what a call needs: at the call, inside the
// function, with the numbers written there. Code that is written so goes on working; code
// that is not yet written declares its policies in the domain and runs them with a guard.
//
//	c := compat.New(orch)
//	receipt, err := compat.Retry(ctx, c, 3, func(ctx context.Context) (Receipt, error) {
//		return client.Charge(ctx, order)
//	})
//
// Everything here is deprecated and names what replaces it. It is also all marked for the
// inliner of `go fix`, which rewrites the callers after `holdfastgen -migrate` did what it
// cannot: see docs/migrating-old-code.md.
//
// The numbers that a call does not say are those that the older directives had: see
// [RetryPolicy], [BreakerPolicy] and [LimitPolicy]. Policies are compiled when they are first
// seen, and so many are kept that a program's own all are; names are those of dependencies,
// and never keys of users.
//
// Three things are better than they were: a breaker counts what it let through, and so
// opens; retries stop at errors that are not retryable, such as a cancellation or an open
// breaker; and breakers and limits are known by their names, never by their numbers, so that
// the whole fleet shares them.
package compat
