package breaker

import (
	"slices"

	"github.com/holdfast-go/holdfast/domain"
)

// The constants of the protocol.
const (
	fullWeight   = 1000            // a whole opinion
	votesKept    = 1024            // replicas whose votes are kept, each by name
	claimMicro   = 60_000_000      // claims that nobody brought for so long fall
	aheadMicro   = 86_400_000_000  // a known epoch further ahead than this is refused
	callsCounted = 1 << 31         // of one replica, at most
	callsSummed  = 1 << 33         // of all, so that a script reckons exactly
	longestMicro = 604_800_000_000 // evidence lasts no longer than the longest window, a week
	noEpoch      = 0
	askedOnly    = 'a' // of a replica in half-open: it asked for a probe
	sawSuccess   = 's' // one of its probes succeeded
	sawNoSuccess = 'x' // its probes failed or expired
)

// A Fleet is the layer of a breaker that all replicas share, as it is stored.
// The zero Fleet is a breaker that is not there, which is closed. Times are the
// store's clock in Unix µs; deadlines are kept as a start and a length, and a
// start that the clock stepped back behind moves to now.
type Fleet struct {
	rules        Rules
	challengedAt int64 // since when other rules were brought and these were not; 0 = not
	epoch        uint64
	fresh        bool // the epoch began with nothing before it: a new breaker, or one whose state was lost
	state        domain.State
	atMicro      int64 // when the state began
	forMicro     int64 // how long it lasts: open, half-open at most, or closed the ramp
	growth       int64 // reopenings in a row
	base         int64 // calls a second of the fleet when it opened; 0 = no ramp
	aloneUntil   int64 // until when the dependency asked to be left alone; 0 = it did not

	votes                     map[string]vote // closed: what each replica saw
	sweptAt                   int64
	bad, badWeight, allWeight int64

	seen                map[string]byte // half-open: what became of each replica that asked
	asked, good, failed int64           // how many of each
	succeeded           int64           // probes
	leases              []lease

	order   standing // an operator's last order; it outlives every epoch
	records []Record // what happened, the oldest first
}

type vote struct {
	seq      uint64
	bad      bool
	weight   int64
	atMicro  int64
	forMicro int64
	calls    int64
	failures int64
	open     bool
	last     Trouble
}

type lease struct {
	token    uint64
	replica  string
	atMicro  int64
	forMicro int64
}

// Evidence is one replica's opinion, and what it rests on. It is absolute, not
// a difference, so that one that is lost, doubled or late harms nothing.
type Evidence struct {
	Replica  string // random for each start of a process
	Seq      uint64 // grows with each report of this replica
	Known    uint64 // the epoch that the evidence belongs to; 0 = none seen yet
	Calls    int64  // in the window, that the dependency answered for
	Failures int64  // of those
	Weight   int64  // in thousandths, 0 to 1000
	Bad      bool
	ForMicro int64   // how long it may count
	Leaving  bool    // the replica withdraws
	Open     bool    // its own layer is not closed, whatever that rests on: for people to see, it counts for nothing
	Last     Trouble // in the window: likewise

	AloneMicro int64 // for how long the dependency asked to be left alone; 0 = it did not
}

// A View is what a Fleet says to a replica.
type View struct {
	Epoch    uint64
	State    domain.State
	ForMicro int64 // open: the rest of it; half-open: until a lease may be free; closed: the rest of the ramp
	Base     int64 // while a ramp lasts: of how many calls a second of the fleet
	Fresh    bool  // the epoch began with nothing before it: to a replica that knew an earlier one, its state was lost
	Foreign  bool  // other rules than the replica's are in force
	Ahead    bool  // refused: the replica claims to know an epoch, or an order, of a later day; the rest is zero
	Order    Order // an operator's last; to those who tell or ask, its serial only
}

// Report takes one replica's evidence and opens the fleet when at least
// MinReplicas of those that are bad have enough weight together: MinReplicas
// whole opinions, and QuorumMille of all the weight there is. It reports
// whether the breaker moved to another epoch, which is to be published.
func (f *Fleet) Report(nowMicro int64, r Rules, e Evidence) (v View, moved bool) {
	if f.epoch == noEpoch && e.Known == noEpoch {
		if e.Leaving {
			return f.absent(), false
		}
		f.begin(r, uint64(nowMicro), nowMicro)
		e.Known = f.epoch
	}
	moved, ahead := f.enter(nowMicro, r, e.Replica, e.Known)
	if ahead {
		return View{Ahead: true}, false
	}
	if e.Known != f.epoch || f.state != domain.StateClosed || !f.vote(nowMicro, e) {
		return f.view(nowMicro, r), moved
	}
	if f.reached() || nowMicro-f.sweptAt >= f.rules.WindowMicro {
		f.sweep(nowMicro)
	}
	if f.reached() {
		f.base = f.calls(nowMicro)
		f.turnBy(e.Replica, domain.StateOpen, nowMicro, f.recovery(nowMicro, 0))
		moved = true
	}
	return f.view(nowMicro, r), moved
}

