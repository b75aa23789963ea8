// Package leaktest tells tests what they left behind: goroutines and connections.
//
//   - [Check], called by the fixtures, fails the test whose goroutines outlive it,
//     also while others run in parallel.
//   - [Main] fails a package whose tests leave any goroutine of this project, or of
//     its Redis client: a net under the tests that use no fixture.
//   - [Dialer] counts connections, and fails the test that leaves one open.
//
// Within a testing/synctest bubble the bubble itself is stricter still: nothing
// may be left when its function returns, not even what would end by itself.
package leaktest
