// Package holdfastgqlgen puts guards around GraphQL servers made with gqlgen: around whole
// operations, with their complexity as the cost, and around single fields.
//
//	guard, err := orch.Guard("graphql", hold.RateLimit{Keyed: true, Limit: hold.PerMinute(1000)})
//	…
//	search, err := orch.Guard("search", hold.Combine(hold.Timeout{Duration: time.Second}, hold.CircuitBreaker{}))
//	…
//	srv.Use(holdfastgqlgen.Operations(guard, holdfastgqlgen.Config{Key: tenant}))
//	srv.Use(holdfastgqlgen.Fields(map[string]*orchestrator.Guard{"Query.search": search}, holdfastgqlgen.FieldsConfig{}))
//	http.Handle("/query", holdfastgqlgen.Status(srv))
//
// # What clients are told
//
// An operation that is refused has one error and no data; a field that is refused is null,
// with an error at its path. The error has extensions:
//
//	{"code": "RATE_LIMITED", "limit": "graphql", "retryAfterSeconds": 12}
//
// The code is the reason ([orchestrator.Reason]), or one of the Code constants. limit is the
// limit's name; an open breaker has breaker instead, a full bulkhead bulkhead, and what runs
// elsewhere exclusive. retryAfterSeconds is there where the wait is known, in whole seconds,
// rounded up. Nothing of it has the key. An error presenter finds the errors of package
// domain by [errors.Is].
//
// # The status of HTTP
//
// gqlgen answers 200 to whatever it could parse, and an extension cannot change that:
// [Status], around the server, can.
//
// # What a breaker hears
//
// Of a field, what its resolver returned, as of any function. Of an operation, the errors of
// its response: those which by [domain.Classify] are failures, or else those that say most.
// An error that is the client's own fault counts too, unless it says what it is (see
// [domain.MarkIgnored]) or the guard has a classifier that knows. A presenter that hides an
// error from clients should keep it in Err: else all that is left to classify is a text.
//
// # What runs how often
//
// Operations once. Fields as their guards say, but those of a mutation once; see [Fields].
package holdfastgqlgen
