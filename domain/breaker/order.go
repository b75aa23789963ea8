package breaker

import "github.com/holdfast-go/holdfast/domain"

// An Order is an operator's, about one breaker, as it is stored. The one with the
// highest serial stands, so an order that is brought late, twice, or by a replica
// that saw the store lose it, harms nothing.
type Order struct {
	Serial   uint64       // grows with each order; of a new one 0, and then the store numbers it
	Force    domain.Force // ForceNone ends what was forced
	Reset    bool         // the breaker begins afresh, closed
	ForMicro int64        // how long it lasts; of one that was read, what is left
	By       string       // who
	Reason   string       // and why
}

// longestOrder is how long an order lasts at most, in µs.
const longestOrder = int64(domain.MaxOverride / 1000)

// A standing is the last order, as stored: ForMicro counts from atMicro on.
type standing struct {
	Order

	atMicro int64
}

// rest is the order with what is left of its time.
func (s standing) rest(nowMicro int64) Order {
	o := s.Order
	o.ForMicro = max(o.ForMicro-max(nowMicro-s.atMicro, 0), 0)
	return o
}

// Order takes an operator's order, and says which one stands now, by its serial. One
// that is not above the last one changes nothing; one of a later day than tomorrow is
// refused, and 0 returned, so that one mistake cannot outrank all that is to come.
// Votes, probes and transitions go on underneath. It reports whether the order is new,
// which is to be published.
func (f *Fleet) Order(nowMicro int64, o Order) (stands uint64, isNew bool) {
	switch {
	case o.Serial == 0:
		o.Serial = max(uint64(nowMicro), f.order.Serial+1)
	case o.Serial > uint64(nowMicro)+aheadMicro:
		return 0, false
	case o.Serial <= f.order.Serial:
		return f.order.Serial, false
	}
	o.ForMicro = min(max(o.ForMicro, 0), longestOrder)
	f.order = standing{o, nowMicro}
	if o.Reset && f.epoch != noEpoch {
		f.turn(domain.StateClosed, nowMicro, 0)
	}
	f.log(Record{AtMicro: nowMicro, Kind: RecordOrder, Epoch: f.epoch, State: f.state, Order: o})
	return o.Serial, true
}
