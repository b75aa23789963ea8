package storetest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
	"github.com/holdfast-go/holdfast/domain/port"
)

// A breakerStep moves the clock and has one replica tell, ask or read one
// breaker. A report and a read are answered by a view alone.
type breakerStep struct {
	after time.Duration
	act   act
	want  port.ProbeReply
}

// A breakerStory is a run of steps on one breaker, and the rule that it shows.
type breakerStory struct {
	name   string
	why    string
	policy domain.CircuitBreaker
	steps  []breakerStep
}

// An op is what a replica does.
type op uint8

const (
	opReport op = iota
	opAsk
	opSettle
	opRead
	opOrder
)

// An act is what one replica does. It knows the latest epoch that the story has
// seen, unless it says otherwise, and its reports are numbered as they come.
type act struct {
	op       op
	policy   domain.CircuitBreaker // the story's, unless set
	evidence breaker.Evidence
	probe    breaker.ProbeAsk
	order    breaker.Order
	known    uint64
	told     bool // known is what the replica knows
}

func sick(replica string) act { return thinks(replica, 1000, true) }
func well(replica string) act { return thinks(replica, 1000, false) }

// thinks is a report of that weight, which counts for a window.
func thinks(replica string, weight int64, bad bool) act {
	return act{evidence: breaker.Evidence{Replica: replica, Weight: weight, Bad: bad, ForMicro: 10_000_000}}
}

func leaves(replica string) act {
	return act{evidence: breaker.Evidence{Replica: replica, Leaving: true}}
}

func asks(replica string, token uint64) act {
	return act{op: opAsk, probe: breaker.ProbeAsk{Replica: replica, Token: token}}
}

func settles(replica string, token uint64, o domain.Outcome) act {
	return act{op: opSettle, probe: breaker.ProbeAsk{Replica: replica, Token: token, Settle: true, Outcome: o}}
}

func reads() act { return act{op: opRead} }

func (a act) lasting(d time.Duration) act {
	a.evidence.ForMicro = d.Microseconds()
	return a
}

// asking is a report, or a probe's result, of one whom the dependency asked to be left
// alone for so long.
func (a act) asking(d time.Duration) act {
	a.evidence.AloneMicro, a.probe.AloneMicro = d.Microseconds(), d.Microseconds()
	return a
}

// shut is a report of one whose own layer is not closed.
func (a act) shut() act {
	a.evidence.Open = true
	return a
}

// calling is a report that rests on so many calls.
func (a act) calling(n int64) act {
	a.evidence.Calls = n
	return a
}

func (a act) numbered(seq uint64) act {
	a.evidence.Seq = seq
	return a
}

func (a act) under(policy domain.CircuitBreaker) act {
	a.policy = policy
	return a
}

// knowing is a replica that knows the epoch of that time of the story.
func (a act) knowing(at time.Duration) act {
	a.known, a.told = epochAt(at), true
	return a
}

func (a act) knowingNothing() act {
	a.known, a.told = 0, true
	return a
}

// epochAt is the epoch that begins at that time of a story. One that begins in
// the same µs as the one before it, or after a clock stepped back, is that + 1.
func epochAt(at time.Duration) uint64 { return uint64(epoch + at.Microseconds()) }

// Answers. The first time is that of the epoch.
func nothing() port.ProbeReply { return port.ProbeReply{} }

func fresh(at time.Duration) port.ProbeReply {
	return port.ProbeReply{View: port.View{Epoch: epochAt(at), Fresh: true}}
}

func closed(at time.Duration) port.ProbeReply {
	return port.ProbeReply{View: port.View{Epoch: epochAt(at)}}
}

func open(at, rest time.Duration) port.ProbeReply {
	return port.ProbeReply{View: port.View{Epoch: epochAt(at), State: domain.StateOpen, For: rest}}
}

// ramping is a closed breaker in its ramp, which lasts so long still.
func ramping(at, rest time.Duration, base int64) port.ProbeReply {
	r := closed(at)
	r.View.For, r.View.Base = rest, base
	return r
}

func halfOpen(at, wait time.Duration) port.ProbeReply {
	return port.ProbeReply{View: port.View{Epoch: epochAt(at), State: domain.StateHalfOpen, For: wait}}
}

// leased is a grant for that long; wait is until another lease may be free.
func leased(lasts, at, wait time.Duration) port.ProbeReply {
	r := halfOpen(at, wait)
	r.Granted, r.For = true, lasts
	return r
}

func foreignTo(r port.ProbeReply) port.ProbeReply {
	r.View.Foreign = true
	return r
}

func ahead() port.ProbeReply { return port.ProbeReply{View: port.View{Err: port.ErrAhead}} }

