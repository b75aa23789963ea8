// Package classify reads errors of net, net/http, crypto/tls, os, syscall and
// database/sql, which package domain may not import, and says whose trouble they
// are: the dependency's, which counts for the whole fleet, or this replica's
// own. Give it to an orchestrator:
//
//	orchestrator.Config{Classify: classify.Default}
//
// The split is by origin, not by blame. A connection that cannot be made may
// well be a dependency that is down; but then every replica finds out for
// itself, and its own layer of the breaker opens. One replica with a broken
// network, on the other hand, must not stop the others.
package classify
