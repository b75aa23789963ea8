package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// A story is how the numbers of a run went: n is the cycle, of 48.
type story func(n int, rng *rand.Rand) sample

// steady is a run at rest, with the noise that runs have.
func steady(_ int, rng *rand.Rand) sample {
	return sample{
		heap: 9_000*kib + rng.Int64N(600*kib), objects: 18_000 + rng.Int64N(500),
		goroutines: 34 + rng.Int64N(2), files: 60 + rng.Int64N(3),
		connections: 18 + rng.Int64N(3), listeners: 3, keys: 3, dataset: 400*kib + rng.Int64N(40*kib),
	}
}

// changed is steady with one number changed.
func changed(change func(s *sample, n int)) story {
	return func(n int, rng *rand.Rand) sample {
		s := steady(n, rng)
		change(&s, n)
		return s
	}
}

func TestJudge(t *testing.T) {
	for _, row := range []struct {
		name  string
		tells story
		grown []string
	}{
		{"steady", steady, nil},
		{"warms up", changed(func(s *sample, n int) { s.heap -= int64(5_000 * kib * math.Exp(-float64(n)/4)) }), nil},
		{"shrinks", changed(func(s *sample, n int) { s.heap -= int64(n) * 50 * kib }), nil},
		{"one odd cycle", changed(func(s *sample, n int) {
			if n == 47 {
				s.goroutines, s.heap, s.keys = 10_000, 1<<40, 10_000
			}
		}), nil},
		{"up and down again", changed(func(s *sample, n int) { s.goroutines += int64(n % 2 * 20) }), nil},
		{"a goroutine every fourth cycle", changed(func(s *sample, n int) { s.goroutines += int64(n / 4) }), []string{"goroutines"}},
		{"a file a cycle", changed(func(s *sample, n int) { s.files += int64(n) }), []string{"files"}},
		{"a connection every other cycle", changed(func(s *sample, n int) { s.connections += int64(n / 2) }), []string{"connections"}},
		{"a subscription, once, late", changed(func(s *sample, n int) { s.listeners += int64(n / 36) }), []string{"listeners"}},
		{"a key every fourth cycle", changed(func(s *sample, n int) { s.keys += int64(n / 4) }), []string{"keys"}},
		{"100 KiB a cycle", changed(func(s *sample, n int) { s.heap += int64(n) * 100 * kib }), []string{"heap KiB"}},
		{"300 small objects a cycle", changed(func(s *sample, n int) { s.objects += int64(n) * 300 }), []string{"objects"}},
		{"10 KiB in Redis a cycle", changed(func(s *sample, n int) { s.dataset += int64(n) * 10 * kib }), []string{"Redis KiB"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			samples := make([]sample, 48)
			for n := range samples {
				samples[n] = row.tells(n, rng)
			}
			v, err := judge(samples)
			if err != nil || !slices.Equal(v.grown(), row.grown) || v.flat() != (row.grown == nil) {
				t.Errorf("grown: %v, %v; want %v", v.grown(), err, row.grown)
			}
			var out strings.Builder
			v.print(&out, len(samples), 1)
			if text := out.String(); strings.HasSuffix(text, ": flat\n") != v.flat() || strings.Contains(text, "NOT FLAT") == v.flat() {
				t.Errorf("the last line does not say so:\n%s", text)
			}
		})
	}
}

func TestJudgeNeedsCycles(t *testing.T) {
	if _, err := judge(make([]sample, 2)); err == nil {
		t.Error("two cycles were judged")
	}
}
