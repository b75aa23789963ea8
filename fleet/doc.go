// Package fleet is one replica's part in sharing limits and breakers: it merges
// the questions of many callers into few store calls, remembers denials, keeps
// a copy of each breaker's fleet view fresh, and does what was declared while
// the store is out of reach.
//
// A [Replica] joins a fleet, once in a process; its [Limiter] and [Breaker]
// parts are found by name. Most callers should use package orchestrator, which
// runs whole operations; use the parts where a call's end is not a function's
// return, as in streaming.
package fleet
