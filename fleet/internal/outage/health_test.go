package outage_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/fleet/internal/outage"
)

const (
	ms      = time.Millisecond
	timeout = 100 * ms
)

// down is a Health that the third failure at the given time brought down.
func down(t *testing.T, at time.Duration, random float64) *outage.Health {
	t.Helper()
	h := &outage.Health{}
	for i := range 3 {
		if went := h.Failed(at, random); went != (i == 2) {
			t.Fatalf("failure %d: Failed = %v", i+1, went)
		}
	}
	return h
}

func TestThreeFailuresInARowBringItDown(t *testing.T) {
	h := &outage.Health{}
	for i, step := range []struct {
		fails  bool
		edge   bool
		wantUp bool
	}{
		{true, false, true},
		{true, false, true},
		{false, false, true}, // begins anew
		{true, false, true},
		{true, false, true},
		{true, true, false},
		{true, false, false}, // it is down already
		{false, true, true},  // one answer is enough
		{false, false, true},
		{true, false, true},
		{true, false, true},
		{true, true, false},
	} {
		now := time.Duration(i) * time.Second
		var edge bool
		if step.fails {
			edge = h.Failed(now, 0)
		} else {
			edge = h.Answered()
		}
		if edge != step.edge || h.Up() != step.wantUp {
			t.Fatalf("step %d: edge %v, up %v; want %v, %v", i, edge, h.Up(), step.edge, step.wantUp)
		}
	}
	if since, isDown := h.DownSince(); !isDown || since != 11*time.Second {
		t.Errorf("DownSince = %v, %v; want 11s, true", since, isDown)
	}
}

func TestOneTrialAtATime(t *testing.T) {
	h := down(t, 0, 0)
	for _, step := range []struct {
		at   time.Duration
		want bool
	}{
		{0, false},
		{50*ms - 1, false},
		{50 * ms, true}, // half a pause of 100 ms, since the random number is 0
		{50 * ms, false},
		{149 * ms, false},
		{150*ms + time.Second - 1, false}, // its result never came: another one, in the end
		{150*ms + time.Second, true},
	} {
		if got := h.Trial(step.at, timeout); got != step.want {
			t.Errorf("Trial at %v = %v; want %v", step.at, got, step.want)
		}
	}
	h.Answered()
	if h.Trial(time.Hour, timeout) {
		t.Error("a trial of a store that is up")
	}
}

func TestTrialsBecomeRarer(t *testing.T) {
	for _, random := range []float64{0, 0.5, 0.999} {
		h := down(t, 0, random)
		now := time.Duration(0)
		for _, pause := range []time.Duration{100 * ms, 200 * ms, 400 * ms, 800 * ms, time.Second, time.Second} {
			wait := pause/2 + time.Duration(random*float64(pause/2))
			if h.Trial(now+wait-1, timeout) {
				t.Fatalf("random %v: a trial after less than %v", random, wait)
			}
			now += wait
			if !h.Trial(now, timeout) {
				t.Fatalf("random %v: no trial after %v", random, wait)
			}
			h.Failed(now, random)
		}
		h.Answered()
		for range 3 {
			h.Failed(now, random)
		}
		if !h.Trial(now+100*ms, timeout) {
			t.Errorf("random %v: the pause did not begin anew", random)
		}
	}
}

func TestManyCallersTryOnce(t *testing.T) {
	h := down(t, 0, 0)
	var trials atomic.Int64
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			if h.Trial(time.Second, timeout) {
				trials.Add(1)
			}
		})
	}
	all.Wait()
	if trials.Load() != 1 {
		t.Errorf("%d trials; want 1", trials.Load())
	}
}

func TestEdgesAreToldOnce(t *testing.T) {
	h := &outage.Health{}
	var wentDown, cameUp atomic.Int64
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			if h.Failed(0, 0) {
				wentDown.Add(1)
			}
		})
	}
	all.Wait()
	for range 64 {
		all.Go(func() {
			if h.Answered() {
				cameUp.Add(1)
			}
		})
	}
	all.Wait()
	if wentDown.Load() != 1 || cameUp.Load() != 1 {
		t.Errorf("down %d times, up %d times; want once each", wentDown.Load(), cameUp.Load())
	}
}
