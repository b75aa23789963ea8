package fleet_test

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A story is what happened in a simulation, and what went wrong.
type story struct {
	tb    testing.TB
	seed  uint64
	start time.Time

	mu     sync.Mutex
	notes  []note
	failed int
}

type note struct {
	at   time.Duration
	text string
}

func newStory(tb testing.TB, seed uint64) *story {
	tb.Helper()
	return &story{tb: tb, seed: seed, start: time.Now()}
}

// tellf notes an event.
func (s *story) tellf(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes = append(s.notes, note{time.Since(s.start), fmt.Sprintf(format, args...)})
}

// The end of a story that a failure prints, and the failures of a seed that are
// printed: the others follow from the first.
const (
	lastNotes    = 30
	mostFailures = 5
)

// failf says what went wrong; the first time, also how it came to that.
func (s *story) failf(format string, args ...any) {
	s.tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed++
	if s.failed > mostFailures {
		return
	}
	s.tb.Errorf("seed %d, %v: %s", s.seed, time.Since(s.start), fmt.Sprintf(format, args...))
	if s.failed > 1 {
		return
	}
	s.sort()
	var end strings.Builder
	for _, n := range s.notes[max(len(s.notes)-lastNotes, 0):] {
		fmt.Fprintf(&end, "%14v %s\n", n.at, n.text)
	}
	test, _, _ := strings.Cut(s.tb.Name(), "/")
	s.tb.Logf("replay it: HOLDFAST_SEED=%d go test ./fleet -run '%s$'\nthe last of its story:\n%s", s.seed, test, end.String())
}

// sort brings the notes of one instant into one order: goroutines that run at
// the same instant wrote them in any. It requires that s.mu is held.
func (s *story) sort() {
	slices.SortFunc(s.notes, func(a, b note) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.text, b.text))
	})
}

// whole is the story, in order.
func (s *story) whole() []note {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sort()
	return s.notes
}

// dice are thrown by who throws them, when and for what: not in turn, since the
// order in which goroutines run at one instant is no seed's.
func (s *story) dice(who int, what string) *rand.Rand {
	h := fnv.New64a()
	fmt.Fprint(h, s.seed, who, what, int64(time.Since(s.start)))
	return rand.New(rand.NewPCG(s.seed, h.Sum64()))
}

// A replicasDice is what a replica's own random numbers come from.
type replicasDice struct {
	*story

	who int
}

func (d replicasDice) Uint64() uint64 { return d.dice(d.who, "own").Uint64() }

// between is a random time.
func between(r *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(r.Int64N(int64(high-low)))
}

// oneIn is true once in n times.
func oneIn(r *rand.Rand, n int) bool { return r.IntN(n) == 0 }
