package demo

import (
	"context"
	"fmt"
	"time"
)

// rampBeats is how long the ramp of the breaker is.
const rampBeats = 3

// rampSteps are the shares of the calls before that the fleet may make in it, each for
// as long as the others.
var rampSteps = [...]float64{0.05, 0.25, 0.5} //nolint:gochecknoglobals // a constant list

// A climb is what arrived downstream while the calls came back after an outage.
type climb struct {
	before float64 // calls a second, in the window before the trip
	each   time.Duration
	calls  [len(rampSteps)]int // in each step
}

// lastOutage returns false when there was none, or it did not end.
func lastOutage(history []transition) (outage span, ended bool) {
	all := outages(history)
	if len(all) == 0 {
		return span{}, false
	}
	outage = all[len(all)-1]
	return outage, outage.to != forever
}

// climbAfter counts what arrived in the window before an outage and in the ramp after it.
func climbAfter(outage span, arrivals []arrival, window, ramp time.Duration) climb {
	c := climb{each: ramp / time.Duration(len(rampSteps))}
	before := 0
	for _, a := range arrivals {
		since := a.at - outage.to
		switch {
		case span{outage.from - window, outage.from}.holds(a.at):
			before++
		case since > 0 && since < c.each*time.Duration(len(rampSteps)):
			c.calls[since/c.each]++
		}
	}
	c.before = float64(before) / window.Seconds()
	return c
}

// most is how many calls a step may have: its share, a burst of half a second of it,
// neither less than 1, and the last probe, which may still be under way.
func (c climb) most(step int) float64 {
	perSecond := max(c.before*rampSteps[step], probesPermitted)
	return perSecond*c.each.Seconds() + max(perSecond/2, probesPermitted) + probesPermitted
}

// worst is how many times what it may have the worst step had.
func (c climb) worst() float64 {
	worst, sum := 0.0, 0
	for step, n := range c.calls {
		worst = max(worst, float64(n)/c.most(step))
		sum += n
	}
	if sum == 0 {
		return unknown()
	}
	return worst
}

// rise lets the fleet climb, and tells what came of it.
func (s *story) rise(ctx context.Context) error {
	history, _ := s.cast.watcher.all()
	outage, ended := lastOutage(history)
	if !ended {
		return nil
	}
	s.tell("all is well again, and the calls come back in steps")
	if err := pause(ctx, outage.to+s.evidence.ramp-s.cast.clock.now()); err != nil {
		return err
	}
	s.tell(climbAfter(outage, s.cast.downstream.all(), s.evidence.window, s.evidence.ramp).String())
	return nil
}

func (c climb) String() string {
	perSecond := func(step int) float64 { return float64(c.calls[step]) / c.each.Seconds() }
	return fmt.Sprintf("calls a second in the thirds of the ramp: %.0f, %.0f, %.0f; before the outage: %.0f",
		perSecond(0), perSecond(1), perSecond(2), c.before)
}