// Clone returns a copy that shares nothing with f, for one who asks what would
// become of it.
func (f *Fleet) Clone() *Fleet {
	c := *f
	c.votes, c.seen, c.leases = copied(f.votes), copied(f.seen), slices.Clone(f.leases)
	c.records = slices.Clone(f.records)
	return &c
}

func copied[V any](m map[string]V) map[string]V {
	if m == nil {
		return nil
	}
	c := make(map[string]V, len(m))
	for k := range m { // package maps is not among those that domain imports
		c[k] = m[k]
	}
	return c
}

// begin makes a fresh closed breaker.
func (f *Fleet) begin(r Rules, epoch uint64, nowMicro int64) {
	*f = Fleet{rules: r, epoch: epoch, fresh: true, atMicro: nowMicro, sweptAt: nowMicro, order: f.order, records: f.records}
}

// enter settles what the caller knows against what is there. To know an epoch
// that is not here yet means that the state was lost: a fresh one begins, with
// an epoch above all that were known; unless the caller cannot be believed.
// Then it settles whose rules decide.
func (f *Fleet) enter(nowMicro int64, r Rules, replica string, known uint64) (moved, ahead bool) {
	if known > f.epoch {
		if known > uint64(nowMicro)+aheadMicro {
			return false, true
		}
		f.begin(r, max(uint64(nowMicro), known+1), nowMicro)
		f.log(Record{AtMicro: nowMicro, Kind: RecordTurn, Epoch: f.epoch, Lost: true, Replica: replica})
		return true, false
	}
	f.rebase(nowMicro)
	f.claim(nowMicro, r)
	return false, false
}

// rebase moves the starts that lie in the future, because the clock stepped
// back, to now: what they began lasts its whole length again, and no longer.
func (f *Fleet) rebase(nowMicro int64) {
	f.atMicro = min(f.atMicro, nowMicro)
	f.sweptAt = min(f.sweptAt, nowMicro)
	f.challengedAt = min(f.challengedAt, nowMicro)
	f.order.atMicro = min(f.order.atMicro, nowMicro)
	for i := range f.leases {
		f.leases[i].atMicro = min(f.leases[i].atMicro, nowMicro)
	}
}

// claim settles whose rules decide when r are brought.
func (f *Fleet) claim(nowMicro int64, r Rules) {
	switch {
	case r == f.rules:
		f.challengedAt = 0
	case r.better(f.rules) || (f.challengedAt > 0 && nowMicro-f.challengedAt >= claimMicro):
		f.rules, f.challengedAt = r, 0
	case f.challengedAt == 0:
		f.challengedAt = nowMicro
	}
}

// vote replaces what e's replica said before. It reports false when e is not
// newer than that.
func (f *Fleet) vote(nowMicro int64, e Evidence) bool {
	old, had := f.votes[e.Replica]
	if had && old.seq >= e.Seq {
		return false
	}
	f.tell(old, -1)
	if e.Leaving {
		delete(f.votes, e.Replica)
		return true
	}
	if !had && len(f.votes) >= votesKept {
		return true
	}
	if f.votes == nil {
		f.votes = make(map[string]vote)
	}
	weight, lasts := min(max(e.Weight, 0), fullWeight), min(max(e.ForMicro, 0), longestMicro)
	if e.Bad {
		f.leaveAlone(nowMicro, e.AloneMicro)
	}
	now := vote{e.Seq, e.Bad, weight, nowMicro, lasts, max(e.Calls, 0), max(e.Failures, 0), e.Open, min(e.Last, TroubleOwn)}
	f.votes[e.Replica] = now
	f.tell(now, 1)
	if now.bad != old.bad {
		f.log(Record{AtMicro: nowMicro, Kind: RecordVote, Epoch: f.epoch, Replica: e.Replica, Bad: now.bad, Weight: weight})
	}
	return true
}

// tell adds a vote to the counters, or with sign -1 takes it out.
func (f *Fleet) tell(v vote, sign int64) {
	f.allWeight += sign * v.weight
	if v.bad {
		f.bad += sign
		f.badWeight += sign * v.weight
	}
}

