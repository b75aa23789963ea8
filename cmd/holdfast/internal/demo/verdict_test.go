package demo

import (
	"slices"
	"testing"
	"time"
)

// keptEvidence is a run in which every promise was kept: a limit of 10/s with a
// burst of 2, a lease of a second, a ramp of three.
func keptEvidence() evidence {
	return evidence{
		rate: 10, burst: 2, lease: time.Second, window: 4 * time.Second, ramp: 3 * time.Second,
		history: []transition{
			{1 * time.Second, 1, closed},
			{10 * time.Second, 2, open},
			{11 * time.Second, 3, halfOpen},
			{13 * time.Second, 4, closed},
		},
		arrivals: []arrival{
			{at: 2 * time.Second, done: 2*time.Second + ms, replica: 1},
			{at: 9 * time.Second, done: 9*time.Second + ms, replica: 2},
			{at: 10*time.Second + 20*ms, done: 10*time.Second + 21*ms, replica: 2}, // was on its way
			{at: 11*time.Second + 5*ms, done: 11*time.Second + 8*ms, replica: 2, probe: true},
			{at: 12*time.Second + 100*ms, done: 12*time.Second + 103*ms, replica: 1, probe: true},
			{at: 12*time.Second + 200*ms, done: 12*time.Second + 203*ms, replica: 3, probe: true},
			{at: 14 * time.Second, done: 14*time.Second + ms, replica: 3},
			{at: 17*time.Second + 40*ms, done: 17*time.Second + 43*ms, replica: 1}, // was on its way
			{at: 19*time.Second + 60*ms, done: 19*time.Second + 63*ms, replica: 3},
		},
		forced: span{17 * time.Second, 19 * time.Second},
		alone: alone{
			victim: 1, from: 3 * time.Second, to: 5 * time.Second,
			before: []tally{{}, {Refused: 4}, {}},
			after:  []tally{{Failed: 9, Refused: 7}, {Refused: 4}, {}},
		},
		killed:   &arrival{at: 11*time.Second + 5*ms, replica: 2},
		tallies:  []tally{{Limited: 60, StoreTime: histogram{100, 0, 1}}, {Refused: 40}},
		commands: 40,
	}
}

// climbing are arrivals and so many more, 100 ms apart, after that time.
func climbing(arrivals []arrival, after time.Duration, calls int) []arrival {
	i := slices.IndexFunc(arrivals, func(a arrival) bool { return a.at > after })
	for range calls {
		after += 100 * ms
		arrivals = slices.Insert(arrivals, i, arrival{at: after, done: after + ms, replica: 1})
		i++
	}
	return arrivals
}

