// Package port is what a store implements, as a handful of small interfaces.
// [Stores] gathers them; a nil one is a capability that the store lacks, and a
// policy that needs it is refused when it is compiled.
//
// # The contract
//
// Methods that answer several requests take slices that the caller owns: out
// has the length of in, out[i] answers in[i], requests to the same entity are
// decided in the order in which they stand, and the store keeps neither slice.
// An error belongs to one request and is its reply's Err; refusing is a
// decision, an error means that the store could not decide.
//
// A method makes one attempt and never retries, except on an answer that
// proves that nothing was executed. It is executed at most once, and not after
// the deadline of ctx as far as the store can tell. It returns soon after ctx
// ends. All methods are safe for concurrent use.
//
// Decisions are made in the store's clock. Requests and replies carry
// durations, never instants, so that no replica's clock matters.
//
// A [LockStore] is the exception: it is asked for one lock at a time.
//
// Errors are [*domain.StoreError], so that permissions and passwords can be
// told from an outage. Package store/storetest checks all of this for any store.
package port
