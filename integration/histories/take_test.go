package histories

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/bucket"
	"github.com/holdfast-go/holdfast/domain/port"
)

// bucketsPerRound are few, so that the workers are in each other's way.
const bucketsPerRound = 2

// ruleOf is the limit of a bucket, as the worker has it. In some rounds half of
// the fleet was deployed with another one, which is newer, or only stricter.
func ruleOf(round, which, worker int) bucket.Rule {
	rng := rand.New(rand.NewPCG(uint64(round), uint64(which)))
	limit := domain.RateLimit{Name: "api", Limit: domain.PerSecond(100 + rng.Int64N(3000)).WithBurst(5 + rng.Int64N(60))}
	other := domain.RateLimit{Name: "api", Limit: domain.PerMinute(5000 + rng.Int64N(99_999)).WithBurst(5 + rng.Int64N(60)), Version: rng.Int64N(2)}
	if rng.IntN(2) == 0 { // a slower band beside it
		limit.Also[0] = domain.Per(limit.Limit.Tokens, 3*time.Second).WithBurst(limit.Limit.Burst + 1 + rng.Int64N(200))
	}
	if rng.IntN(3) == 0 && worker%2 == 1 {
		limit = other
	}
	rule, err := bucket.Compile(limit)
	if err != nil {
		panic(err)
	}
	return rule
}

// take asks one bucket, or two in one script.
func (w *worker) take(round int) bool {
	which := w.rng.IntN(bucketsPerRound)
	in := w.asks(round, which)
	if w.rng.IntN(8) == 0 {
		in = append(in, w.asks(round, (which+1)%bucketsPerRound)...)
	}
	return w.ask(in)
}

// ask asks buckets.
func (w *worker) ask(in []port.TakeRequest) bool {
	return w.made(line{Takes: in}, func(ctx context.Context, got *line) error {
		got.Taken = make([]port.TakeReply, len(in))
		w.stores.Buckets.Take(ctx, in, got.Taken)
		for _, reply := range got.Taken {
			if reply.Err != nil {
				return reply.Err
			}
		}
		return nil
	})
}

// asks are what one bucket is asked at once.
func (w *worker) asks(round, which int) []port.TakeRequest {
	in := make([]port.TakeRequest, 1, 2)
	if w.rng.IntN(6) == 0 {
		in = in[:2]
	}
	for i := range in {
		in[i] = port.TakeRequest{
			Bucket: port.ID{Name: fmt.Sprintf("%d.%d", round, which)},
			Rule:   ruleOf(round, which, w.order.Worker),
			Ask:    w.anAsk(),
		}
	}
	return in
}

func (w *worker) anAsk() bucket.Ask {
	a := bucket.Ask{Cost: 1 + w.rng.Int64N(3), Count: 1 + w.rng.Int64N(4), Turn: w.rng.IntN(3) == 0}
	switch w.rng.IntN(20) {
	case 0, 1:
		a.Cost = 0
	case 2:
		a.Cost = 60 // above most bursts
	case 3: // one that was billed before, perhaps, by another caller too
		a = bucket.Ask{Cost: w.rng.Int64N(20), Count: 1, Bill: 1 + w.rng.Uint64N(30)}
	case 4, 5, 6:
		a = w.aLease()
	case 7:
		a = bucket.Ask{Order: &bucket.Order{Tokens: w.rng.Int64N(9), BlockMilli: min(w.rng.Int64N(40)-35, 3)}}
	case 8:
		a = bucket.Ask{Cost: 1 + w.rng.Int64N(3), Count: 1, WaitMicro: 1 + w.rng.Int64N(300_000)}
	case 9:
		a = w.aReturn()
	}
	return a
}

// aReturn gives back, or charges, as one of few who are all workers at once: a place in
// the queue, perhaps, that another one has.
func (w *worker) aReturn() bucket.Ask {
	r := &bucket.Return{ID: bucket.LeaseID{Start: 1 + w.rng.Uint64N(3), Seq: 1 + w.rng.Uint64N(40)}, Tokens: w.rng.Int64N(9) - 3}
	if w.rng.IntN(2) == 0 {
		r.DueMicro, r.StepMicro = time.Now().UnixMicro()+w.rng.Int64N(300_000), w.rng.Int64N(100_000)
	}
	return bucket.Ask{Return: r}
}

// aLease asks for tokens ahead, as one of few holders who are all workers at once: a
// store must not mind that they contradict each other.
func (w *worker) aLease() bucket.Ask {
	seq := 2 + w.rng.Uint64N(6)
	return bucket.Ask{Cost: 1 + w.rng.Int64N(2), Count: w.rng.Int64N(9), Turn: w.rng.IntN(3) == 0, Lease: &bucket.LeaseAsk{
		ID: bucket.LeaseID{Start: 1 + w.rng.Uint64N(3), Seq: seq}, Milli: 1 + w.rng.Int64N(900),
		Spent: seq - w.rng.Uint64N(2), Left: w.rng.Int64N(5), Sealed: w.rng.IntN(4) == 0,
	}}
}
