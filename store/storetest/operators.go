package storetest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
	"github.com/holdfast-go/holdfast/domain/port"
)

// TestOperators is the conformance suite of a [port.OperatorStore], beside its
// [port.BreakerStore].
func TestOperators(t *testing.T, newStore Maker) {
	t.Helper()
	for _, story := range overrideStories() {
		t.Run(story.name, func(t *testing.T) { story.run(t, newStore) })
	}
	for _, tt := range steadyTests() {
		t.Run("a steady opinion: "+tt.name, func(t *testing.T) { testSteady(t, newStore, tt) })
	}
	t.Run("all of a breaker, closed", func(t *testing.T) { testExplainClosed(t, newStore) })
	t.Run("all of a breaker, half-open", func(t *testing.T) { testExplainHalfOpen(t, newStore) })
	t.Run("what happened, the newest first", func(t *testing.T) { testRecords(t, newStore) })
	t.Run("records are bounded", func(t *testing.T) { testRecordsBounded(t, newStore) })
	t.Run("a reset leaves nothing behind", func(t *testing.T) { testExplainReset(t, newStore) })
	t.Run("records of orders are bounded", func(t *testing.T) { testOrdersBounded(t, newStore) })
	t.Run("watchers see orders", func(t *testing.T) { testWatchOrders(t, newStore) })
	t.Run("the breakers that there are", func(t *testing.T) { testList(t, newStore) })
	t.Run("a context that is done orders nothing", func(t *testing.T) { testOrderDone(t, newStore) })
}

// forceOpen is the order of most stories, for a minute.
func forceOpen() breaker.Order {
	return breaker.Order{Force: domain.ForceOpen, ForMicro: 60_000_000, By: "ann", Reason: "the provider asked"}
}

func gives(o breaker.Order) act { return act{op: opOrder, order: o} }

// again is an order that a replica brings, which saw the store lose it.
func again(o breaker.Order, given time.Duration) act {
	o.Serial = epochAt(given)
	return gives(o)
}

// under is a reply of a breaker with an order that was given at that time.
func under(given time.Duration, r port.ProbeReply) port.ProbeReply {
	r.View.Order.Serial = epochAt(given)
	return r
}

// seen is what a read says of it, with so much of its time left.
func seen(o breaker.Order, given, rest time.Duration, r port.ProbeReply) port.ProbeReply {
	o.Serial, o.ForMicro = epochAt(given), rest.Microseconds()
	r.View.Order = o
	return r
}

