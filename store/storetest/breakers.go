package storetest

import "testing"

// TestBreakers is the conformance suite of a [port.BreakerStore] and its
// [port.ViewSource].
func TestBreakers(t *testing.T, newStore Maker) {
	t.Helper()
}
