package port

import (
	"context"
	"errors"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
)

// A BreakerStore keeps the fleet's layer of breakers. Its rules are those of
// [breaker.Fleet].
type BreakerStore interface {
	// Report tells what replicas saw; the replies are the views afterwards.
	Report(ctx context.Context, in []Report, out []View)
	// Probe asks for probe leases, or settles them.
	Probe(ctx context.Context, in []ProbeRequest, out []ProbeReply)
}

// A Report is one replica's whole evidence about one breaker: absolute, so that
// one that is lost, doubled or late harms nothing.
type Report struct {
	Breaker ID
	Rules   breaker.Rules // the caller's numbers; the stored ones may decide
	breaker.Evidence
}

// A ProbeRequest asks for a probe lease, or settles the one with its token.
type ProbeRequest struct {
	Breaker ID
	Rules   breaker.Rules
	breaker.ProbeAsk
}

// A View is the fleet's layer of one breaker, as the store has it.
type View struct {
	// Epoch grows at each transition, and orders views; 0 is a breaker that is
	// not there, which is closed.
	Epoch uint64
	State domain.State
	// For is, from the reply on, how long an open breaker stays open, or until
	// a half-open one may have a free probe lease, or how long the ramp of a closed
	// one lasts.
	For time.Duration
	// Base is, while a ramp lasts, how many calls a second of the whole fleet it is of.
	Base    int64
	Fresh   bool // the epoch began with nothing before it: to one who knew an earlier epoch, the state was lost
	Foreign bool // other rules than the caller's are in force
	// Order is an operator's last: of [ViewSource].Read all of it, else its serial
	// alone. Serials order orders, whatever the epoch; 0 is none.
	Order breaker.Order
	Err   error // the store could not answer; the rest is then zero
}

// A ProbeReply answers a ProbeRequest.
type ProbeReply struct {
	Granted bool          // the lease is the asker's
	For     time.Duration // how long the lease lasts, counted from when it was asked for
	View    View          // afterwards; its Err is the reply's
}

// ErrAhead says that a caller claims to know an epoch more than a day ahead of
// the store's clock. It is refused, so that one replica's mistake cannot reset
// the fleet; it should forget what it knows.
var ErrAhead = errors.New("the epoch known is ahead of the store's clock")

// A ViewSource lets replicas read the views of breakers, cheaply.
type ViewSource interface {
	// Read writes nothing. It cannot tell Foreign.
	Read(ctx context.Context, in []ID, out []View)
	// Watch calls onView with each transition until ctx ends or the
	// connection breaks, one at a time. Pushes may be lost.
	Watch(ctx context.Context, onView func(ID, View)) error
}
