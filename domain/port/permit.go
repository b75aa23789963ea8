package port

import (
	"context"

	"github.com/holdfast-go/holdfast/domain/bulkhead"
)

// A PermitStore keeps who holds the permits of bulkheads that a fleet shares.
type PermitStore interface {
	// Hold does what replicas say of themselves, by the rules of package bulkhead.
	Hold(ctx context.Context, in []HoldRequest, out []HoldReply)
}

// A HoldRequest is what one replica says to one bulkhead.
type HoldRequest struct {
	Bulkhead ID
	bulkhead.Ask
}

// A HoldReply answers a HoldRequest.
type HoldReply struct {
	bulkhead.Answer

	Err error // the store could not decide; the rest is then zero
}