// overrideStories are what becomes of an operator's orders: rule B8.
func overrideStories() []breakerStory {
	second, minute := time.Second, time.Minute
	o, plain := forceOpen(), domain.CircuitBreaker{}
	over := breaker.Order{By: "bob", Reason: "all is well"}
	afresh := breaker.Order{Reset: true, By: "bob", Reason: "we mended it"}
	return []breakerStory{
		{"an order waits for its breaker", "and nobody's first report loses it", plain, []breakerStep{
			{0, gives(o), under(0, nothing())},
			{second, reads(), seen(o, 0, 59*second, nothing())},
			{0, leaves("a").knowingNothing(), under(0, nothing())},
			{0, asks("a", 1).knowingNothing(), under(0, nothing())},
			{0, well("a"), under(0, fresh(second))},
			{58 * second, reads(), seen(o, 0, second, fresh(second))},
			{2 * second, reads(), seen(o, 0, 0, fresh(second))},
		}},
		{"an order outlives every epoch", "votes, probes and transitions go on underneath", plain, []breakerStep{
			{0, sick("a"), fresh(0)},
			{0, gives(o), under(0, nothing())},
			{0, sick("b"), under(0, open(us, 30*second))},
			{30 * second, asks("a", 1), under(0, leased(10*second, 30*second, 10*second))},
			{0, asks("b", 2), under(0, halfOpen(30*second, 10*second))},
			{0, settles("a", 1, domain.Success), under(0, halfOpen(30*second, 0))},
			{0, asks("b", 2), under(0, leased(10*second, 30*second, 10*second))},
			{second, settles("b", 2, domain.Success), under(0, closed(31*second))},
			{0, asks("b", 3).knowing(2 * minute), under(0, fresh(2*minute+us))}, // whose state was lost
			{0, reads(), seen(o, 0, 29*second, fresh(2*minute+us))},
		}},
		{"orders are numbered", "in the order in which they came, within a µs too", plain, []breakerStep{
			{0, gives(o), under(0, nothing())},
			{0, gives(over), under(us, nothing())},
			{0, reads(), seen(over, us, 0, nothing())},
			{-second, gives(o), under(2*us, nothing())}, // the clock stepped back
			{0, reads(), seen(o, 2*us, minute, nothing())},
		}},
		{"the latest order stands", "who brings an older one, or the same again, changes nothing", plain, []breakerStep{
			{minute, gives(over), under(minute, nothing())},
			{0, again(o, 0), under(minute, nothing())},
			{0, again(o, minute), under(minute, nothing())},
			{0, reads(), seen(over, minute, 0, nothing())},
			{0, again(o, minute+us), under(minute+us, nothing())},
			{second, reads(), seen(o, minute+us, 59*second, nothing())},
		}},
		{"an order of a later day is refused", "one mistake must not outrank all that is to come", plain, []breakerStep{
			{0, again(o, 25*time.Hour), ahead()},
			{0, again(o, 23*time.Hour), under(23*time.Hour, nothing())},
			{0, gives(over), under(23*time.Hour+us, nothing())},
		}},
		{"a clock that steps back makes it no longer", "than it was given for", plain, []breakerStep{
			{0, gives(o), under(0, nothing())},
			{0, well("a"), under(0, fresh(0))},
			{-time.Hour, reads(), seen(o, 0, minute, fresh(0))},
			{0, well("a"), under(0, fresh(0))},
			{second, reads(), seen(o, 0, 59*second, fresh(0))},
			{0, well("a"), under(0, fresh(0))},
		}},
		{"a reset begins afresh", "closed, by an epoch of its own: votes and growth are gone", plain, then(probing(), []breakerStep{
			{0, settles("a", 1, domain.Failure), halfOpen(30*second, 0)},
			{8 * second, asks("a", 2), open(38*second, minute)}, // for longer, since it grew
			{0, gives(afresh), under(38*second, nothing())},
			{0, reads(), seen(afresh, 38*second, 0, closed(38*second+us))},
			{0, sick("a"), under(38*second, closed(38*second+us))},
			{0, sick("b"), under(38*second, open(38*second+2*us, 30*second))},
		})},
		{"a reset of a breaker that is not there", "makes none", plain, []breakerStep{
			{0, gives(afresh), under(0, nothing())},
			{0, reads(), seen(afresh, 0, 0, nothing())},
		}},
		{"a reset ends a ramp", "and what was lost has none", ramped(), then([]breakerStep{
			{0, sick("a").calling(600), fresh(0)},
			{0, sick("b").calling(400), open(us, 4*second)},
		}, recovers(4*second, 1, 2), []breakerStep{
			{0, settles("b", 2, domain.Success), ramping(4*second+us, 30*second, 100)},
			{second, gives(breaker.Order{Reset: true, By: "ann"}), under(5*second, nothing())},
			{0, well("a"), under(5*second, closed(5*second))},
			{0, well("a").knowing(time.Minute), under(5*second, fresh(time.Minute+us))},
		})},
		{"what cannot be lasts as long as can be", "no longer, and no less than nothing", plain, []breakerStep{
			{0, gives(breaker.Order{Force: domain.ForceClosed, ForMicro: 1 << 52, By: "ann"}), under(0, nothing())},
			{0, reads(), seen(breaker.Order{Force: domain.ForceClosed, By: "ann"}, 0, domain.MaxOverride, nothing())},
			{0, gives(breaker.Order{Force: domain.ForceClosed, ForMicro: -5, By: "ann"}), under(us, nothing())},
			{0, reads(), seen(breaker.Order{Force: domain.ForceClosed, By: "ann"}, us, 0, nothing())},
		}},
	}
}

// explained is all that there is of the breaker of a run.
func (run *breakerRun) explained() breaker.Snapshot {
	run.t.Helper()
	got, err := run.store.Operator.Explain(run.t.Context(), run.id)
	if err != nil {
		run.t.Fatal(err)
	}
	return got
}

func newRun(t *testing.T, newStore Maker) *breakerRun {
	t.Helper()
	clock := newClock()
	return &breakerRun{t: t, store: newStore(t, clock.now), clock: clock, id: port.ID{Name: "breaker"}}
}

func testExplainClosed(t *testing.T, newStore Maker) {
	t.Helper()
	run := newRun(t, newStore)
	if got := run.explained(); !slices.Equal(got.Votes, nil) || got.View != (breaker.View{}) {
		t.Errorf("of a breaker that is not there: %+v", got)
	}
	doubts := thinks("b", 500, true)
	doubts.evidence.Calls, doubts.evidence.Failures, doubts.evidence.Last = 10, 6, breaker.TroubleSlow
	run.play([]breakerStep{
		{0, well("c"), fresh(0)},
		{time.Second, doubts, fresh(0)},
		{0, thinks("d", 0, false).shut().lasting(30 * time.Second), fresh(0)},
		{0, gives(forceOpen()), under(time.Second, nothing())},
	}, "")
	run.clock.move(2 * time.Second)
	got, rules := run.explained(), defaultRules(t)
	want := breaker.Snapshot{
		View:  breaker.View{Epoch: epochAt(0), Fresh: true, Order: seen(forceOpen(), time.Second, 58*time.Second, nothing()).View.Order},
		Rules: rules, AgeMicro: 3_000_000, Bad: 1, BadWeight: 500, AllWeight: 1500,
		Votes: []breaker.Vote{
			{Replica: "b", Bad: true, Weight: 500, AgeMicro: 2_000_000, ForMicro: 8_000_000, Calls: 10, Failures: 6, Last: breaker.TroubleSlow},
			{Replica: "c", Weight: 1000, AgeMicro: 3_000_000, ForMicro: 7_000_000},
			{Replica: "d", AgeMicro: 2_000_000, ForMicro: 28_000_000, Open: true},
		},
	}
	checkSnapshot(t, got, want)
}

