package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
)

// A steadyTest is a replica, or some, whose opinion stays as it is, and what is left of
// them in the end. A store may take such reports by a shorter way than others.
type steadyTest struct {
	name  string
	steps []breakerStep
	bad   int64 // replicas, afterwards
	wbad  int64 // their weight
	wall  int64 // all weight
	votes []breaker.Vote
	turns int // transitions on record
}

// steadyTests begin with two votes each, of a which is well and of b which has its doubts.
func steadyTests() []steadyTest {
	second := time.Second
	doubts := func(weight int64) act { return thinks("b", weight, true) }
	voteOf := func(replica string, bad bool, weight int64, age, rest time.Duration) breaker.Vote {
		return breaker.Vote{Replica: replica, Bad: bad, Weight: weight, AgeMicro: age.Microseconds(), ForMicro: rest.Microseconds()}
	}
	a := voteOf("a", false, 1000, 0, 10*second)
	return []steadyTest{
		{"what it weighs changes", []breakerStep{
			{0, thinks("a", 400, false), fresh(0)},
			{0, doubts(700), fresh(0)},
		}, 1, 700, 1100, []breaker.Vote{voteOf("a", false, 400, 0, 10*second), voteOf("b", true, 700, 0, 10*second)}, 0},
		{"it counts for as long as it said last", []breakerStep{
			{second, well("a").lasting(5 * second), fresh(0)},
			{second, doubts(500), fresh(0)},
		}, 1, 500, 1500, []breaker.Vote{voteOf("a", false, 1000, second, 4*second), voteOf("b", true, 500, 0, 10*second)}, 0},
		{"its own layer opens, and closes again", []breakerStep{
			{0, well("a").shut(), fresh(0)},
			{0, doubts(500).shut(), fresh(0)},
			{0, doubts(600), fresh(0)},
		}, 1, 600, 1600, []breaker.Vote{{Replica: "a", Weight: 1000, ForMicro: 10_000_000, Open: true}, voteOf("b", true, 600, 0, 10*second)}, 0},
		{"it leaves", []breakerStep{
			{0, act{evidence: breaker.Evidence{Replica: "b", Bad: true, Weight: 500, Leaving: true}}, fresh(0)},
		}, 0, 0, 1000, []breaker.Vote{a}, 0},
		{"an older report comes late", []breakerStep{
			{0, thinks("a", 1, false).numbered(1), fresh(0)},
			{0, thinks("a", 1, false).knowing(-second), fresh(0)},
		}, 1, 500, 1500, []breaker.Vote{a, voteOf("b", true, 500, 0, 10*second)}, 0},
		{"it has no doubts any more, and again", []breakerStep{
			{0, thinks("b", 500, false), fresh(0)},
			{0, doubts(500), fresh(0)},
			{0, doubts(600), fresh(0)},
		}, 1, 600, 1600, []breaker.Vote{a, voteOf("b", true, 600, 0, 10*second)}, 0},
		{"a window later who was silent is forgotten", []breakerStep{
			{10 * second, doubts(500), fresh(0)},
		}, 1, 500, 500, []breaker.Vote{voteOf("b", true, 500, 0, 10*second)}, 0},
		{"the clock steps back", []breakerStep{
			{10 * second, doubts(500), fresh(0)}, // votes are swept
			{0, well("a"), fresh(0)},
			{0, doubts(500).lasting(3 * second), fresh(0)},
			{-5 * second, well("a"), fresh(0)},
			{10 * second, well("a"), fresh(0)}, // ten seconds after that they are swept again
		}, 0, 0, 1000, []breaker.Vote{a}, 0},
		{"its weight alone opens the fleet", []breakerStep{
			{0, sick("c"), fresh(0)},
			{0, doubts(999), fresh(0)},
			{0, doubts(1000), open(us, 30*second)},
		}, 0, 0, 0, nil, 1},
		{"its weight alone opens the fleet, for as long as was asked", []breakerStep{
			{0, sick("c"), fresh(0)},
			{0, doubts(999).asking(time.Minute), fresh(0)},
			{0, doubts(1000), open(us, time.Minute)},
		}, 0, 0, 0, nil, 1},
		{"others bring other rules", []breakerStep{
			{0, well("a").under(domain.CircuitBreaker{Quorum: 0.4}), foreignTo(fresh(0))},
			{0, well("a"), fresh(0)},
			{61 * second, well("a").under(domain.CircuitBreaker{Quorum: 0.4}), foreignTo(fresh(0))}, // for it was brought meanwhile
		}, 0, 0, 1000, []breaker.Vote{a}, 0},
	}
}

// testSteady plays a story of steady replicas, and looks at what is left.
func testSteady(t *testing.T, newStore Maker, tt steadyTest) {
	t.Helper()
	run := newRun(t, newStore)
	run.play([]breakerStep{{0, well("a"), fresh(0)}, {0, thinks("b", 500, true), fresh(0)}}, "")
	run.play(tt.steps, tt.name)
	got := run.explained()
	if got.Bad != tt.bad || got.BadWeight != tt.wbad || got.AllWeight != tt.wall || !slices.Equal(got.Votes, tt.votes) {
		t.Errorf("left are %d of %d and %d: %+v\nwant %d of %d and %d: %+v",
			got.Bad, got.BadWeight, got.AllWeight, got.Votes, tt.bad, tt.wbad, tt.wall, tt.votes)
	}
	turns := 0
	for _, r := range run.records() {
		if r.Kind == breaker.RecordTurn {
			turns++
		}
	}
	if turns != tt.turns {
		t.Errorf("%d transitions; want %d", turns, tt.turns)
	}
}
