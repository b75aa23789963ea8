package fleet

import (
	"github.com/holdfast-go/holdfast/domain/bucket"
	"github.com/holdfast-go/holdfast/domain/port"
)

// A demand is what one caller wants of a bucket: so many times cost, the first
// of which are granted. Callers who ask the same are decided in one request.
type demand struct {
	cost  int64
	times int64   // at least 1; more are taken in part
	wait  *waiter // nil: it does not wait, and neither is it told apart from another
}

// whole is one call of that cost, all or none.
func whole(cost int64) demand { return demand{cost: cost, times: 1} }

// ask asks for callers who want the same.
func (q demand) ask(callers int) bucket.Ask {
	if q.wait != nil {
		return bucket.Ask{Cost: q.cost, Count: 1, WaitMicro: q.wait.micro}
	}
	return bucket.Ask{Cost: q.cost, Count: q.times * int64(callers), Turn: q.cost > 0}
}

// share is how often the caller in that place among those who were asked for had
// cost granted, and how often those behind had.
func (q demand) share(r *port.TakeReply, place int) (own, behind int64) {
	left := r.Granted - int64(place)*q.times
	own = min(max(left, 0), q.times)
	return own, max(left-own, 0)
}
