package histories

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
	"github.com/holdfast-go/holdfast/domain/port"
)

const breakersPerRound = 2

// rulesOf are a breaker's numbers, as the worker has them: such that it opens
// and closes many times within a round.
func rulesOf(round, which, worker int) breaker.Rules {
	rng := rand.New(rand.NewPCG(uint64(round), uint64(100+which)))
	r := breaker.Rules{
		MinReplicas: 2 + rng.Int64N(2), QuorumMille: 200 + rng.Int64N(400), WindowMicro: 40_000,
		RecoveryMicro: 4_000 + rng.Int64N(8_000), MaxRecoveryMicro: 30_000,
		Probes: 1 + rng.Int64N(3), LeaseMicro: 4_000 + rng.Int64N(8_000), Successes: 1 + rng.Int64N(3), HalfOpenMicro: 25_000,
	}
	if rng.IntN(4) == 0 && worker%2 == 1 {
		r.Version = rng.Int64N(2)
		r.RecoveryMicro++
	}
	return r
}

// A breakerCaller is what a worker knows of one breaker.
type breakerCaller struct {
	id     port.ID
	rules  breaker.Rules
	name   string // the replica's
	epoch  uint64
	state  domain.State
	seq    uint64
	tokens []uint64 // of leases that are held
}

// step says or asks something about a breaker, as a replica does that knows what
// it was last answered; and sometimes as one does that does not.
func (w *worker) step(round int) bool {
	b := w.caller(fmt.Sprintf("%d.%d", round, w.rng.IntN(breakersPerRound)), round)
	switch {
	case len(b.tokens) > 0 && w.rng.IntN(5) > 0:
		token := b.tokens[0]
		b.tokens = b.tokens[1:]
		outcome := []domain.Outcome{domain.Success, domain.Success, domain.Success, domain.Failure, domain.LocalFailure, domain.Ignored}[w.rng.IntN(6)]
		return w.probe(b, breaker.ProbeAsk{Replica: b.name, Known: b.epoch, Token: token, Settle: true, Outcome: outcome})
	case b.state == domain.StateClosed || w.rng.IntN(10) == 0:
		return w.report(b)
	default:
		return w.probe(b, breaker.ProbeAsk{Replica: b.name, Known: b.epoch, Token: w.rng.Uint64() >> 12})
	}
}

// caller is what is known of the breaker called name. That of other rounds is forgotten.
func (w *worker) caller(name string, round int) *breakerCaller {
	b := w.breakers[name]
	if b == nil {
		if w.breakers == nil || len(w.breakers) >= 2*breakersPerRound {
			w.breakers = make(map[string]*breakerCaller)
		}
		var which int
		_, _ = fmt.Sscanf(name, "%d.%d", &round, &which)
		b = &breakerCaller{
			id: port.ID{Name: name}, rules: rulesOf(round, which, w.order.Worker),
			name: fmt.Sprintf("w%d-%d", w.order.Worker, w.order.Life),
		}
		w.breakers[name] = b
	}
	return b
}

func (w *worker) report(b *breakerCaller) bool {
	b.seq++
	in := [1]port.Report{{Breaker: b.id, Rules: b.rules, Evidence: breaker.Evidence{
		Replica: b.name, Seq: b.seq, Known: b.epoch,
		Calls: 10, Failures: 5, Weight: 200 * w.rng.Int64N(6), Bad: w.rng.IntN(2) == 0,
		ForMicro: 5_000 + w.rng.Int64N(40_000), Leaving: w.rng.IntN(30) == 0,
	}}}
	return w.made(line{Report: &in[0]}, func(ctx context.Context, got *line) error {
		var out [1]port.View
		w.stores.Breakers.Report(ctx, in[:], out[:])
		got.View = &out[0]
		return b.learn(out[0])
	})
}

func (w *worker) probe(b *breakerCaller, ask breaker.ProbeAsk) bool {
	in := [1]port.ProbeRequest{{Breaker: b.id, Rules: b.rules, ProbeAsk: ask}}
	return w.made(line{Probe: &in[0]}, func(ctx context.Context, got *line) error {
		var out [1]port.ProbeReply
		w.stores.Breakers.Probe(ctx, in[:], out[:])
		got.Probed = &out[0]
		err := b.learn(out[0].View)
		if out[0].Granted {
			b.tokens = append(b.tokens, ask.Token)
		}
		return err
	})
}

// learn keeps what a reply says.
func (b *breakerCaller) learn(v port.View) error {
	if v.Err != nil {
		return v.Err
	}
	if v.Epoch != b.epoch {
		b.epoch, b.state, b.tokens = v.Epoch, v.State, nil
	}
	return nil
}
