package demo

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

const ms = time.Millisecond

func TestWorstInterval(t *testing.T) {
	for _, tt := range []struct {
		name  string
		times []time.Duration
		rate  float64
		want  float64
	}{
		{"nothing came", nil, 10, 0},
		{"one call is one beyond", []time.Duration{5 * time.Second}, 10, 1},
		{"a burst at once", []time.Duration{0, 0, 0}, 10, 3},
		{"exactly the rate never grows", []time.Duration{0, 100 * ms, 200 * ms, 300 * ms}, 10, 1},
		{"twice the rate", []time.Duration{0, 50 * ms, 100 * ms, 150 * ms}, 10, 2.5},
		{"a burst, a lull that earns all back, a burst", []time.Duration{0, 0, time.Second, time.Second}, 10, 2},
		{"a lull that earns half back", []time.Duration{0, 0, 50 * ms, 50 * ms}, 10, 3.5},
		{"the worst is in the middle", []time.Duration{0, time.Second, time.Second, time.Second, 2 * time.Second}, 10, 3},
		{"slower than the rate", []time.Duration{0, time.Second, 2 * time.Second}, 10, 1},
	} {
		if got := worstInterval(tt.times, tt.rate); math.Abs(got-tt.want) > 1e-9 {
			t.Errorf("%s: worstInterval = %g; want %g", tt.name, got, tt.want)
		}
	}
}

// TestWorstIntervalLooksAtAll compares it with looking at every interval.
func TestWorstIntervalLooksAtAll(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	for range 200 {
		times := make([]time.Duration, random.IntN(60))
		var now time.Duration
		for i := range times {
			now += time.Duration(random.ExpFloat64() * float64(20*ms))
			times[i] = now
		}
		rate := 1 + 100*random.Float64()
		want := 0.0
		for i := range times {
			for j := i; j < len(times); j++ {
				want = max(want, float64(j-i+1)-rate*(times[j]-times[i]).Seconds())
			}
		}
		if got := worstInterval(times, rate); math.Abs(got-want) > 1e-6 {
			t.Fatalf("seed %d: worstInterval = %g; want %g", seed, got, want)
		}
	}
}