// then joins the parts of a story.
func then(parts ...[]breakerStep) []breakerStep {
	var all []breakerStep
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// TestBreakers is the conformance suite of a [port.BreakerStore] and its
// [port.ViewSource].
func TestBreakers(t *testing.T, newStore Maker) {
	t.Helper()
	for _, stories := range [][]breakerStory{voteStories(), epochStories(), probeStories(), recoveryStories(), rampStories(), claimStories()} {
		for _, story := range stories {
			t.Run(story.name, func(t *testing.T) { story.run(t, newStore) })
		}
	}
	t.Run("a hundred ask at once (cases 26, 49)", func(t *testing.T) { testProbeRush(t, newStore) })
	t.Run("votes from many at once (case 48)", func(t *testing.T) { testVoteRush(t, newStore) })
	t.Run("breakers are apart", func(t *testing.T) { testBreakersApart(t, newStore) })
	t.Run("a context that is done tells nothing", func(t *testing.T) { testBreakerDone(t, newStore) })
	t.Run("watchers see transitions in order (case 58)", func(t *testing.T) { testWatch(t, newStore) })
	t.Run("watchers see ramps", func(t *testing.T) { testWatchRamp(t, newStore) })
}

// A breakerRun plays a story on one store.
type breakerRun struct {
	t      *testing.T
	store  port.Stores
	clock  *clock
	id     port.ID
	policy domain.CircuitBreaker
	latest uint64
	seq    uint64
}

func (s breakerStory) run(t *testing.T, newStore Maker) {
	t.Helper()
	clock := newClock()
	run := breakerRun{t: t, store: newStore(t, clock.now), clock: clock, id: port.ID{Name: "breaker"}, policy: s.policy}
	run.play(s.steps, s.why)
}

func (run *breakerRun) play(steps []breakerStep, why string) {
	run.t.Helper()
	for i, step := range steps {
		run.clock.move(step.after)
		got, did := run.do(step.act)
		if got != step.want {
			run.t.Fatalf("step %d: %+v\n got %+v\nwant %+v\n%s", i, did, got, step.want, why)
		}
	}
}

// do gives the answer to one act, and the act in words.
func (run *breakerRun) do(a act) (got port.ProbeReply, did any) {
	run.t.Helper()
	policy, known := run.policy, run.latest
	if a.policy != (domain.CircuitBreaker{}) {
		policy = a.policy
	}
	if a.told {
		known = a.known
	}
	rules, err := breaker.Compile(policy)
	if err != nil {
		run.t.Fatal(err)
	}
	ctx := run.t.Context()
	switch a.op {
	case opReport:
		in := []port.Report{{Breaker: run.id, Rules: rules, Evidence: a.evidence}}
		if in[0].Known = known; in[0].Seq == 0 {
			run.seq++
			in[0].Seq = run.seq
		}
		out := make([]port.View, 1)
		run.store.Breakers.Report(ctx, in, out)
		got.View, did = out[0], in[0].Evidence
	case opAsk, opSettle:
		in := []port.ProbeRequest{{Breaker: run.id, Rules: rules, ProbeAsk: a.probe}}
		in[0].Known = known
		out := make([]port.ProbeReply, 1)
		run.store.Breakers.Probe(ctx, in, out)
		got, did = out[0], in[0].ProbeAsk
	case opOrder:
		var out [1]port.OrderReply
		run.store.Operator.Order(ctx, []port.Order{{Breaker: run.id, Order: a.order}}, out[:])
		got.View, did = port.View{Order: breaker.Order{Serial: out[0].Serial}, Err: out[0].Err}, a.order
	case opRead:
		got.View, did = readOne(run.t, run.store, run.id), "read"
	}
	run.latest = max(run.latest, got.View.Epoch)
	if errors.Is(got.View.Err, port.ErrAhead) {
		if said, ok := errors.AsType[*domain.StoreError](got.View.Err); ok && said.Entity {
			got.View.Err = port.ErrAhead // as stories write it: the store answered, and refuses
		}
	}
	return got, did
}

func readOne(t *testing.T, store port.Stores, id port.ID) port.View {
	t.Helper()
	var out [1]port.View
	store.Views.Read(t.Context(), []port.ID{id}, out[:])
	return out[0]
}

// testProbeRush has a hundred replicas see at once that the time is over.
func testProbeRush(t *testing.T, newStore Maker) {
	t.Helper()
	const probes, racers = 3, 100
	policy := domain.CircuitBreaker{Probes: probes}
	clock := newClock()
	run := breakerRun{t: t, store: newStore(t, clock.now), clock: clock, id: port.ID{Name: "breaker"}, policy: policy}
	run.play(tripped(), "")
	clock.move(30 * time.Second)
	rules, err := breaker.Compile(policy)
	if err != nil {
		t.Fatal(err)
	}
	var granted atomic.Int64
	var all sync.WaitGroup
	for i := range racers {
		all.Go(func() {
			in := [1]port.ProbeRequest{{Breaker: run.id, Rules: rules, ProbeAsk: breaker.ProbeAsk{
				Replica: "r" + string(rune('a'+i%26)) + string(rune('a'+i/26)), Known: run.latest, Token: uint64(i + 1),
			}}}
			var out [1]port.ProbeReply
			run.store.Breakers.Probe(t.Context(), in[:], out[:])
			if out[0].View.Err != nil {
				t.Errorf("Probe: %v", out[0].View.Err)
			}
			if out[0].Granted {
				granted.Add(1)
			}
		})
	}
	all.Wait()
	if granted.Load() != probes {
		t.Errorf("%d of %d racers got a lease; want exactly %d", granted.Load(), racers, probes)
	}
}

// testVoteRush has fifty replicas report at the same time that they are well,
// twice each. Each counts once: 49 bad ones of weight 1 are then not enough
// beside them, and the 50th is.
func testVoteRush(t *testing.T, newStore Maker) {
	t.Helper()
	const replicas = 50
	clock := newClock()
	run := breakerRun{t: t, store: newStore(t, clock.now), clock: clock, id: port.ID{Name: "breaker"}}
	run.play([]breakerStep{{0, well("w0"), fresh(0)}}, "")
	rules, err := breaker.Compile(run.policy)
	if err != nil {
		t.Fatal(err)
	}
	name := func(kind byte, i int) string { return string([]byte{kind, byte('0' + i/10), byte('0' + i%10)}) }
	var all sync.WaitGroup
	for i := range 2 * replicas {
		all.Go(func() {
			a := well(name('w', i%replicas))
			a.evidence.Seq, a.evidence.Known = 1, run.latest
			var out [1]port.View
			run.store.Breakers.Report(t.Context(), []port.Report{{Breaker: run.id, Rules: rules, Evidence: a.evidence}}, out[:])
			if out[0].Err != nil {
				t.Errorf("Report: %v", out[0].Err)
			}
		})
	}
	all.Wait()
	run.play([]breakerStep{{0, leaves("w0"), fresh(0)}}, "") // w0 was there twice: as w0 and w00
	for i := range replicas - 1 {
		run.play([]breakerStep{{0, sick(name('b', i)), fresh(0)}}, "49 of 99 are less than half")
	}
	run.play([]breakerStep{{0, sick(name('b', replicas)), open(us, 30*time.Second)}}, "50 of 100 are half")
}

// testBreakersApart reports about several breakers in one call, those of keys among them.
func testBreakersApart(t *testing.T, newStore Maker) {
	t.Helper()
	for _, pair := range [][2]port.ID{
		{{Name: "a"}, {Name: "b"}},
		{{Name: "a", Key: "k"}, {Name: "a"}},
		{{Name: "a"}, {Name: "a", Key: "a"}},
		{{Name: "a", Key: "k"}, {Name: "a", Key: "K"}},
		{{Name: "a", Key: "k"}, {Name: "b", Key: "k"}},
		{{Name: "a", Key: "a key with spaces"}, {Name: "a", Key: "a key with  spaces"}},
	} {
		clock := newClock()
		areApart(t, newStore(t, clock.now), pair[0], pair[1])
	}
}

// areApart reports a breaker sick and another one well.
func areApart(t *testing.T, store port.Stores, a, b port.ID) {
	t.Helper()
	rules, err := breaker.Compile(domain.CircuitBreaker{Sharing: domain.ShareAny})
	if err != nil {
		t.Fatal(err)
	}
	ill, fine := sick("r").evidence, well("r").evidence
	ill.Seq, fine.Seq = 1, 1
	in := []port.Report{{Breaker: a, Rules: rules, Evidence: ill}, {Breaker: b, Rules: rules, Evidence: fine}}
	out := make([]port.View, 2)
	store.Breakers.Report(t.Context(), in, out)
	for range 2 {
		if want := open(us, 30*time.Second).View; out[0] != want {
			t.Errorf("%q, with a sick replica: %+v; want %+v", a, out[0], want)
		}
		if want := fresh(0).View; out[1] != want {
			t.Errorf("%q, beside %q: %+v; want %+v", b, a, out[1], want)
		}
		store.Views.Read(t.Context(), []port.ID{a, b}, out)
	}
}

func testBreakerDone(t *testing.T, newStore Maker) {
	t.Helper()
	clock := newClock()
	store := newStore(t, clock.now)
	rules, err := breaker.Compile(domain.CircuitBreaker{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	id := port.ID{Name: "breaker"}
	var view [1]port.View
	store.Breakers.Report(ctx, []port.Report{{Breaker: id, Rules: rules, Evidence: sick("a").numbered(1).evidence}}, view[:])
	if view[0].Err == nil {
		t.Errorf("Report with a done context = %+v; want an error", view[0])
	}
	var reply [1]port.ProbeReply
	known := breaker.ProbeAsk{Replica: "a", Known: epochAt(0), Token: 1}
	store.Breakers.Probe(ctx, []port.ProbeRequest{{Breaker: id, Rules: rules, ProbeAsk: known}}, reply[:])
	if reply[0].View.Err == nil {
		t.Errorf("Probe with a done context = %+v; want an error", reply[0])
	}
	if got := readOne(t, store, id); got != (port.View{}) {
		t.Errorf("afterwards: %+v; want a breaker that is not there", got)
	}
}
