package breaker

import (
	"cmp"
	"slices"
	"strings"
)

// A Snapshot is all that a store has of one breaker, for people to read.
type Snapshot struct {
	View      View
	Rules     Rules // in force
	AgeMicro  int64 // of the state
	Growth    int64 // reopenings in a row
	Disputed  bool  // others brought other rules than those in force
	Bad       int64 // replicas that are bad
	BadWeight int64 // and their weight, in thousandths
	AllWeight int64 // of all opinions
	Votes     []Vote
	Probers   []Prober
	Leases    []Lease
}

// A Vote is one replica's last word while closed.
type Vote struct {
	Replica  string
	Bad      bool
	Weight   int64 // in thousandths
	AgeMicro int64 // since it was said
	ForMicro int64 // how long it still counts
	Calls    int64
	Failures int64
	Open     bool // the replica's own layer is not closed, whether the fleet counts that or not
	Last     Trouble
}

// A Prober is a replica that asked for a probe while half-open.
type Prober struct {
	Replica   string
	Succeeded bool // one of its probes did
	Failed    bool // its probes did not, or their leases ended
}

// A Lease is a probe that is out.
type Lease struct {
	Replica  string
	ForMicro int64 // how long it still lasts
}

// Snapshot looks at a breaker, and changes nothing. Its lists are in order of the
// replicas' names.
func (f *Fleet) Snapshot(nowMicro int64) Snapshot {
	s := Snapshot{View: f.View(nowMicro)}
	if f.epoch == noEpoch {
		return s
	}
	s.Rules, s.AgeMicro, s.Growth, s.Disputed = f.rules, max(nowMicro-f.atMicro, 0), f.growth, f.challengedAt > 0
	s.Bad, s.BadWeight, s.AllWeight = f.bad, f.badWeight, f.allWeight
	for replica, v := range f.votes {
		age := max(nowMicro-v.atMicro, 0)
		s.Votes = append(s.Votes, Vote{
			Replica: replica, Bad: v.bad, Weight: v.weight, AgeMicro: age, ForMicro: max(v.forMicro-age, 0),
			Calls: v.calls, Failures: v.failures, Open: v.open, Last: v.last,
		})
	}
	for replica, saw := range f.seen {
		s.Probers = append(s.Probers, Prober{replica, saw == sawSuccess, saw == sawNoSuccess})
	}
	for _, l := range f.leases {
		s.Leases = append(s.Leases, Lease{l.replica, l.rest(nowMicro)})
	}
	s.Sort()
	return s
}

// Sort puts the lists in order.
func (s *Snapshot) Sort() {
	slices.SortFunc(s.Votes, func(a, b Vote) int { return strings.Compare(a.Replica, b.Replica) })
	slices.SortFunc(s.Probers, func(a, b Prober) int { return strings.Compare(a.Replica, b.Replica) })
	slices.SortFunc(s.Leases, func(a, b Lease) int {
		return cmp.Or(strings.Compare(a.Replica, b.Replica), cmp.Compare(a.ForMicro, b.ForMicro))
	})
}
