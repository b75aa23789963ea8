// Package ledger is another package of the sample's domain, of which interfaces embed some.
package ledger

import "context"

// An Entry is one line.
type Entry struct {
	ID    string
	Cents int64
}

// A Reader reads entries of some kind.
type Reader[E any] interface {
	// Read declares its policy here, for all that embed it.
	//
	//holdfast:resilient timeout(1s) > circuit_breaker(name=ledger, failure_ratio=0.5)
	Read(ctx context.Context, id string) (E, error)
	Len() int
}
