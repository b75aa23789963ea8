// Package redisserver runs real redis-server or valkey-server processes for
// tests, benchmarks and the demo.
//
// A [Server] listens on a loopback port of its own, keeps nothing on disk and
// does not outlive the process that started it (on Linux). It can be paused,
// killed and restarted on the same port, which is what tests of an outage need.
//
// Tests call one of two functions:
//
//   - [ForTest] starts a server that belongs to the test alone. It may be
//     flushed, paused, killed and reconfigured.
//   - [URLForTest] gives the server that the user named in HOLDFAST_TEST_REDIS, or
//     else one as above. It may hold other people's data: use random prefixes,
//     and never flush, stop or reconfigure it.
//
// Both skip the test where no server is to be had, and fail it where
// HOLDFAST_REQUIRE_REDIS is set, as `make test` does: a green run of that has
// always talked to a real server.
package redisserver
