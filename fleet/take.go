package fleet

import (
	"context"

	"github.com/holdfast-go/holdfast/domain/bucket"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet/internal/flight"
)

type (
	laneFlight  = flight.Flight[*lane, int64, answer]
	laneFlights = flight.Lane[*lane, int64, answer]
)

// fly asks the store for all flights in one call. Callers with the same cost
// that stand next to each other are one request: the store decides them one by
// one all the same.
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
// while the store was out of reach, then the callers in order.
func (ln *lane) requests(in []port.TakeRequest, f *laneFlight) []port.TakeRequest {
	rule := ln.limiter.settings.Load().rule
	if bill, tokens, owing := ln.local.bill(ln, rule); owing {
		in = append(in, port.TakeRequest{Bucket: ln.id, Rule: rule, Ask: bucket.Ask{Cost: tokens, Count: 1, Bill: bill}})
	}
	open := false // the last request is a run that may grow
	for i, cost := range f.Asks {
		if !f.Wanted(i) {
			continue
		}
		if last := len(in) - 1; open && in[last].Cost == cost {
			in[last].Count++
			continue
		}
		in = append(in, port.TakeRequest{Bucket: ln.id, Rule: rule, Ask: bucket.Ask{Cost: cost, Count: 1, Turn: cost > 0}})
		open = true
	}
	return in
}

// replies hands the store's replies out to the flight's callers, in the order
// of requests.
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
	run, nth := 0, int64(0)
	for i := range f.Asks {
		if !f.Wanted(i) {
			continue
		}
		if nth == in[run].Count {
			run, nth = run+1, 0
		}
		f.Answers[i] = share(in[run], out[run], nth)
		nth++
	}
	for i := range in {
		if out[i].Granted < in[i].Count && !out[i].TooHigh {
			ln.remember(in[i].Rule, in[i].Cost, out[i].RetryAfter)
		}
	}
}

// share is the nth caller's part of a reply to a run of equal costs.
func share(in port.TakeRequest, out port.TakeReply, nth int64) answer {
	a := answerOf(out)
	if a.granted = nth < out.Granted; a.granted {
		a.remaining += (out.Granted - 1 - nth) * in.Cost
	}
	return a
}

// handOver gives the tokens of callers who left in the air to others of at most
// that cost: denied ones aboard, then those who wait for the next flight. What
// nobody can use is spent.
func handOver(landed, next *laneFlight) {
	// From where on to look: whoever stands before could not use as much as most.
	aboard, behind, most := 0, 0, int64(0)
	for i, cost := range landed.Asks {
		if !landed.Wanted(i) || !landed.Left(i) || !landed.Answers[i].granted || cost == 0 {
			continue
		}
		if cost > most {
			aboard, behind, most = 0, 0, cost
		}
		gift := landed.Answers[i]
		gift.remaining = 0
		if aboard = findTaker(landed, aboard, cost); aboard < len(landed.Asks) {
			landed.Answers[aboard] = gift
			continue
		}
		if next == nil {
			continue
		}
		if behind = findWaiting(next, behind, cost); behind < len(next.Asks) {
			next.Serve(behind, gift)
		}
	}
}

// findTaker is the first caller from i on who was denied and can use cost.
func findTaker(f *laneFlight, i int, cost int64) int {
	for i < len(f.Asks) && (!f.Wanted(i) || f.Left(i) || f.Answers[i].granted || f.Asks[i] == 0 || f.Asks[i] > cost) {
		i++
	}
	return i
}

// findWaiting is the first caller from i on who waits and can use cost.
func findWaiting(f *laneFlight, i int, cost int64) int {
	for i < len(f.Asks) && (!f.Wanted(i) || f.Asks[i] == 0 || f.Asks[i] > cost) {
		i++
	}
	return i
}
