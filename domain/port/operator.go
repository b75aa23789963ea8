package port

import (
	"context"

	"github.com/holdfast-go/holdfast/domain/breaker"
)

// An OperatorStore is what the people who run a fleet see and order. Its errors are
// [domain.StoreError]s.
type OperatorStore interface {
	// Order gives orders about breakers, by the rules of [breaker.Fleet.Order]. A
	// breaker need not be there.
	Order(ctx context.Context, in []Order, out []OrderReply)
	// Explain reads all that there is of one breaker. It writes nothing.
	Explain(ctx context.Context, id ID) (breaker.Snapshot, error)
	// Records reads what happened to one breaker, the newest first: at most
	// [breaker.RecordsKept]. It writes nothing.
	Records(ctx context.Context, id ID) ([]breaker.Record, error)
	// Breakers lists the breakers that the store has, in order. It writes nothing. One
	// whose key is stored as a hash cannot be named, and is left out.
	Breakers(ctx context.Context) ([]ID, error)
}

// An Order is an operator's about one breaker.
type Order struct {
	Breaker ID
	breaker.Order
}

// An OrderReply answers an Order.
type OrderReply struct {
	Serial uint64 // of the order that stands now
	Err    error  // the order may have been carried out all the same, unless it is ErrAhead
}