func TestJudge(t *testing.T) {
	// The checks, in their order.
	const (
		worst = iota
		last
		late
		atOnce
		reissue
		step
		lastForced
		lateForced
		again
		refusals
		changes
		commands
		storeTime
	)
	for _, tt := range []struct {
		name   string
		change func(*evidence)
		broken []int
	}{
		{"all is kept", func(*evidence) {}, nil},
		{"nothing came", func(e *evidence) { e.arrivals, e.killed = nil, nil }, []int{worst, atOnce, reissue, step, again}},
		{"more than the limit", func(e *evidence) {
			e.arrivals = slices.Insert(e.arrivals, 1, slices.Repeat([]arrival{{at: 8 * time.Second}}, 4)...)
		}, []int{worst}},
		{"no trip", func(e *evidence) { e.history = e.history[:1] }, []int{last, late, atOnce, reissue, step}},
		{"one call too late", func(e *evidence) { e.arrivals[2].at += 231 * ms }, []int{last, late}},
		{"the last call at the last moment", func(e *evidence) { e.arrivals[2].at += 230 * ms }, nil},
		{"a call long after the trip that is no probe", func(e *evidence) { e.arrivals[5].probe = false }, []int{last, late}},
		{"two probes at once", func(e *evidence) { e.arrivals[4].done = e.arrivals[5].at + 1 }, []int{atOnce}},
		{"one probe when another ends", func(e *evidence) { e.arrivals[4].done = e.arrivals[5].at }, nil},
		{"a probe just before the killed one's lease ends", func(e *evidence) { e.arrivals[4].at -= 101 * ms }, []int{atOnce}},
		{"a probe as it ends", func(e *evidence) { e.arrivals[4].at -= 100 * ms }, nil},
		{"a probe that never ended", func(e *evidence) { e.arrivals[4].done = 0 }, []int{atOnce}},
		{"nobody killed", func(e *evidence) { e.killed = nil }, []int{reissue}},
		{"reissued too late", func(e *evidence) {
			e.arrivals = slices.Delete(e.arrivals, 4, 5)
			e.arrivals[4].at += 306 * ms
		}, []int{reissue}},
		{"never reissued", func(e *evidence) { e.arrivals = e.arrivals[:4] }, []int{reissue, step, again}},
		{"it never closed", func(e *evidence) { e.history = e.history[:3] }, []int{last, late, step}},
		{"as many calls in the first step as the second may have", func(e *evidence) { e.arrivals = climbing(e.arrivals, 13*time.Second, 5) }, []int{step}},
		{"half as many again as it may have", func(e *evidence) { e.arrivals = climbing(e.arrivals, 13*time.Second, 4) }, nil},
		{"forced open to no effect", func(e *evidence) { e.arrivals[7].at += 1211 * ms }, []int{lastForced, lateForced}},
		{"a call at the last moment after the order", func(e *evidence) { e.arrivals[7].at += 1210 * ms }, nil},
		{"no call after the override", func(e *evidence) { e.arrivals = e.arrivals[:8] }, []int{again}},
		{"the next call comes too late", func(e *evidence) { e.arrivals[8].at += 1191 * ms }, []int{again}},
		{"nobody gave an order", func(e *evidence) { e.forced = span{} }, []int{lastForced, lateForced, again}},
		{"a healthy replica refused", func(e *evidence) { e.alone.after[1].Refused++ }, []int{refusals}},
		{"the broken replica was not broken", func(e *evidence) { e.alone.after[0].Failed = 0 }, []int{refusals, changes}},
		{"nobody was broken", func(e *evidence) { e.alone = alone{} }, []int{refusals, changes}},
		{"the fleet opened for one", func(e *evidence) {
			e.history = slices.Insert(e.history, 1, transition{4 * time.Second, 1, open}, transition{5 * time.Second, 1, closed})
		}, []int{changes}},
		{"too many commands", func(e *evidence) { e.commands = 51 }, []int{commands}},
		{"no decisions", func(e *evidence) { e.tallies = nil }, []int{commands, storeTime}},
		{"the store held calls up", func(e *evidence) {
			for range 5 {
				e.tallies[0].StoreTime.add(110 * ms)
			}
		}, []int{storeTime}},
		{"one call in a thousand may be held up", func(e *evidence) {
			e.tallies[0].StoreTime[0] = 1000
			e.tallies[0].StoreTime.add(time.Second)
		}, nil},
	} {
		e := keptEvidence()
		tt.change(&e)
		v := judge(e)
		var broken []int
		for i, c := range v.Checks {
			if !c.OK {
				broken = append(broken, i)
			}
		}
		if !slices.Equal(broken, tt.broken) {
			t.Errorf("%s: checks %v are broken; want %v\n%+v", tt.name, broken, tt.broken, v.Checks)
		}
		if v.Pass() != (tt.broken == nil) {
			t.Errorf("%s: Pass() = %t", tt.name, v.Pass())
		}
	}
}

func TestJudgeMeasures(t *testing.T) {
	checks := judge(keptEvidence()).Checks
	got := make([]float64, 0, len(checks))
	for _, c := range checks {
		got = append(got, c.Measured)
	}
	// The worst interval is that of the last two probes: 2 calls, less 1 for 100 ms.
	// The ramp is of a call in 4 s, so that each step may have 3: 1 a second, a burst of 1 and a probe.
	if want := []float64{1, 20, 0, 1, 1095, 0.333, 40, 0, 60, 0, 0, 0.4, 1}; !slices.Equal(got, want) {
		t.Errorf("measured = %v; want %v", got, want)
	}
}
