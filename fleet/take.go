package fleet

import (
	"context"
	"slices"

	"github.com/holdfast-go/holdfast/domain/bucket"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet/internal/flight"
)

type (
	laneFlight  = flight.Flight[*lane, demand, port.TakeReply]
	laneFlights = flight.Lane[*lane, demand, port.TakeReply]
)

// fly asks the store for all flights in one call.
func (s *shard) fly(ctx context.Context, flights []*laneFlight) {
	in := make([]port.TakeRequest, 0, len(flights)+1)
	ends := make([]int, len(flights)) // where each flight's requests end
	for i, f := range flights {
		in = f.Lane.Key.requests(in, f)
		ends[i] = len(in)
	}
	if len(in) == 0 {
		return
	}
	out := make([]port.TakeReply, len(in))
	s.replica.stores.Buckets.Take(ctx, in, out)
	begin := 0
	for i, f := range flights {
		f.Lane.Key.replies(f, in[begin:ends[i]], out[begin:ends[i]])
		begin = ends[i]
	}
	s.recordAll(in, out)
}

// recordAll keeps the health after one call: one good answer says that the
// store answers.
func (s *shard) recordAll(in []port.TakeRequest, out []port.TakeReply) {
	err, writes := out[0].Err, false
	for i := range out {
		writes = writes || in[i].Cost > 0
		if out[i].Err == nil {
			err = nil
		}
	}
	if writes {
		s.record(err)
	} else {
		s.recordRead(err)
	}
}

// requests appends what a flight asks: first the bill for what was admitted
// while the store was out of reach, then the callers in order, and last for tokens
// ahead. Callers of a run are one request: the store decides them one by one all
// the same.
func (ln *lane) requests(in []port.TakeRequest, f *laneFlight) []port.TakeRequest {
	set := ln.current()
	rule, how := set.rule, set.manner()
	if bill, tokens, owing := ln.local.bill(ln, rule); owing {
		in = append(in, port.TakeRequest{Bucket: ln.id, Rule: rule, Manner: how, Ask: bucket.Ask{Cost: tokens, Count: 1, Bill: bill}})
	}
	riding := int64(0)
	for i := range f.Runs {
		if callers := f.Runs[i].Wanted(); callers > 0 {
			ask := f.Runs[i].Ask.ask(callers)
			riding += min(ask.Cost*ask.Count, set.burst)
			in = append(in, port.TakeRequest{Bucket: ln.id, Rule: rule, Manner: how, Ask: ask})
		}
	}
	if ask, ok := ln.leaseAsk(&rule, riding); ok {
		in = append(in, port.TakeRequest{Bucket: ln.id, Rule: rule, Manner: how, Ask: ask})
	}
	return in
}

// replies hands the store's replies out to the flight's runs, in the order of
// requests.
func (ln *lane) replies(f *laneFlight, in []port.TakeRequest, out []port.TakeReply) {
	for i := range out {
		if out[i].Err != nil {
			f.Err = out[i].Err
			if in[0].Bill != 0 {
				ln.local.unpaid(ln)
			}
			return
		}
	}
	if len(in) > 0 && in[0].Bill != 0 {
		ln.local.paid(ln)
		in, out = in[1:], out[1:]
	}
	if last := len(in) - 1; last >= 0 && in[last].Lease != nil {
		ln.leased(in[last], out)
		in, out = in[:last], out[:last]
	}
	for i, asked := 0, 0; i < len(f.Runs); i++ {
		if f.Runs[i].Wanted() > 0 {
			f.Runs[i].Answer = out[asked]
			asked++
		}
	}
	for i := range in {
		if out[i].Granted < in[i].Count && !out[i].TooHigh {
			ln.remember(in[i].Rule, in[i].Cost, out[i])
		}
	}
}

// handOver gives the tokens of callers who left in the air to others of at most
// that cost: denied ones aboard, then those who wait for the next flight. Each
// gets the least that will do; what nobody can use is spent.
func handOver(landed, next *laneFlight) {
	gifts := giftsOf(landed)
	if len(gifts.costs) == 0 {
		return
	}
	for i := range landed.Runs {
		r := &landed.Runs[i]
		for seat, place := range r.Aboard() {
			if own, _ := r.Ask.share(&r.Answer, place); own == 0 && !r.Left(seat) && gifts.take(r.Ask) {
				r.Give(seat, gifts.reply)
			}
		}
	}
	if next == nil {
		return
	}
	for i := range next.Runs {
		r := &next.Runs[i]
		for seat := range r.Aboard() {
			if gifts.take(r.Ask) {
				r.Serve(seat, gifts.reply)
			}
		}
	}
}

// Gifts are what was granted to callers who left.
type gifts struct {
	costs []int64        // the least first
	reply port.TakeReply // what is told to who takes one
}

func giftsOf(landed *laneFlight) *gifts {
	g := &gifts{}
	for i := range landed.Runs {
		r := &landed.Runs[i]
		if r.Ask.cost == 0 || !r.AnyLeft() {
			continue
		}
		for seat, place := range r.Aboard() {
			own, _ := r.Ask.share(&r.Answer, place)
			switch {
			case own == 0 || !r.Left(seat):
			case r.Answer.DueMicro != 0: // tokens of a later time
				landed.Lane.Key.nobodysPlace(r.Ask.cost, &r.Answer)
			default:
				g.costs = append(g.costs, slices.Repeat([]int64{r.Ask.cost}, int(min(own, giftsMax)))...)
				g.reply = port.TakeReply{Granted: 1, Foreign: r.Answer.Foreign}
			}
		}
	}
	slices.Sort(g.costs)
	return g
}

// giftsMax is as many as two full flights can use of what one caller left.
const giftsMax = 2048

// take takes the least gift that a caller can use, if there is one. A peek can
// use none, and one that would take several is not given a part of them.
func (g *gifts) take(q demand) bool {
	i, _ := slices.BinarySearch(g.costs, q.cost)
	if q.cost == 0 || q.times > 1 || i == len(g.costs) {
		return false
	}
	g.costs = slices.Delete(g.costs, i, i+1)
	return true
}
