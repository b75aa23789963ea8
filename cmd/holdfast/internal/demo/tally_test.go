package demo

import (
	"testing"
	"time"
)

func TestQuantile(t *testing.T) {
	for _, tt := range []struct {
		name string
		all  []time.Duration
		q    float64
		want time.Duration
		ok   bool
	}{
		{"nothing", nil, 0.99, 0, false},
		{"one, rounded up", []time.Duration{1500 * time.Microsecond}, 0.99, 2 * ms, true},
		{"half", []time.Duration{0, 5 * ms}, 0.5, 1 * ms, true},
		{"the rest", []time.Duration{0, 5 * ms}, 0.51, 6 * ms, true},
		{"beyond the end", []time.Duration{time.Hour}, 0.99, 1001 * ms, true},
	} {
		var h histogram
		for _, d := range tt.all {
			h.add(d)
		}
		if got, ok := h.quantile(tt.q); got != tt.want || ok != tt.ok {
			t.Errorf("%s: quantile(%g) = %s, %t; want %s, %t", tt.name, tt.q, got, ok, tt.want, tt.ok)
		}
	}
}

func TestMergedHistogramsCountAll(t *testing.T) {
	var short, long histogram
	short.add(ms)
	long.add(ms)
	long.add(7 * ms)
	short.merge(long)
	if got, _ := short.quantile(1); got != 8*ms {
		t.Errorf("the longest = %s; want 8ms", got)
	}
	if got, _ := short.quantile(2.0 / 3); got != 2*ms {
		t.Errorf("two thirds = %s; want 2ms", got)
	}
}