// calls is how many calls a second the fleet makes, by the votes there are; in a ramp, as
// many as before it at least. It is at least 1, so that it is known.
func (f *Fleet) calls(nowMicro int64) int64 {
	sum := int64(0)
	for _, v := range f.votes {
		sum += min(v.calls, callsCounted)
	}
	base := max(min(sum, callsSummed)*1_000_000/f.rules.WindowMicro, 1)
	if f.rampRest(nowMicro) > 0 {
		base = max(base, f.base)
	}
	return base
}

// rampRest is how long the ramp of a closed breaker still lasts.
func (f *Fleet) rampRest(nowMicro int64) int64 {
	if f.state != domain.StateClosed || f.base == 0 {
		return 0
	}
	return max(f.forMicro-max(nowMicro-f.atMicro, 0), 0)
}

// leaveAlone notes for how long the dependency asked to be left alone.
func (f *Fleet) leaveAlone(nowMicro, forMicro int64) {
	if forMicro > 0 {
		f.aloneUntil = max(f.aloneUntil, nowMicro+min(forMicro, longestMicro))
	}
}

// recovery is how long it stays open after so many reopenings in a row: at least as
// long as the dependency asked, and no longer than the longest.
func (f *Fleet) recovery(nowMicro, growth int64) int64 {
	return min(max(f.rules.recovery(growth), f.aloneUntil-nowMicro), f.rules.MaxRecoveryMicro)
}

func (f *Fleet) reached() bool {
	needed := max(f.rules.MinReplicas*fullWeight*1000, f.rules.QuorumMille*f.allWeight)
	return f.bad >= f.rules.MinReplicas && f.badWeight*1000 >= needed
}

// sweep forgets the votes whose evidence is too old.
func (f *Fleet) sweep(nowMicro int64) {
	f.sweptAt = nowMicro
	f.bad, f.badWeight, f.allWeight = 0, 0, 0
	for replica, v := range f.votes {
		v.atMicro = min(v.atMicro, nowMicro)
		if nowMicro-v.atMicro >= v.forMicro {
			delete(f.votes, replica)
			continue
		}
		f.votes[replica] = v
		f.tell(v, 1)
	}
}

// turn is the only place where the state changes: a new epoch, which voids
// every vote and lease of the last one.
func (f *Fleet) turn(to domain.State, nowMicro, forMicro int64) {
	*f = Fleet{
		rules: f.rules, challengedAt: f.challengedAt, growth: f.growth, base: f.base,
		epoch: max(uint64(nowMicro), f.epoch+1), state: to,
		atMicro: nowMicro, forMicro: forMicro, sweptAt: nowMicro,
		order: f.order, records: f.records,
	}
	if to == domain.StateClosed {
		f.growth = 0
	}
}

// turnBy is turn by the word of a replica.
func (f *Fleet) turnBy(replica string, to domain.State, nowMicro, forMicro int64) {
	f.turn(to, nowMicro, forMicro)
	f.log(Record{AtMicro: nowMicro, Kind: RecordTurn, Epoch: f.epoch, State: to, Replica: replica})
}

// View is what the breaker says at nowMicro to one who only looks.
func (f *Fleet) View(nowMicro int64) View {
	v := View{}
	if f.epoch != noEpoch {
		v = f.view(nowMicro, f.rules)
	}
	v.Order = f.order.rest(nowMicro)
	return v
}

// absent is the view of a breaker that is not there, for one who tells or asks.
func (f *Fleet) absent() View { return View{Order: Order{Serial: f.order.Serial}} }

func (f *Fleet) view(nowMicro int64, r Rules) View {
	v := View{Epoch: f.epoch, State: f.state, Fresh: f.fresh, Foreign: r != f.rules, Order: Order{Serial: f.order.Serial}}
	switch f.state {
	case domain.StateOpen:
		// A start in the future is one that the clock stepped back behind.
		v.ForMicro = max(f.forMicro-max(nowMicro-f.atMicro, 0), 0)
	case domain.StateHalfOpen:
		v.ForMicro = f.leaseFree(nowMicro)
	case domain.StateClosed:
		if v.ForMicro = f.rampRest(nowMicro); v.ForMicro > 0 {
			v.Base = f.base
		}
	}
	return v
}

// leaseFree is how long it takes at most until a probe lease is free.
func (f *Fleet) leaseFree(nowMicro int64) int64 {
	if int64(len(f.leases)) < f.rules.Probes {
		return 0
	}
	first := f.leases[0].rest(nowMicro)
	for _, l := range f.leases[1:] {
		first = min(first, l.rest(nowMicro))
	}
	return first
}

func (l lease) rest(nowMicro int64) int64 {
	return max(l.forMicro-max(nowMicro-l.atMicro, 0), 0)
}
