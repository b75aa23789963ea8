package fleet

import (
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
)

// TestRampAdopt: the end that is known never moves on, a view that is late does not begin
// an old ramp again, and who hears late goes on where the others are.
func TestRampAdopt(t *testing.T) {
	t.Parallel()
	const whole = 30 * time.Second
	view := port.View{Epoch: 7, For: whole, Base: 100}
	var r ramp
	r.adopt(0, view, whole)
	r.adopt(5*time.Second, view, whole)
	if want := (ramp{7, 100, whole, whole}); r != want {
		t.Errorf("told twice: %+v; want %+v", r, want)
	}
	r.base = 0 // it is over
	if r.adopt(whole, view, whole); r.base != 0 {
		t.Errorf("a late view began it again: %+v", r)
	}
	view.For = 10 * time.Second
	var late ramp
	if late.adopt(0, view, whole); late.whole != whole || late.until != view.For {
		t.Errorf("heard late: %+v; want the last third of it", late)
	}
}

// TestRung: a step admits no less than it takes to probe, and each lasts for a third.
func TestRung(t *testing.T) {
	t.Parallel()
	b := &Breaker{policy: domain.CircuitBreaker{Probes: 3}}
	b.fleet.ramp = ramp{7, 40, 30 * time.Second, 30 * time.Second}
	for now, want := range map[time.Duration]int64{
		0: 3, 10*time.Second - 1: 3, 10 * time.Second: 10, 20*time.Second - 1: 10, 20 * time.Second: 20, 30*time.Second - 1: 20,
	} {
		r, climbing := b.rung(now)
		if limit := domain.PerSecond(want).WithBurst(max(want/2, 3)); !climbing || r.limit != limit {
			t.Errorf("after %v: %+v, %v; want %v", now, r, climbing, limit)
		}
	}
	if r, climbing := b.rung(30 * time.Second); climbing {
		t.Errorf("after its end: %+v", r)
	}
}
