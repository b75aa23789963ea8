// Package holdfastgrpc puts guards around gRPC calls: interceptors for unary calls and
// streams, of servers and clients.
//
//	limit, err := orch.Guard("api", hold.RateLimit{Keyed: true, Limit: hold.PerSecond(100)})
//	…
//	config := holdfastgrpc.ServerConfig{Key: holdfastgrpc.HeaderKey("x-tenant")}
//	server := grpc.NewServer(
//		grpc.ChainUnaryInterceptor(authenticate, holdfastgrpc.UnaryServer(limit, config)),
//		grpc.ChainStreamInterceptor(authenticateStream, holdfastgrpc.StreamServer(limit, config)),
//	)
//
//	calls, err := orch.Guard("stock", hold.Combine(hold.Retry{}, hold.CircuitBreaker{}))
//	…
//	conn, err := grpc.NewClient("dns:///stock", grpc.WithUnaryInterceptor(holdfastgrpc.UnaryClient(calls,
//		holdfastgrpc.ClientConfig{Idempotent: holdfastgrpc.Methods("/shop.Stock/Find")})))
//
// # What is refused, and how it is told
//
// A refusal is a status with details, the same on either side:
//
//	reason                            code                 details
//	RATE_LIMITED                      RESOURCE_EXHAUSTED   ErrorInfo, QuotaFailure, RetryInfo
//	COST_TOO_HIGH                     RESOURCE_EXHAUSTED   ErrorInfo, QuotaFailure
//	KEY_MISSING                       INVALID_ARGUMENT     ErrorInfo
//	CIRCUIT_OPEN                      UNAVAILABLE          ErrorInfo, RetryInfo
//	BULKHEAD_FULL, HELD_ELSEWHERE     UNAVAILABLE          ErrorInfo
//	STORE_UNAVAILABLE, CLOSED         UNAVAILABLE          ErrorInfo
//	a timeout of the guard            DEADLINE_EXCEEDED
//	the lock of an exclusive is lost  ABORTED
//
// ErrorInfo has the reason, the domain and the name of the part, which is the quota_id of
// QuotaFailure, too. RetryInfo is there where the wait is known, in whole milliseconds,
// rounded up. Nothing of it has the key. On the side that refused, [errors.Is] finds the
// errors of package domain in the same error.
//
// A server also sets the trailer grpc-retry-pushback-ms, by which gRPC's own retries (a
// retryPolicy in the service config) come back when there is a use in it, and not at all
// where no wait helps.
//
// # What is an answer
//
// What a handler or a server said comes back as it came, status and details. Breakers
// read it as [Classify] does; its RetryInfo is heeded by the retries of a guard, and a
// breaker that opens by it stays open as long.
//
// # What runs how often
//
// A handler runs once at most, whatever the guard's policy says. A client's call is
// repeated where [UnaryClient] says. Streams are opened once; see [StreamServer] and
// [StreamClient].
//
// # Order
//
// Interceptors that a chain names first are further out. A server's should come after
// what checks who calls, for the key; a client's before what measures single attempts. A
// server's interceptors run once the first message has been read and decoded.
package holdfastgrpc