// defaultRules is the rules of the stories.
func defaultRules(t *testing.T) breaker.Rules {
	t.Helper()
	rules, err := breaker.Compile(domain.CircuitBreaker{})
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

func checkSnapshot(t *testing.T, got, want breaker.Snapshot) {
	t.Helper()
	lists := slices.Equal(got.Votes, want.Votes) && slices.Equal(got.Probers, want.Probers) && slices.Equal(got.Leases, want.Leases)
	numbers := got.Rules == want.Rules && got.AgeMicro == want.AgeMicro && got.Growth == want.Growth && got.Disputed == want.Disputed &&
		got.Bad == want.Bad && got.BadWeight == want.BadWeight && got.AllWeight == want.AllWeight
	if got.View != want.View || !lists || !numbers {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}
}

func testExplainHalfOpen(t *testing.T, newStore Maker) {
	t.Helper()
	run := newRun(t, newStore)
	run.play(then(probing(), []breakerStep{
		{0, settles("a", 1, domain.Failure), halfOpen(30*time.Second, 0)},
		{0, asks("c", 2), leased(10*time.Second, 30*time.Second, 10*time.Second)},
		{time.Second, asks("b", 3).under(domain.CircuitBreaker{Quorum: 0.4}), foreignTo(halfOpen(30*time.Second, 9*time.Second))},
	}), "")
	checkSnapshot(t, run.explained(), breaker.Snapshot{
		View:  breaker.View{Epoch: epochAt(30 * time.Second), State: domain.StateHalfOpen, ForMicro: 9_000_000},
		Rules: defaultRules(t), AgeMicro: 1_000_000, Disputed: true,
		Probers: []breaker.Prober{{Replica: "a", Failed: true}, {Replica: "b"}, {Replica: "c"}},
		Leases:  []breaker.Lease{{Replica: "c", ForMicro: 9_000_000}},
	})
}

// records is what happened to the breaker of a run.
func (run *breakerRun) records() []breaker.Record {
	run.t.Helper()
	got, err := run.store.Operator.Records(run.t.Context(), run.id)
	if err != nil {
		run.t.Fatal(err)
	}
	return got
}

func testRecords(t *testing.T, newStore Maker) {
	t.Helper()
	run := newRun(t, newStore)
	if got := run.records(); len(got) > 0 {
		t.Errorf("of a breaker that is not there: %+v", got)
	}
	second := time.Second
	run.play(then([]breakerStep{{0, well("c"), fresh(0)}, {0, leaves("c"), fresh(0)}}, probing(), []breakerStep{
		{0, settles("a", 1, domain.Failure), halfOpen(30*second, 0)},
		{8 * second, asks("a", 2), open(38*second, time.Minute)},
		{second, gives(forceOpen()), under(39*second, nothing())},
		{0, asks("b", 3).knowing(2 * time.Minute), under(39*second, fresh(2*time.Minute+us))},
		{0, sick("b"), under(39*second, fresh(2*time.Minute+us))},
		{0, well("b"), under(39*second, fresh(2*time.Minute+us))},
	}), "")
	at := func(d time.Duration) int64 { return epoch + d.Microseconds() }
	turn, vote := breaker.RecordTurn, breaker.RecordVote
	want := []breaker.Record{
		{AtMicro: at(39 * second), Kind: vote, Epoch: epochAt(2*time.Minute + us), Replica: "b", Weight: 1000},
		{AtMicro: at(39 * second), Kind: vote, Epoch: epochAt(2*time.Minute + us), Replica: "b", Bad: true, Weight: 1000},
		{AtMicro: at(39 * second), Kind: turn, Epoch: epochAt(2*time.Minute + us), Lost: true, Replica: "b"},
		{
			AtMicro: at(39 * second), Kind: breaker.RecordOrder, Epoch: epochAt(38 * second), State: domain.StateOpen,
			Order: seen(forceOpen(), 39*second, time.Minute, nothing()).View.Order,
		},
		{AtMicro: at(38 * second), Kind: turn, Epoch: epochAt(38 * second), State: domain.StateOpen, Replica: "a"},
		{AtMicro: at(30 * second), Kind: turn, Epoch: epochAt(30 * second), State: domain.StateHalfOpen, Replica: "a"},
		{AtMicro: at(0), Kind: turn, Epoch: epochAt(us), State: domain.StateOpen, Replica: "b"},
		{AtMicro: at(0), Kind: vote, Epoch: epochAt(0), Replica: "b", Bad: true, Weight: 1000},
		{AtMicro: at(0), Kind: vote, Epoch: epochAt(0), Replica: "a", Bad: true, Weight: 1000},
	}
	if got := run.records(); !slices.Equal(got, want) {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}
}

func testRecordsBounded(t *testing.T, newStore Maker) {
	t.Helper()
	run := newRun(t, newStore)
	for i := range breaker.RecordsKept/2 + 5 {
		run.do(sick("a").lasting(time.Duration(i+1) * time.Second))
		run.do(well("a"))
	}
	got := run.records()
	if len(got) != breaker.RecordsKept || got[0].Bad {
		t.Errorf("%d records are kept, the newest %+v; want the last %d", len(got), got[0], breaker.RecordsKept)
	}
}

func testOrdersBounded(t *testing.T, newStore Maker) {
	t.Helper()
	run := newRun(t, newStore)
	for range breaker.RecordsKept + 5 {
		run.do(gives(forceOpen()))
	}
	if got := run.records(); len(got) != breaker.RecordsKept || got[0].Order.Serial != epochAt((breaker.RecordsKept+4)*us) {
		t.Errorf("%d records are kept; want the last %d", len(got), breaker.RecordsKept)
	}
}

// testExplainReset: neither votes nor growth outlive a reset; that others bring other
// rules does.
func testExplainReset(t *testing.T, newStore Maker) {
	t.Helper()
	run := newRun(t, newStore)
	run.play(then(probing(), []breakerStep{
		{0, settles("a", 1, domain.Failure), halfOpen(30*time.Second, 0)},
		{8 * time.Second, asks("a", 2), open(38*time.Second, time.Minute)},
		{0, asks("b", 3).under(domain.CircuitBreaker{Quorum: 0.4}), foreignTo(open(38*time.Second, time.Minute))},
	}), "")
	if got := run.explained(); got.Growth != 1 || !got.Disputed {
		t.Errorf("before: %+v; want one reopening, and other rules brought", got)
	}
	over := breaker.Order{Reset: true, By: "bob"}
	run.play([]breakerStep{{0, gives(over), under(38*time.Second, nothing())}}, "")
	checkSnapshot(t, run.explained(), breaker.Snapshot{
		View: breaker.View{Epoch: epochAt(38*time.Second + us), Order: seen(over, 38*time.Second, 0, nothing()).View.Order}, Rules: defaultRules(t), Disputed: true,
	})
	run.play([]breakerStep{
		{0, reads(), seen(over, 38*time.Second, 0, closed(38*time.Second+us))},
		{0, sick("a"), under(38*time.Second, closed(38*time.Second+us))},
	}, "")
	if got := run.explained(); len(got.Votes) != 1 || got.Bad != 1 {
		t.Errorf("before: %+v; want a vote", got)
	}
	run.play([]breakerStep{{0, gives(over), under(38*time.Second+us, nothing())}}, "")
	if got := run.explained(); len(got.Votes) > 0 || got.Bad > 0 {
		t.Errorf("a vote outlived a reset: %+v", got)
	}
}

func testList(t *testing.T, newStore Maker) {
	t.Helper()
	run := newRun(t, newStore)
	want := []port.ID{{Name: "a"}, {Name: "b", Key: "east"}, {Name: "b", Key: "west"}, {Name: "ordered"}}
	for _, run.id = range []port.ID{want[2], want[0], want[1]} {
		run.do(well("r"))
	}
	run.id = want[3]
	run.do(gives(forceOpen()))
	run.id = port.ID{Name: "nobody"}
	run.do(reads())
	run.explained()
	run.do(asks("r", 1).knowingNothing())
	got, err := run.store.Operator.Breakers(t.Context())
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("Breakers = %v, %v; want %v", got, err, want)
	}
}

func testOrderDone(t *testing.T, newStore Maker) {
	t.Helper()
	run := newRun(t, newStore)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out [1]port.OrderReply
	run.store.Operator.Order(ctx, []port.Order{{Breaker: run.id, Order: forceOpen()}}, out[:])
	if out[0].Err == nil {
		t.Errorf("Order with a done context = %+v; want an error", out[0])
	}
	if got := run.explained(); got.View != (breaker.View{}) {
		t.Errorf("afterwards: %+v", got)
	}
}
