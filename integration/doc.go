// Package integration holds the tests that need more than the root module may
// require: whole processes, a real Redis and its faults, other modules, and the
// rules that hold for the repository as a whole.
package integration
