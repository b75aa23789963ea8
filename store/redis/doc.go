// Package redisstore keeps buckets and breakers in Redis, so that every replica
// of a fleet shares them. Each decision is one Lua script, atomic on the server
// and decided in the server's clock. It runs on Redis 7.0 and later, and on what
// speaks its protocol.
//
// Commands of this package are executed at most once: go-redis, which sends a
// command whose reply was lost again by default, is told not to, whatever the
// client's options. A call does not outlast its context either, whatever they
// are.
//
// docs/protocol.md describes the keys, fields and replies.
package redisstore
