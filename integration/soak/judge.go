package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// A measure is one number of a sample, and by how much it may differ between two
// thirds of a run without being told to grow: by a part of itself, and a little.
type measure struct {
	name string
	of   func(sample) int64
	part float64
	plus float64
}

// measures are what is judged. Memory varies with what the garbage collector
// finds; what is counted does not, but for connections, of which a client may keep
// one more or one less, and three files with each.
func measures() []measure {
	return []measure{
		{"heap KiB", func(s sample) int64 { return s.heap / kib }, 0.05, 256},
		{"objects", func(s sample) int64 { return s.objects }, 0.05, 2000},
		{"goroutines", func(s sample) int64 { return s.goroutines }, 0, 2},
		{"files", func(s sample) int64 { return s.files }, 0, 7},
		{"connections", func(s sample) int64 { return s.connections }, 0, 2},
		{"listeners", func(s sample) int64 { return s.listeners }, 0, 0},
		{"keys", func(s sample) int64 { return s.keys }, 0, 2},
		{"Redis KiB", func(s sample) int64 { return s.dataset / kib }, 0.05, 64},
	}
}

// A finding is what became of one measure: its median in the second third of the
// cycles and in the last one. The first third is for warming up.
type finding struct {
	measure

	before, after float64
}

// most is what the measure may come to without having grown.
func (f finding) most() float64 { return f.before*(1+f.part) + f.plus }

func (f finding) grew() bool { return f.after > f.most() }

// A verdict has a finding for each measure.
type verdict []finding

// cyclesLeast is how many cycles there must be to judge them.
const cyclesLeast = 3

var errFew = errors.New("there are too few cycles to judge")

// judge compares medians, which single odd samples do not move, of thirds, since
// what leaks goes on leaking: what only warms up is at its height by then.
func judge(samples []sample) (v verdict, err error) {
	if len(samples) < cyclesLeast {
		return nil, errFew
	}
	third := len(samples) / 3
	for _, m := range measures() {
		values := make([]int64, len(samples))
		for i, s := range samples {
			values[i] = m.of(s)
		}
		last := len(values) - third
		v = append(v, finding{m, median(values[last-third : last]), median(values[last:])})
	}
	return v, nil
}

func median(values []int64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return float64(sorted[middle])
	}
	return float64(sorted[middle-1]+sorted[middle]) / 2
}

// grown are the names of what grew.
func (v verdict) grown() (names []string) {
	for _, f := range v {
		if f.grew() {
			names = append(names, f.name)
		}
	}
	return names
}

func (v verdict) flat() bool { return len(v.grown()) == 0 }

// print ends in the line that matters.
func (v verdict) print(out io.Writer, cycles int, calls int64) {
	fmt.Fprintln(out, "             second third  last third   allowed")
	for _, f := range v {
		fmt.Fprintf(out, "%-11s  %12.0f  %10.0f  %8.0f\n", f.name, f.before, f.after, f.most())
	}
	said := "flat"
	if !v.flat() {
		said = "NOT FLAT: " + strings.Join(v.grown(), ", ")
	}
	fmt.Fprintf(out, "%d cycles, %d calls: %s\n", cycles, calls, said)
}
