package demo

import (
	"math"
	"testing"
	"time"
)

// TestAStepMayHaveItsShareAndABurst at 200 calls a second before: 10, 50 and 100 a
// second, half a second of each at once, and a probe.
func TestAStepMayHaveItsShareAndABurst(t *testing.T) {
	outage := span{10 * time.Second, 20 * time.Second}
	var arrivals []arrival
	for at := 6*time.Second + 5*ms; at < 10*time.Second; at += 5 * ms {
		arrivals = append(arrivals, arrival{at: at})
	}
	come := func(step, calls int) {
		for range calls {
			arrivals = append(arrivals, arrival{at: outage.to + time.Duration(step)*2*time.Second + ms})
		}
	}
	come(0, 26)
	come(1, 63)
	come(2, 251)
	come(3, 1000) // afterwards
	c := climbAfter(outage, arrivals, 4*time.Second, 6*time.Second)
	if c.calls != [...]int{26, 63, 251} || math.Abs(c.before-200) > 1 {
		t.Errorf("%+v", c)
	}
	for step, want := range []float64{26, 126, 251} {
		if got := c.most(step); math.Abs(got-want) > 1 {
			t.Errorf("step %d may have %g calls; want %g", step, got, want)
		}
	}
	if got := c.worst(); math.Abs(got-1) > 0.01 {
		t.Errorf("the worst step had %g of what it may; want 1", got)
	}
	if got := climbAfter(outage, nil, 4*time.Second, 6*time.Second).worst(); !math.IsNaN(got) {
		t.Errorf("nothing came back: %g", got)
	}
	if _, ended := lastOutage([]transition{{1, 1, closed}, {2, 2, open}, {3, 3, closed}, {4, 4, open}}); ended {
		t.Error("an outage without an end has ended")
	}
}
