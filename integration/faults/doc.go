// Package faults holds tests that break a real Redis, the way to it, or the
// replicas themselves, and assert what callers see: `make faults`.
package faults
