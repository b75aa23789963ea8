package demo

import (
	"errors"
	"syscall"
	"testing"

	"github.com/holdfast-go/holdfast/classify"
	"github.com/holdfast-go/holdfast/domain"
)

// TestABrokenNetworkLooksLikeABrokenDownstream: only then is it a test of the
// fleet's votes.
func TestABrokenNetworkLooksLikeABrokenDownstream(t *testing.T) {
	broken, err := startBrokenNetwork(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n := newNetwork("127.0.0.1:1")
	defer n.close()
	n.reroute(broken.addr())
	for range 50 {
		err := n.send(t.Context(), request{})
		if got := classify.Default(err); got != domain.Failure || !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("a reset is a %s: %v; want %s", got, err, domain.Failure)
		}
	}
	if err := broken.close(); err != nil {
		t.Fatal(err)
	}
	err = n.send(t.Context(), request{})
	if got := classify.Default(err); got != domain.LocalFailure {
		t.Errorf("a refused connection is a %s: %v; want %s", got, err, domain.LocalFailure)
	}
}
